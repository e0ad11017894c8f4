package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// swaks runs swaks and returns what it said and whether it succeeded.
func swaks(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	out, err := exec.Command(need(t, "swaks", "swaks"), args...).CombinedOutput()
	return string(out), err == nil
}

func TestSwaksLogsInByEachMechanismOverTLSOnly(t *testing.T) {
	w := googleWorld(t)
	dir, port := t.TempDir(), freePort(t)
	cert, key := certificate(t, dir)
	p := ukai(t, dir, fmt.Sprintf(`
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[[listener]]
		name = "submission"
		address = "127.0.0.1:%d"
		tls = "starttls"
		cert = %q
		key = %q
		submission = true
		auth = "required"
		[[egress]]
		name = "direct"
		port = %d
	`, w.DNS(), port, cert, key, w.Port()), port)
	cmd := exec.Command(ukaiBin, "account", "add", "shop", "--domain", "sender.example", "--data", p.data)
	cmd.Stdin = strings.NewReader("correct horse\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("account add: %v %s", err, out)
	}
	server := fmt.Sprintf("127.0.0.1:%d", port)
	base := []string{"--server", server, "--from", "a@sender.example", "--to", "b@gmail.com", "--helo", "shop.example"}
	login := []string{"--auth-user", "shop", "--auth-password", "correct horse"}
	for _, c := range []struct {
		name string
		args []string
		ok   bool
		say  string
	}{
		{"PLAIN over TLS", append(login, "--tls", "--auth", "PLAIN"), true, "250 2.0.0 queued as"},
		{"LOGIN over TLS", append(login, "--tls", "--auth", "LOGIN"), true, "250 2.0.0 queued as"},
		{"a wrong password", []string{"--tls", "--auth", "PLAIN", "--auth-user", "shop", "--auth-password", "battery"}, false, "535 5.7.8"},
		{"without TLS no AUTH is offered", append(login, "--auth", "PLAIN"), false, "Host did not advertise authentication"},
		{"nobody logged in", []string{"--tls"}, false, "530 5.7.0"},
		{"another's sender domain", append(login, "--tls", "--auth", "PLAIN", "--from", "a@bank.example"), false, "550 5.7.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, ok := swaks(t, append(append([]string{}, base...), c.args...)...)
			if ok != c.ok || !strings.Contains(out, c.say) {
				t.Errorf("success %v, want %v with %q:\n%s", ok, c.ok, c.say, out)
			}
		})
	}
	until(t, 20*time.Second, "the two messages", func() bool { return w.Sum().Delivered == 2 })
	p.ask("account", "suspend", "shop", "--why", "stolen password")
	until(t, 5*time.Second, "the suspension", func() bool {
		out, _ := swaks(t, append(append([]string{}, base...), append(login, "--tls", "--auth", "PLAIN")...)...)
		return strings.Contains(out, "550 5.7.1") || strings.Contains(out, "535")
	})
}

func TestAStrangerMayNotRelayAndAnOpenRelayDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	conf := write(t, dir, "open.toml", `
		[[listener]]
		address = "127.0.0.1:0"
		relay = ["0.0.0.0/0"]
	`)
	out, err := exec.Command(ukaiBin, "serve", "--lang", "en", "--config", conf, "--data", filepath.Join(dir, "data")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "0.0.0.0/0") || !strings.Contains(string(out), "open.toml:3") {
		t.Errorf("an open relay: %v\n%s", err, out)
	}
	port := freePort(t)
	ukai(t, dir, fmt.Sprintf("[http]\nlisten = \"\"\n[[listener]]\naddress = \"127.0.0.1:%d\"\nrelay = [\"10.0.0.0/8\"]\n", port), port)
	said, ok := swaks(t, "--server", fmt.Sprintf("127.0.0.1:%d", port), "--from", "a@b.example", "--to", "c@d.example")
	if ok || !strings.Contains(said, "550 5.7.1") {
		t.Errorf("a stranger was let in:\n%s", said)
	}
}

func TestASecondInstanceOnTheSameDataIsRefusedWithWhatToDo(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	const rest = "relay = [\"127.0.0.0/8\"]\n[http]\nlisten = \"\"\n"
	p := ukai(t, dir, fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:%d\"\n", port)+rest, port)
	conf := write(t, dir, "second.toml", "[[listener]]\naddress = \"127.0.0.1:0\"\n"+rest)
	out, err := exec.Command(ukaiBin, "serve", "--lang", "en", "--config", conf, "--data", p.data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another ukai already uses") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = exec.Command(ukaiBin, "serve", "--lang", "ja", "--config", filepath.Join(dir, "ukai.toml"), "--data", filepath.Join(dir, "other")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "を使えません") {
		t.Errorf("a taken port: %v\n%s", err, out)
	}
}

func TestReloadKeepsSessionsAndTakesTheNewEgresses(t *testing.T) {
	w := googleWorld(t, peersim.Rule{Name: "low reputation", Match: peersim.Match{Phase: peersim.EndOfData, Sources: prefix(ownIP)}, Reply: "google-ip"})
	p, port := frontUkai(t, w, "")
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := textproto.NewReader(bufio.NewReader(conn))
	say := func(line string, want int) {
		t.Helper()
		if line != "" {
			fmt.Fprint(conn, line+"\r\n")
		}
		if _, _, err := c.ReadResponse(want); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	say("", 220)
	say("EHLO web.example", 250)
	say("MAIL FROM:<a@sender.example>", 250)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "the reload", func() bool { return strings.Contains(readAll(t, p.log), "configuration reloaded") })
	say("RCPT TO:<b@gmail.com>", 250)
	say("DATA", 354)
	say("Subject: over a reload\r\n\r\nstill here\r\n.", 250)
	until(t, 20*time.Second, "the message", func() bool { return w.Sum().Delivered == 1 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadResponse(421); err != nil {
		t.Errorf("an idle session is not told of the shutdown: %v", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("ukai ended with %v", err)
	}
	p.cmd = nil
}
