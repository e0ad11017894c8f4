package systemd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager is the side of the service manager: a datagram socket.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestEachStateIsOneDatagram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn := manager(t, path)
	n := NewNotifier(env("NOTIFY_SOCKET", path))
	for _, c := range []struct {
		what string
		send func() error
		want string
	}{
		{"ready", func() error { return n.Ready("3 listeners, 2 egresses") }, `^READY=1\nSTATUS=3 listeners, 2 egresses$`},
		{"reloading", n.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`},
		{"stopping", n.Stopping, `^STOPPING=1$`},
		{"status", func() error { return n.Status("draining") }, `^STATUS=draining$`},
		{"watchdog", n.Watchdog, `^WATCHDOG=1$`},
		{"a status of two lines stays one", func() error { return n.Status("a\nREADY=1") }, `^STATUS=a READY=1$`},
	} {
		t.Run(c.what, func(t *testing.T) {
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, conn); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("got %q, want %s", got, c.want)
			}
		})
	}
}

func TestAnAbstractSocketIsReached(t *testing.T) {
	name := "@ukai-test-" + strconv.Itoa(os.Getpid())
	conn := manager(t, name)
	if err := NewNotifier(env("NOTIFY_SOCKET", name)).Stopping(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, conn); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
}

func TestWithoutAManagerNothingIsSentAndNothingFails(t *testing.T) {
	for name, n := range map[string]*Notifier{"no variable": NewNotifier(env()), "nil": nil, "zero": {}} {
		if err := n.Ready("x"); err != nil || n.Enabled() {
			t.Errorf("%s: %v", name, err)
		}
		if err := n.Run(t.Context(), func() bool { return true }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAManagerThatIsGoneIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone")
	if err := NewNotifier(env("NOTIFY_SOCKET", path)).Ready(""); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}

func TestTheWatchdogIsForTheProcessThatIsMeant(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct {
		env  func(string) string
		want time.Duration
	}{
		"not asked for":            {env(), 0},
		"for everybody":            {env("WATCHDOG_USEC", "3000000"), 3 * time.Second},
		"for this process":         {env("WATCHDOG_USEC", "3000000", "WATCHDOG_PID", me), 3 * time.Second},
		"for another":              {env("WATCHDOG_USEC", "3000000", "WATCHDOG_PID", "1"), 0},
		"not a number":             {env("WATCHDOG_USEC", "soon"), 0},
		"a number that is no time": {env("WATCHDOG_USEC", "-5"), 0},
	} {
		if got := NewNotifier(c.env).Interval(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTheWatchdogIsFedOnlyWhileTheServiceIsAlive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn := manager(t, path)
	n := NewNotifier(env("NOTIFY_SOCKET", path, "WATCHDOG_USEC", "2000"))
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int32
	done := make(chan error)
	go func() { done <- n.Run(ctx, func() bool { return asked.Add(1)%2 == 0 }) }()
	for range 3 {
		if got := receive(t, conn); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := asked.Load(); got < 6 {
		t.Errorf("three signs of life after %d questions of which every second was answered with yes", got)
	}
}
