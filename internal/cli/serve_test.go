package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

// fake is a server that says what it is told.
type fake struct {
	started  chan *config.Config // its first settings, when Run began
	reloaded chan *config.Config
	first    *config.Config
	answers  chan error // to each reload
	end      error      // of Run
}

func (f *fake) Run(ctx context.Context) error {
	f.started <- f.first
	<-ctx.Done()
	return f.end
}

func (f *fake) Reload(_ context.Context, c *config.Config) error {
	f.reloaded <- c
	return <-f.answers
}

// service runs "ukai serve" with a fake in place of the server.
func service(t *testing.T, f *fake, args ...string) (end func() (code int, log string)) {
	t.Helper()
	var out, errs strings.Builder
	e := at(&out, &errs, nil)
	e.start = func(_ context.Context, c *config.Config, _ serveOptions) (server, error) {
		f.first = c
		return f, nil
	}
	code := make(chan int, 1)
	go func() { code <- run(append([]string{"serve"}, args...), e) }()
	return func() (int, string) { return receive(t, code), errs.String() }
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened for 20 s")
		panic("unreachable")
	}
}

func signalSelf(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func newFake() *fake {
	return &fake{started: make(chan *config.Config, 1), reloaded: make(chan *config.Config, 1), answers: make(chan error, 2)}
}

func TestServeRunsUntilItIsToldToStop(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "ctrl-C": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			end := service(t, f, "--data", "here")
			if c := receive(t, f.started); c.Data != "here" {
				t.Errorf("data in %q", c.Data)
			}
			signalSelf(t, sig)
			if code, log := end(); code != exitDone {
				t.Errorf("exit %d: %s", code, log)
			}
		})
	}
}

func TestAHangupReadsTheSettingsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ukai.toml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mode = \"act\"\n")
	f := newFake()
	f.answers <- nil
	f.answers <- errors.New("port in use")
	end := service(t, f, "--config", path)
	if c := receive(t, f.started); c.Mode != config.Act {
		t.Errorf("it starts in mode %s", c.Mode)
	}
	write("mode = \"observe\"\n")
	signalSelf(t, syscall.SIGHUP)
	if c := receive(t, f.reloaded); c.Mode != config.Observe {
		t.Errorf("it reloads mode %s", c.Mode)
	}
	signalSelf(t, syscall.SIGHUP)
	receive(t, f.reloaded)
	signalSelf(t, syscall.SIGTERM)
	code, log := end()
	if code != exitDone || strings.Count(log, "settings not reloaded") != 1 || !strings.Contains(log, "port in use") {
		t.Errorf("exit %d: %s", code, log)
	}
}

func TestBrokenSettingsAreToldAndNotTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ukai.toml")
	if err := os.WriteFile(path, []byte("mode = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	e := at(&out, &errs, nil)
	e.lang, e.configFlag = i18n.EN, path
	f := newFake()
	hangups := make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.reloads(ctx, hangups, f, &serveOptions{Log: newLogger(&errs, config.Log{Level: "info", Format: "json"})})
	}()
	hangups <- syscall.SIGHUP
	cancel()
	receive(t, done)
	var line map[string]any
	if err := json.Unmarshal([]byte(errs.String()), &line); err != nil || len(f.reloaded) > 0 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	if line["where"] != path+":1:8" || line["key"] != "mode" || line["msg"] != "settings not reloaded" {
		t.Errorf("it says %s", errs.String())
	}
}

func TestAServerThatFailsEndsServe(t *testing.T) {
	f := newFake()
	f.end = errors.New("disk on fire")
	end := service(t, f)
	receive(t, f.started)
	signalSelf(t, syscall.SIGTERM)
	if code, log := end(); code != exitFailed || !strings.Contains(log, "disk on fire") {
		t.Errorf("exit %d: %s", code, log)
	}
}

func TestTheLogHasTheLevelAndTheFormOfTheSettings(t *testing.T) {
	var b strings.Builder
	l := newLogger(&b, config.Log{Level: "warn", Format: "text"})
	l.Info("quiet")
	l.Warn("loud")
	if got := b.String(); !strings.Contains(got, "level=WARN msg=loud") || strings.Contains(got, "quiet") {
		t.Errorf("got %q", got)
	}
	for _, level := range []config.Level{"debug", "info", "warn", "error"} {
		if newLogger(&b, config.Log{Level: level, Format: "json"}).Enabled(t.Context(), slog.LevelDebug) != (level == "debug") {
			t.Errorf("level %s", level)
		}
	}
}
