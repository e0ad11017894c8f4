package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// bind starts a private BIND with one zone on 127.0.0.1 and returns its address.
func bind(t *testing.T, zone, records string) string {
	t.Helper()
	program := need(t, "named", "bind9")
	dir, err := os.MkdirTemp("", "ukai-named-")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	write(t, dir, "zone", fmt.Sprintf("$TTL 60\n@ IN SOA ns.%[1]s. admin.%[1]s. 1 3600 600 86400 60\n@ IN NS ns.%[1]s.\nns IN A 127.0.0.1\n%[2]s\n", zone, records))
	conf := write(t, dir, "named.conf", fmt.Sprintf(`
		options { directory %[1]q; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
		          session-keyfile "%[1]s/session.key"; allow-query { any; }; };
		zone %[3]q { type primary; file "%[1]s/zone"; };
	`, dir, port, zone))
	cmd := exec.Command(program, "-g", "-c", conf)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		os.RemoveAll(dir)
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	until(t, 20*time.Second, "BIND answers:\n"+tail(log.Name()), func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

// TestMXFromBINDLeadsToPostfixBehind sends by smtp-source to a domain whose first MX host is dead, over records that a real name
// server gives, into a real mail server.
func TestMXFromBINDLeadsToPostfixBehind(t *testing.T) {
	source := need(t, "smtp-source", "postfix")
	port := freePort(t)
	ns := bind(t, "example", `
behind   IN MX 5  dead.behind
behind   IN MX 10 mx.behind
dead.behind IN A 127.0.0.77
mx.behind   IN A 127.0.0.1
alias    IN CNAME behind
plain    IN A 127.0.0.1
null     IN MX 0 .
`)
	log := postfix(t, port, "myhostname = mx.behind.example\nmydestination = behind.example, alias.example, plain.example, sender.example\nlocal_transport = discard:\nlocal_recipient_maps =")
	dir, in := t.TempDir(), freePort(t)
	p := ukai(t, dir, fmt.Sprintf(`
		hostname = "ukai.example"
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		relay = ["127.0.0.0/8"]
		[[egress]]
		name = "direct"
		port = %d
	`, ns, in, port), in)
	const each = 50
	domains := []string{"behind.example", "alias.example", "plain.example"}
	for _, d := range domains {
		out, err := exec.Command(source, "-s", "5", "-m", fmt.Sprint(each), "-f", "me@plain.example", "-t", "you@"+d, fmt.Sprintf("127.0.0.1:%d", in)).CombinedOutput()
		if err != nil {
			t.Fatalf("smtp-source: %v %s", err, out)
		}
	}
	sent := regexp.MustCompile(`to=<you@(\w+\.example)>.*status=sent`)
	count := func() map[string]int {
		n := map[string]int{}
		for _, m := range sent.FindAllStringSubmatch(readAll(t, log), -1) {
			n[m[1]]++
		}
		return n
	}
	until(t, 60*time.Second, "all mail behind Postfix", func() bool {
		n := count()
		return n[domains[0]]+n[domains[1]]+n[domains[2]] >= each*len(domains)
	})
	for _, d := range domains {
		if n := count()[d]; n != each {
			t.Errorf("%s got %d, want %d", d, n, each)
		}
	}
	// A null MX (RFC 7505) is a bounce at once, to the sender, who is behind the same Postfix.
	out, err := exec.Command(source, "-f", "me@plain.example", "-t", "you@null.example", fmt.Sprintf("127.0.0.1:%d", in)).CombinedOutput()
	if err != nil {
		t.Fatalf("smtp-source: %v %s", err, out)
	}
	until(t, 20*time.Second, "the bounce", func() bool { return strings.Contains(readAll(t, log), "to=<me@plain.example>") })
	until(t, 20*time.Second, "an empty queue", func() bool { return strings.Contains(p.ask("queue", "list", "--lang", "en"), "nothing is waiting") })
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
