package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// postfix starts a private Postfix that listens on 127.0.0.1:port, and stops it at the end of the test. settings are lines
// of main.cf. It returns the path of its log.
func postfix(t *testing.T, port int, settings string) string {
	t.Helper()
	program := need(t, "postfix", "postfix")
	dir, err := os.MkdirTemp("", "ukai-postfix-") // t.TempDir is too deep for the daemon's sockets and closed to its user
	if err != nil {
		t.Fatal(err)
	}
	conf, data := filepath.Join(dir, "conf"), filepath.Join(dir, "data")
	for _, d := range []string{conf, data, filepath.Join(dir, "spool")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "postfix", data).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s (these tests run as root)", err, out)
	}
	log := filepath.Join(dir, "mail.log")
	write(t, conf, "main.cf", fmt.Sprintf(`
		compatibility_level = 3.6
		queue_directory = %[1]s/spool
		data_directory = %[1]s/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		mail_owner = postfix
		setgid_group = postdrop
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mynetworks = 127.0.0.0/8
		alias_maps =
		smtp_host_lookup = native
		smtpd_peername_lookup = no
		maillog_file = %[2]s
		maillog_file_prefixes = %[1]s
		%[3]s
	`, dir, log, settings))
	write(t, conf, "master.cf", fmt.Sprintf(`
		127.0.0.1:%d inet n - n - - smtpd
		pickup unix n - n 60 1 pickup
		cleanup unix n - n - 0 cleanup
		qmgr unix n - n 300 1 qmgr
		rewrite unix - - n - - trivial-rewrite
		bounce unix - - n - 0 bounce
		defer unix - - n - 0 bounce
		trace unix - - n - 0 bounce
		verify unix - - n - 1 verify
		flush unix n - n 1000? 0 flush
		proxymap unix - - n - - proxymap
		smtp unix - - n - - smtp
		relay unix - - n - - smtp
		showq unix n - n - - showq
		error unix - - n - - error
		retry unix - - n - - error
		discard unix - - n - - discard
		local unix - n n - - local
		anvil unix - - n - 1 anvil
		scache unix - - n - 1 scache
		postlog unix-dgram n - n - 1 postlogd
		tlsmgr unix - - n 1000? 1 tlsmgr
	`, port))
	if out, err := exec.Command(program, "-c", conf, "start").CombinedOutput(); err != nil {
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, tail(log))
	}
	t.Cleanup(func() {
		if out, err := exec.Command(program, "-c", conf, "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("postfix log:\n%s", tail(log))
		}
		os.RemoveAll(dir)
	})
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", port), "220")
	return log
}

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-6000):])
}
