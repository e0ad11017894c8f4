package steer

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/provider"
	"ukai/internal/store"
)

// desk is a Steer with a book of health and a world of domains.
type desk struct {
	*Steer
	t      *testing.T
	health *health.Book

	mu    sync.Mutex
	world map[string]provider.ID
	asked map[string]int
	told  []Told
	hang  chan struct{} // not nil: the DNS answers when it is closed
}

func newDesk(t *testing.T, o Options) *desk {
	t.Helper()
	cat, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &desk{t: t, world: map[string]provider.ID{}, asked: map[string]int{}}
	log := slog.New(slog.DiscardHandler)
	d.health = health.New(health.Options{OnChange: func(c health.Change) {
		if d.Steer != nil {
			d.Changed(c)
		}
	}}, log)
	d.Steer, err = Open(t.Context(), Parts{
		Health: d.health, Providers: cat, DB: db, Log: log, Receives: d.receives,
		Check: func(server, secret string) bool { return secret == "secret of "+server },
		Observe: func(told *Told) bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.told = append(d.told, *told)
			return told.Outcome.Reply.Code == 550
		},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) receives(ctx context.Context, domain string) provider.ID {
	d.mu.Lock()
	d.asked[domain]++
	id, hang := d.world[domain], d.hang
	d.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ""
		}
	}
	return id
}

// run runs it to the end of the test.
func (d *desk) run() {
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	d.t.Cleanup(func() { cancel(); <-done })
}

func (d *desk) set(list ...Server) {
	d.t.Helper()
	if err := d.Set(d.t.Context(), list); err != nil {
		d.t.Fatal(err)
	}
}

// block shuts a path by evidence; the probe is due about a minute later.
func (d *desk) block(egress, id string, at time.Time) {
	d.t.Helper()
	for i := range 4 {
		d.health.Observe(health.Evidence{
			At: at, Key: health.Key{Egress: egress, Provider: id}, MsgID: strconv.Itoa(i),
			Outcome: outcome.Outcome{At: at, Phase: outcome.EndOfData, Reply: mail.Reply{Code: 550}, Egress: egress, Provider: id},
			Verdict: classify.Verdict{Class: "ip_reputation", Blame: classify.BlameIP, Scope: classify.ScopeIP, Action: classify.Fail, Detour: true, Reputation: true},
		})
	}
	if p := d.health.Path(egress, id); !p.Shut() {
		d.t.Fatalf("%s to %s is %s", egress, id, p.State)
	}
}

// detours asks for one recipient and tells whether it takes the detour.
func (d *desk) detours(name, key string, now time.Time) bool {
	d.t.Helper()
	srv := d.named([]byte(name))
	if srv == nil {
		d.t.Fatalf("no server %q", name)
	}
	domain := domainOf([]byte(key), nil)
	return domain != nil && d.route(srv, []byte(key), domain, now)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// newFuzzDesk is a Steer without a database and without domains.
func newFuzzDesk(f *testing.F) *Steer {
	cat, err := provider.Load()
	if err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := &Steer{Parts: Parts{
		Health: health.New(health.Options{}, log), Providers: cat, Log: log,
		Check: func(string, string) bool { return true }, Observe: func(*Told) bool { return true },
	}, cache: newCache(1024), ask: make(chan string), opts: Options{Keep: time.Hour}}
	srv := &server{name: "web1"}
	srv.Store(&Server{Name: "web1", Answer: "ukai:[127.0.0.1]:2525"})
	s.byName.Store(&map[string]*server{"web1": srv})
	s.only.Store(srv)
	return s
}
