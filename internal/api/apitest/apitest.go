// Package apitest is an inside of ukai that stands still: a queue, a book of paths and a journal with a story in them, at a
// fixed moment, behind real doors. What is asked for, and what is shown of it, is then the same in every run.
package apitest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/store"
	"ukai/internal/suppress"
	"ukai/internal/unclassified"
)

// Start is when the story begins, Now when the inside stands still.
var (
	Start = time.Date(2026, 4, 15, 9, 0, 0, 0, time.UTC)
	Now   = Start.Add(30 * time.Minute)
)

// Inside is what the doors lead to.
type Inside struct {
	api.Parts
	Queue *queue.Embedded

	mu  sync.Mutex // guards now
	now time.Time
}

// New opens an empty inside in a directory. It is closed at the end of the test.
func New(t testing.TB, dir string) *Inside {
	t.Helper()
	x := &Inside{now: Start}
	log := slog.New(slog.DiscardHandler)
	q, err := queue.Open(filepath.Join(dir, "queue"), queue.Options{Log: log, Now: x.Clock, MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := store.Open(filepath.Join(dir, "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	j, err := journal.Open(t.Context(), db, journal.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := classify.NewLive("")
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := unclassified.Open(t.Context(), db, unclassified.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	book, err := suppress.Open(t.Context(), db, suppress.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	x.Queue = q
	x.Parts = api.Parts{
		Store: q, Journal: j, Suppress: book, Log: log, Started: Start.Add(-50 * time.Hour), Version: "v1.2.3", Now: x.Clock,
		Mode: func() string { return "act" }, Egresses: func() []string { return []string{"direct", "relay"} },
		Rules: rules, Unclassified: unknown,
		Metrics: api.NewMetrics(func(id string) bool { return id != "example.net" }),
	}
	x.Health = health.New(health.Options{Rand: func() float64 { return 0.5 }, OnChange: func(c health.Change) {
		x.Dispatch.Note(c)
		x.Incidents.Moved(&c)
	}}, log)
	x.Incidents = incident.New(incident.Options{Place: func(string) string { return "192.0.2.0/24" }})
	if err := x.Incidents.Load(t.Context(), db, Start); err != nil {
		t.Fatal(err)
	}
	openCases(t, x, db)
	openNotify(t, x, db)
	openServers(t, x, db)
	x.Dispatch = dispatch.New(dispatch.Parts{Store: q, Health: x.Health, Journal: j, Log: log}, &dispatch.Ways{}, dispatch.Options{})
	x.Metrics.Watch(&x.Parts)
	return x
}

// Clock tells the time of the inside.
func (x *Inside) Clock() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

// At sets the time of the inside, counted from Start.
func (x *Inside) At(d time.Duration) time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = Start.Add(d)
	return x.now
}

// Serve opens the control door of the inside in a data directory.
func (x *Inside) Serve(t testing.TB, dir string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: api.Control(&x.Parts), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l) // until the end of the test
	}()
	t.Cleanup(func() {
		_ = s.Close() // ends the connections that clients keep
		<-served
	})
}

// Enqueue takes a message in as intake does, with its line in the journal.
func (x *Inside) Enqueue(t testing.TB, e mail.Envelope, content string) *mail.Envelope {
	t.Helper()
	if !e.Client.IsValid() {
		e.Client = netip.MustParseAddr("127.0.0.1")
	}
	d, err := x.Queue.Create(&e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	ev := journal.Event{At: e.Accepted, Msg: e.ID, Kind: journal.Accepted, From: e.From, Account: e.Account, MessageID: e.MessageID,
		Size: e.Size, Client: e.Client.String()}
	for _, r := range e.Recipients {
		ev.Recipients = append(ev.Recipients, r.Addr)
	}
	x.Journal.Record(ev)
	return &e
}

// Settle leases what is due of a message and settles it: next is the state of what stays, nil when nothing does.
func (x *Inside) Settle(t testing.TB, id mail.ID, next *queue.DeliveryState) {
	t.Helper()
	due, err := x.Queue.Lease(t.Context(), queue.LeaseQuery{Now: x.Clock(), Max: 100})
	if err != nil {
		t.Fatal(err)
	}
	settled := 0
	for _, d := range due {
		s := queue.Settlement{Key: d.Key, Next: d.State}
		if d.ID == id {
			settled++
			if s.Next = d.State; next == nil {
				s.Done = d.Recipients
			} else {
				s.Next = *next
			}
		}
		if err := x.Queue.Settle(s); err != nil {
			t.Fatal(err)
		}
	}
	if settled == 0 {
		t.Fatalf("nothing of message %s is due", id)
	}
}
