package notify

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/classify"
	"ukai/internal/incident"
	"ukai/internal/store"
)

// told is a notice that a fake channel took.
type told struct {
	at      time.Time
	channel string
	news    incident.News
	notice  *Notice
}

// rig is a Notifier with fake channels: data that says which of them are broken.
type rig struct {
	t    *testing.T
	n    *Notifier
	log  lockedBuffer
	stop func()

	mu     sync.Mutex
	broken map[string]error
	slow   map[string]time.Duration // how long a channel takes to answer
	got    []told
}

// lockedBuffer is a log that goroutines may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fake is a channel that notes what it is given.
type fake struct {
	r    *rig
	name string
}

func (f *fake) Send(ctx context.Context, m *Notice) error {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	if d := f.r.slow[f.name]; d > 0 {
		f.r.mu.Unlock()
		answered := wait(ctx, d)
		f.r.mu.Lock()
		if !answered {
			return ctx.Err()
		}
	}
	if err := f.r.broken[f.name]; err != nil {
		return err
	}
	f.r.got = append(f.r.got, told{time.Now(), f.name, m.News, m})
	return nil
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, broken: make(map[string]error), slow: make(map[string]time.Duration)}
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	r.open(db, o)
	r.stop = func() { _ = db.Close() }
	return r
}

func (r *rig) open(db *store.DB, o Options) {
	if len(o.Channels) == 0 {
		o.Channels = []ChannelOptions{{Name: "chat", Kind: Webhook}}
	}
	o.Quiet.Location = time.UTC
	n, err := Open(r.t.Context(), Parts{DB: db, Log: slog.New(slog.NewTextHandler(&r.log, nil)), Name: func(id string) string { return id }}, o)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range n.channels {
		c.sender = &fake{r, c.opts.Name}
	}
	r.n = n
}

// play runs f in a bubble with the notifier running; it begins at midnight UTC of 2000-01-01, the clock of synctest.
func play(t *testing.T, o Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		defer r.stop()
		end := r.run()
		f(r)
		end()
	})
}

func (r *rig) run() (end func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error)
	go func() { done <- r.n.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d) // the clock of the bubble
	synctest.Wait()
}

func (r *rig) breaks(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[channel] = errors.New("HTTP 500")
}

func (r *rig) mends(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.broken, channel)
}

// slows lets a channel take its time to answer; 0: none.
func (r *rig) slows(channel string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow[channel] = d
}

// heard returns what was told since the last time: "chat opened".
func (r *rig) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, g := range r.got {
		list = append(list, g.channel+" "+string(g.news))
	}
	r.got = nil
	return strings.Join(list, ", ")
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.heard(); got != want {
		r.t.Errorf("at %s: told %q, want %q", time.Now().UTC().Format("15:04:05"), got, want)
	}
}

func trouble(id int64, kind incident.Kind) incident.Incident {
	now := time.Now()
	return incident.Incident{ID: id, Cause: incident.Cause{Kind: kind, Place: "192.0.2.0/24"}, State: incident.Open, Began: now, Opened: now, Last: now,
		Blame: classify.BlameRange, Counts: incident.Tally{Refused: 3, Detoured: 3, Delivered: 3},
		Providers: []incident.Provider{{ID: "google", Refused: 3, URL: "https://support.google.com/mail/answer/188131"}}}
}

// event lets something happen to the incident 1.
func (r *rig) event(news incident.News) {
	r.happens(1, incident.Reputation, news)
}

func (r *rig) happens(id int64, kind incident.Kind, news incident.News) {
	i := trouble(id, kind)
	switch news {
	case incident.WasAcked:
		i.State, i.By = incident.Acked, "hanako"
	case incident.WasClosed:
		i.State, i.ClosedAt = incident.Closed, time.Now()
	}
	r.n.Handle(incident.Event{At: time.Now(), News: news, Incident: i})
	synctest.Wait()
}
