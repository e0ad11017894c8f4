package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/outcome"
	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// hub plays the ukai that knows all.
type hub struct {
	mu      sync.Mutex // guards the fields below
	away    error
	domains []string
	version int
	asked   int
	batches map[string]int
	told    []string // recipients
	drift   []servers.Drift
}

func (h *hub) Tell(_ context.Context, batch string, list []watch.Told) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away != nil {
		return h.away
	}
	if len(list) > Batch {
		return errors.New("too many")
	}
	if h.batches == nil {
		h.batches = make(map[string]int)
	}
	h.batches[batch]++
	for _, t := range list {
		h.told = append(h.told, t.Recipient)
	}
	return nil
}

func (h *hub) Detours(_ context.Context, tag string) (d steer.Detours, next string, changed bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if h.away != nil {
		return d, "", false, h.away
	}
	next = fmt.Sprint("v", h.version)
	return steer.Detours{Domains: h.domains}, next, tag != next, nil
}

func (h *hub) Drift(_ context.Context, d servers.Drift) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drift = append(h.drift, d)
	return h.away
}

// set changes what the hub says.
func (h *hub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	change()
}

// played is a log whose lines a test writes.
type played chan watch.Observation

func (p played) Name() string { return "log" }

func (p played) Run(ctx context.Context, see func(watch.Observation)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-p:
			see(o)
		}
	}
}

// box is a mail server with one file of routes.
func box(t *testing.T) (Server, func() string) {
	t.Helper()
	root := t.TempDir()
	const path = "/etc/postfix/ukai"
	real := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(real, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := mtaconf.RouteFile{Path: path, Format: mtaconf.PostfixTransport, Value: "ukai:[hub.example]:587, {domain}"}
	return Server{Name: "web1", Root: root, Routes: []mtaconf.RouteFile{f}}, func() string {
		t.Helper()
		b, err := os.ReadFile(real)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return strings.Join(lines, "|")
	}
}

// serve runs an Agent in the bubble of the test; stop ends it and waits.
func serve(t *testing.T, o Options) (stop func()) {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = New(o).Run(ctx) // it returns nil
	}()
	return func() {
		cancel()
		<-done
	}
}

const detour = "ukai:[hub.example]:587, "

func TestTheFilesFollowTheHub(t *testing.T) {
	server, file := box(t)
	synctest.Test(t, func(t *testing.T) {
		h := &hub{domains: []string{"gmail.com"}}
		defer serve(t, Options{Server: server, Hub: h})()
		step(5 * time.Second)
		if got := file(); got != "gmail.com "+detour+"gmail.com" && got != "gmail.com\t"+detour+"gmail.com" {
			t.Errorf("%q", got)
		}
		h.set(func() { h.domains = append(h.domains, "shop.example") })
		step(5 * time.Second)
		if got := file(); !strings.Contains(got, "shop.example") {
			t.Errorf("after a change: %q", got)
		}
		h.set(func() { h.domains = nil })
		step(5 * time.Second)
		if got := file(); got != "" {
			t.Errorf("after the end: %q", got)
		}
	})
}

// step lets time pass, in the bubble's clock.
func step(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheFilesStayForAWhileWhenTheHubIsAwayAndAreThenEmptied(t *testing.T) {
	server, file := box(t)
	synctest.Test(t, func(t *testing.T) {
		h := &hub{domains: []string{"gmail.com"}}
		defer serve(t, Options{Server: server, Hub: h})()
		step(5 * time.Second)
		h.set(func() { h.away = errors.New("no route to host") })
		step(9 * time.Minute)
		if got := file(); got == "" {
			t.Error("a hub that is restarted sends the mail back against the wall")
		}
		step(2 * time.Minute)
		if got := file(); got != "" {
			t.Errorf("after 11 minutes without a hub: %q", got)
		}
		h.set(func() { h.away = nil; h.version-- }) // it says what it said before
		step(5 * time.Second)
		if got := file(); got == "" {
			t.Error("the hub is back, the routes are not")
		}
	})
}

func TestAHubThatDoesNotKnowTheServerTakesNoMailOfIt(t *testing.T) {
	server, file := box(t)
	synctest.Test(t, func(t *testing.T) {
		h := &hub{domains: []string{"gmail.com"}}
		defer serve(t, Options{Server: server, Hub: h})()
		step(5 * time.Second)
		h.set(func() { h.away = fmt.Errorf("taken out: %w", servers.ErrUnknown) })
		step(5 * time.Second)
		if got := file(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestAFileThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	server, file := box(t)
	etc := filepath.Join(server.Root, "etc")
	if err := os.Rename(etc, etc+".gone"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := &hub{domains: []string{"gmail.com"}}
		defer serve(t, Options{Server: server, Hub: h})()
		step(10 * time.Second)
		if err := os.Rename(etc+".gone", etc); err != nil {
			t.Fatal(err)
		}
		step(5 * time.Second)
		if got := file(); got == "" {
			t.Error("it was given up")
		}
	})
}

func seen(rcpt string) watch.Observation {
	return watch.Observation{Recipient: rcpt, Outcome: outcome.Outcome{At: time.Now(), Phase: outcome.EndOfData}}
}

func TestWhatIsSeenIsToldOnceEachAlsoWhenTheHubIsAwayForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := &hub{}, make(played)
		stop := serve(t, Options{Server: Server{Name: "web1"}, Hub: h, Source: log})
		const n = 1700
		for i := range n {
			if i == 600 {
				step(3 * time.Second)
				h.set(func() { h.away = errors.New("no route to host") })
			}
			log <- seen(fmt.Sprintf("u%d@example.com", i))
		}
		late := seen("late@example.com")
		late.Late = true
		log <- late
		step(2 * time.Minute)
		h.set(func() { h.away = nil })
		step(2 * time.Minute)
		log <- seen("last@example.com")
		synctest.Wait()
		stop() // at once: it has not been told yet
		if len(h.told) != n+1 || h.told[0] != "u0@example.com" || h.told[n-1] != "u1699@example.com" || h.told[n] != "last@example.com" {
			t.Errorf("%d told, %s to %s", len(h.told), h.told[0], h.told[len(h.told)-1])
		}
		for name, times := range h.batches {
			if times != 1 {
				t.Errorf("batch %s was taken %d times", name, times)
			}
		}
	})
}

func TestWhatIsKeptForAHubThatIsAwayIsBounded(t *testing.T) {
	a := New(Options{Log: slog.New(slog.DiscardHandler)})
	for i := range 2*maxKept + 1 {
		a.see(seen(fmt.Sprintf("u%d@example.com", i)))
	}
	if n := len(a.kept); n > maxKept || a.kept[n-1].Recipient != fmt.Sprintf("u%d@example.com", 2*maxKept) || a.dropped+n != 2*maxKept+1 {
		t.Errorf("%d kept, %d dropped, the last is %s", n, a.dropped, a.kept[n-1].Recipient)
	}
}

func TestDriftIsToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hub{}
		look := func(context.Context) ([]string, error) { return []string{"/etc/postfix/main.cf"}, nil }
		defer serve(t, Options{Server: Server{Name: "web1"}, Hub: h, Drift: look})()
		step(11 * time.Minute)
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.drift) != 2 || len(h.drift[0].Files) != 1 {
			t.Errorf("%+v", h.drift)
		}
		if h.asked < 2 {
			t.Errorf("without files the hub hears nothing of the server: %d", h.asked)
		}
	})
}
