package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// connecting is a Postfix with a detour beside it, for `ukai connect`.
type connecting struct {
	*mta
	relay string
}

// connect runs `ukai connect postfix` on the server's root and returns what it prints and its exit code.
func (c *connecting) connect(args ...string) (string, int) {
	c.t.Helper()
	cmd := c.command(args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (c *connecting) command(args ...string) *exec.Cmd {
	cmd := exec.Command(ukaiBin, append([]string{"connect", "postfix", "--lang", "en", "--root", c.root, "--no-register"}, args...)...)
	cmd.Env = append(os.Environ(), "UKAI_DATA="+c.t.TempDir())
	return cmd
}

// must wants an exit code, and words in what is printed.
func (c *connecting) must(code int, words string, args ...string) string {
	c.t.Helper()
	out, got := c.connect(args...)
	if got != code || !strings.Contains(out, words) {
		c.t.Fatalf("ukai connect %s: exit %d, want %d and %q:\n%s", strings.Join(args, " "), got, code, words, out)
	}
	return out
}

// etc lists all that is in the server's /etc and in ukai's directory, with contents.
func (c *connecting) etc() []string {
	c.t.Helper()
	var all []string
	for _, dir := range []string{"etc", "var/lib"} {
		err := filepath.WalkDir(filepath.Join(c.root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || strings.HasPrefix(path, filepath.Join(c.root, "var/lib/postfix")) {
				return err
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			line := fmt.Sprintf("%s %s", path, st.Mode())
			if st.Mode().IsRegular() {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %v %q", st.ModTime(), text)
			}
			all = append(all, line)
			return nil
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return all
}

func (c *connecting) same(want []string) {
	c.t.Helper()
	got := c.etc()
	for _, l := range got {
		if !slices.Contains(want, l) {
			c.t.Errorf("differs, or is too much: %.300s", l)
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			c.t.Errorf("was there: %.300s", l)
		}
	}
}

func (c *connecting) main() string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.root, "etc/postfix/main.cf"))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func (c *connecting) setMain(text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.root, "etc/postfix/main.cf"), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func TestConnectTakesARealPostfixThereAndBack(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	c := &connecting{startMTA(t, "postfix"), d.peer().Address()}
	c.bring()
	was := c.etc()
	c.must(0, "To do it: ukai connect postfix", "--relay", c.relay)
	c.same(was)
	out := c.must(0, `"done": true`, "--relay", c.relay, "--apply", "--watch", "1s", "--json")
	var report struct {
		Running bool
		Seen    struct{ Blind bool }
		Changes []struct{ Path string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.Running || report.Seen.Blind || len(report.Changes) < 3 {
		t.Errorf("%v: %+v", err, report)
	}
	refuseServer(t, w)
	sent := c.submit(steeringGoogle(), 40, "net").Accepted
	arriveOnce(t, w, sent, 30*time.Second)
	if _, detoured := ways(w, sent); detoured != len(sent) {
		t.Errorf("%d of %d took the detour", detoured, len(sent))
	}
	connected := c.etc()
	c.must(0, "Nothing to do", "--apply", "--watch", "1s")
	c.same(connected)
	c.must(0, "All is well", "--status")

	edited := strings.Replace(c.main(), "smtp_mx_session_limit = 1\n", "", 1) + "message_size_limit = 12345678\n"
	edited = strings.Replace(edited, "mynetworks = 127.0.0.0/8\n", "# mine\nmynetworks = 127.0.0.0/8\n", 1)
	c.setMain(edited)
	c.must(1, `"smtp_mx_session_limit = 1" is not there any more`, "--status")
	c.must(0, "still in them", "--remove")
	var before string
	for _, l := range was {
		if strings.Contains(l, "/etc/postfix/main.cf ") {
			before = l
		}
	}
	want := strings.Replace(c.main(), "# mine\n", "", 1)
	want = strings.TrimSuffix(want, "message_size_limit = 12345678\n")
	if !strings.HasSuffix(before, fmt.Sprintf(" %q", want)) {
		t.Errorf("it was %s\nit is %q", before, c.main())
	}
	c.setMain(want)
	c.must(0, "nothing to do", "--remove")
	sent = c.submit(steeringOthers(), 20, "after").Accepted
	arriveOnce(t, w, sent, 30*time.Second)
	if direct, _ := ways(w, sent); direct != len(sent) {
		t.Errorf("afterwards %d of %d went as before", direct, len(sent))
	}
}

func TestConnectLeavesARealPostfixAsItWasWhenSomethingGoesWrong(t *testing.T) {
	d := startDetour(t, steeringWorld(t), "")
	c := &connecting{startMTA(t, "postfix"), d.peer().Address()}
	c.bring()
	was := c.etc()
	apply := []string{"--relay", c.relay, "--apply", "--watch", "0s", "--greet", "3s"}
	greets := func() {
		t.Helper()
		waitFor(t, fmt.Sprintf("127.0.0.1:%d", c.port), "220")
	}
	t.Run("the relay is Postfix itself", func(t *testing.T) {
		c.must(1, "is this postfix itself", "--relay", fmt.Sprintf("127.0.0.1:%d", c.port), "--apply")
	})
	t.Run("nobody answers at the relay, and all mail would wait", func(t *testing.T) {
		c.must(1, "ukai does not greet", "--relay", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--mode", "relay", "--apply")
	})
	c.same(was)
	t.Run("the configuration is broken already", func(t *testing.T) {
		good := c.main()
		c.setMain(good + "default_process_limit = many\nmail_owner = nobody-at-all\n")
		broken := c.etc()
		c.must(1, "in it already", apply...)
		c.same(broken)
		c.setMain(good)
	})
	was = c.etc() // main.cf was written again
	t.Run("the check fails with ukai in it", func(t *testing.T) {
		defer c.instead("/usr/sbin/postconf", `grep -q '^# ukai' /etc/postfix/main.cf && { echo "fatal: bad dictionary"; exit 1; }; exec /usr/sbin/postconf.real "$@"`)()
		c.must(2, "bad dictionary", apply...)
		c.same(was)
		greets()
	})
	t.Run("the reload fails", func(t *testing.T) {
		defer c.instead("/usr/sbin/postfix", `case "$*" in *reload*) grep -q '^# ukai' /etc/postfix/main.cf && { echo "fatal: no"; exit 1; };; esac; exec /usr/sbin/postfix.real "$@"`)()
		c.must(2, "Everything was put back", apply...)
		c.same(was)
		greets()
	})
	t.Run("Postfix does not come back", func(t *testing.T) {
		// With ukai in its configuration the reload leaves nobody listening: the port is another one.
		master := filepath.Join(c.root, "etc/postfix/master.cf")
		text, err := os.ReadFile(master)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf(`case "$*" in *reload*) if grep -q '^# ukai' /etc/postfix/main.cf; then sed -i 's/^127.0.0.1:%[1]d/127.0.0.1:%[2]d/' /etc/postfix/master.cf; fi;; esac; exec /usr/sbin/postfix.real "$@"`, c.port, freePort(t))
		defer c.instead("/usr/sbin/postfix", script)()
		c.must(2, "does not greet at 127.0.0.1:"+fmt.Sprint(c.port), apply...)
		// What the script did to master.cf counts as an edit of somebody's: it stays, and is put right by hand.
		if err := os.WriteFile(master, text, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	c.program("", "/usr/sbin/postfix", "-c", "/etc/postfix", "reload")
	greets()
}

// instead puts a script in the place of a program of the server, which is beside it under the name with .real.
func (c *connecting) instead(path, script string) (back func()) {
	c.t.Helper()
	full := filepath.Join(c.root, path)
	if err := os.Rename(full, full+".real"); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := os.Rename(full+".real", full); err != nil {
			c.t.Error(err)
		}
	}
}

func TestConnectKilledAtAnyMomentLeavesAPostfixThatWorks(t *testing.T) {
	d := startDetour(t, steeringWorld(t), "")
	c := &connecting{startMTA(t, "postfix"), d.peer().Address()}
	c.bring()
	was := c.etc()
	journal := filepath.Join(c.root, "var/lib/ukai/connect/postfix/journal.json")
	has := func(file, word string) func() bool {
		return func() bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), word)
		}
	}
	for _, moment := range []struct {
		name  string
		come  func() bool
		fresh bool // the new configuration is what the next call finds
	}{
		{"when the journal is there", has(journal, `"phase"`), false},
		{"when the files are being written", has(journal, `"writing"`), false},
		{"when main.cf is written", has(filepath.Join(c.root, "etc/postfix/main.cf"), "# ukai"), false},
		{"while the first deliveries are watched", has(journal, `"watching"`), true},
	} {
		cmd := c.command("--relay", c.relay, "--apply", "--watch", "30s")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, 60*time.Second, moment.name, moment.come)
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it says: killed
		out, code := c.connect("--status")
		if code != 0 || strings.Contains(out, "is not connected") == moment.fresh {
			t.Fatalf("killed %s: exit %d\n%s", moment.name, code, out)
		}
		if moment.fresh {
			c.must(0, "to the byte", "--remove")
		}
		c.same(was)
		waitFor(t, fmt.Sprintf("127.0.0.1:%d", c.port), "220")
	}
}
