package app

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/i18n"
	"ukai/internal/systemd"
)

// settings are the defaults on free ports of loopback, with a resolver that nobody is.
func settings(t *testing.T) *config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "app") // t.TempDir may leave no room for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c := config.Default()
	c.Data = filepath.Join(dir, "data")
	c.Hostname = "mx.example.jp"
	c.HTTP.Listen = "127.0.0.1:0"
	c.DNS.Servers = []string{"127.0.0.1:1"}
	c.DNS.Timeout = 100 * time.Millisecond
	c.Queue.MinFree = 1
	c.Listeners = []config.Listener{{Name: "in", Address: "127.0.0.1:0", Relay: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TLS: config.StartTLS, Auth: config.AuthOff}}
	return c
}

// logs is a log that a test reads while it is written.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after 30 s there is still no %s", what)
		}
	}
}

// running starts an App and returns it with what stops it and returns Run's error.
func running(t *testing.T, c *config.Config, o Options) (*App, func() error) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a, err := New(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			return errors.New("it does not end")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return a, stop
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// taken is an address that somebody listens at.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestWhatKeepsItFromStartingIsToldWithWhatToDo(t *testing.T) {
	for name, spoil := range map[string]struct {
		with   func(t *testing.T, c *config.Config)
		key    string
		en, ja string
	}{
		"the data directory is a file": {
			func(t *testing.T, c *config.Config) { write(t, c.Data, "") }, "app.data.make", "--data", "--data で別の場所"},
		"the data directory cannot be written to": {
			func(_ *testing.T, c *config.Config) { c.Data = "/proc/self" }, "app.data.write", "chown", "chown"},
		"another ukai is there": {
			func(t *testing.T, c *config.Config) { other := *c; running(t, &other, Options{}) }, "app.data.locked", "Stop that one", "そちらを停止"},
		"the queue is a file": {
			func(t *testing.T, c *config.Config) { write(t, filepath.Join(c.Data, "queue"), "") }, "app.data.queue", "safe", "無事"},
		"the database is none": {
			func(t *testing.T, c *config.Config) {
				write(t, filepath.Join(c.Data, DatabaseName), strings.Repeat("no database ", 1000))
			}, "app.data.database", "restore", "復元"},
		"the port is taken": {
			func(t *testing.T, c *config.Config) { c.Listeners[0].Address = taken(t) }, "app.listen", "ss -ltnp", "ss -ltnp"},
		"the port of HTTP is taken": {
			func(t *testing.T, c *config.Config) { c.HTTP.Listen = taken(t) }, "app.listen", "ss -ltnp", "ss -ltnp"},
		"the path of the socket is too long": {
			func(_ *testing.T, c *config.Config) {
				c.Data = filepath.Join(filepath.Dir(c.Data), strings.Repeat("x", 100))
			}, "api.socket_long", "--data", "--data"},
		"the socket's place is not free": {
			func(t *testing.T, c *config.Config) { write(t, filepath.Join(c.Data, api.SocketName, "x"), "") }, "app.socket", "Remove", "取り除"},
		"a certificate that is none": {
			func(t *testing.T, c *config.Config) {
				c.Listeners[0].Cert = write(t, c.Data+".pem", "no certificate")
				c.Listeners[0].Key = c.Listeners[0].Cert
			}, "app.cert.read", "config check", "config check"},
		"an authority that is none": {
			func(t *testing.T, c *config.Config) {
				c.Listeners[0].ClientCA = write(t, c.Data+".pem", "no certificate")
			}, "app.ca.read", "PEM", "PEM"},
		"an authority that is not there": {
			func(_ *testing.T, c *config.Config) { c.Listeners[0].ClientCA = "/none.pem" }, "app.ca.read", "PEM", "PEM"},
		"a DKIM key that is none": {
			func(t *testing.T, c *config.Config) {
				c.DKIM = []config.DKIM{{Domain: "example.jp", Selector: "s", Key: write(t, c.Data+".pem", "no key")}}
			}, "app.dkim.read", "openssl genpkey", "openssl genpkey"},
		"a DKIM key that is not there": {
			func(_ *testing.T, c *config.Config) {
				c.DKIM = []config.DKIM{{Domain: "example.jp", Selector: "s", Key: "/none.pem"}}
			}, "app.dkim.read", "openssl genpkey", "openssl genpkey"},
	} {
		t.Run(name, func(t *testing.T) {
			c := settings(t)
			good := *c
			good.Listeners = []config.Listener{c.Listeners[0]}
			spoil.with(t, c)
			a, err := New(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler)})
			if err == nil {
				t.Fatal("it starts", a.Close())
			}
			var e *i18n.Error
			if !errors.As(err, &e) || e.Key != spoil.key {
				t.Fatalf("%v, want %s", err, spoil.key)
			}
			if en, ja := i18n.ErrorText(i18n.EN, err), i18n.ErrorText(i18n.JA, err); !strings.Contains(en, spoil.en) || !strings.Contains(ja, spoil.ja) || en == ja {
				t.Errorf("it does not say what to do:\n%s\n%s", en, ja)
			}
			if name == "another ukai is there" || name == "the data directory is a file" || strings.HasPrefix(name, "the queue") || strings.HasPrefix(name, "the database") || spoil.key == "app.socket" {
				return
			}
			b, err := New(t.Context(), &good, Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatalf("what failed left something open: %v", err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTwoOfThemLiveInOneProcessAndAnswerAtTheirDoors(t *testing.T) {
	for range 2 {
		c := settings(t)
		a, stop := running(t, c, Options{Version: "v9"})
		socket := filepath.Join(c.Data, api.SocketName)
		if st, err := os.Stat(socket); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the control socket is open to others: %v, %v", st, err)
		}
		s, err := api.NewClient(c.Data).Status(t.Context())
		if err != nil || s.Version != "v9" || s.Mode != "act" {
			t.Errorf("%+v, %v", s, err)
		}
		resp, err := http.Get("http://" + a.doors.all[1].net.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("healthz: %s", resp.Status)
		}
		if a.Addr("in") == nil || a.Addr("out") != nil || a.Addr(submissionListener.Name) != nil {
			t.Error("the listeners are not those of the settings")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		var none *i18n.Error
		if _, err := api.NewClient(c.Data).Status(t.Context()); !errors.As(err, &none) || none.Key != "api.not_running" {
			t.Errorf("after the end: %v", err)
		}
		if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	}
}

func TestASocketLeftByAKillIsNoHindrance(t *testing.T) {
	c := settings(t)
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(c.Data, api.SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	running(t, c, Options{})
	if _, err := api.NewClient(c.Data).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWithoutAnHTTPAddressThereIsNoPublicDoor(t *testing.T) {
	c := settings(t)
	c.HTTP.Listen = ""
	a, _ := running(t, c, Options{})
	if len(a.doors.all) != 1 {
		t.Errorf("%d doors", len(a.doors.all))
	}
}

func TestWhatEndsAPartEndsAllWithItsCause(t *testing.T) {
	c := settings(t)
	a, err := New(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler), Inherited: systemd.Listeners{}})
	if err != nil {
		t.Fatal(err)
	}
	a.open[0].net.Close() // as if the system had taken it away
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listener in") {
		t.Errorf("it ends with %v", err)
	}
}
