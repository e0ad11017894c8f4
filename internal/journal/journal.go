// Package journal remembers what happened to every message and every path, so that "why did this go out by B?" always
// has an answer.
//
// An Event is written once and never changed. The mail path must not wait for it: Record puts the event into a buffer,
// and Run writes buffers to the control database in one transaction. A crash may lose the last second of events, never
// mail. When the database cannot follow, events are dropped and counted rather than mail delayed.
package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ukai/internal/mail"
	"ukai/internal/store"
)

// Kind says what an Event is about.
type Kind string

// The kinds of event of a message, in the order of a message's life, and those of a path.
const (
	Accepted Kind = "accepted" // ukai took responsibility
	Decided  Kind = "decided"  // a way other than the preferred one was chosen, or would have been
	Attempt  Kind = "attempt"  // one transaction with one host, for one or more recipients
	Deferred Kind = "deferred" // to be tried again at a time
	Held     Kind = "held"     // every way out is shut, or an admin holds it
	Bounced  Kind = "bounced"  // recipients failed for good; a report went to the sender where one was due
	Warned   Kind = "warned"   // the sender was told of the delay
	Ordered  Kind = "ordered"  // an admin held, released, retried or deleted it
	Reported Kind = "reported" // a report or another server's log told what became of it after it was handed over
	Moved    Kind = "moved"    // a path changed its state
)

// Event is one thing that happened. Fields that do not apply are empty.
type Event struct {
	At   time.Time `json:"at"`
	Msg  mail.ID   `json:"msg_id,omitzero"`
	Kind Kind      `json:"kind"`

	Recipients []string `json:"recipients,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	Egress     string   `json:"egress,omitempty"`
	Provider   string   `json:"provider,omitempty"`
	Would      string   `json:"would,omitempty"`     // observe mode: the egress act mode would have used
	Preferred  string   `json:"preferred,omitempty"` // the egress that would be used if all ways were open
	Detour     bool     `json:"detour,omitempty"`
	Probe      bool     `json:"probe,omitempty"`
	Why        string   `json:"why,omitempty"` // key of the message catalogue

	Host   string        `json:"host,omitempty"`
	Remote string        `json:"remote,omitempty"`
	TLS    string        `json:"tls,omitempty"`
	Phase  string        `json:"phase,omitempty"`
	Code   int           `json:"code,omitempty"`
	Text   string        `json:"text,omitempty"` // the reply or the trouble, whole
	Class  string        `json:"class,omitempty"`
	Blame  string        `json:"blame,omitempty"`
	Rule   string        `json:"rule,omitempty"`
	Source string        `json:"source,omitempty"` // Reported: who told, by the name in the settings
	Took   time.Duration `json:"took_ns,omitempty"`

	Until time.Time `json:"until,omitzero"` // deferred, held: the next attempt
	// Accepted: who sent what from where.
	From      string `json:"from,omitempty"`
	Client    string `json:"client,omitempty"`
	Account   string `json:"account,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	Size      int64  `json:"size,omitempty"`
	// Moved: from and to; Data holds the evidence.
	Before string          `json:"before,omitempty"`
	After  string          `json:"after,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// Options are the limits of a Journal. Zero fields take the defaults.
type Options struct {
	Keep   time.Duration // how long events are kept; default 30 days
	Buffer int           // events that may wait for the database; default 65,536, about 30 MB
	Flush  time.Duration // how often the buffer is written; default 500 ms
}

func (o *Options) defaults() {
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Buffer == 0 {
		o.Buffer = 65536
	}
	if o.Flush == 0 {
		o.Flush = 500 * time.Millisecond
	}
}

// Journal writes and reads events. It is safe for concurrent use.
type Journal struct {
	db   *store.DB
	log  *slog.Logger
	opts Options

	mu      sync.Mutex // guards the fields below
	buf     []Event
	spare   []Event
	dropped uint64
	warned  bool

	flushMu sync.Mutex    // one flush at a time, so that Sync waits for the one under way
	full    chan struct{} // capacity 1: the buffer is half full, do not wait for the timer
}

// Open prepares the journal's tables in db.
func Open(ctx context.Context, db *store.DB, opts Options, log *slog.Logger) (*Journal, error) {
	opts.defaults()
	if err := db.Migrate(ctx, "journal", migrations...); err != nil {
		return nil, err
	}
	return &Journal{db: db, log: log, opts: opts, full: make(chan struct{}, 1)}, nil
}

// Record remembers an event. It never blocks on the database; with a full buffer the event is dropped and counted.
func (j *Journal) Record(e Event) {
	j.mu.Lock()
	if len(j.buf) >= j.opts.Buffer {
		j.dropped++
		warn := !j.warned
		j.warned = true
		j.mu.Unlock()
		if warn {
			j.log.Warn("journal cannot keep up, events are dropped", "buffer", j.opts.Buffer)
		}
		return
	}
	j.buf = append(j.buf, e)
	half := len(j.buf) == j.opts.Buffer/2
	j.mu.Unlock()
	if half {
		select {
		case j.full <- struct{}{}:
		default:
		}
	}
}

// Dropped returns how many events were lost because the database could not follow.
func (j *Journal) Dropped() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped
}

// Run writes buffered events until ctx ends, then writes the rest.
func (j *Journal) Run(ctx context.Context) error {
	flush := time.NewTicker(j.opts.Flush)
	defer flush.Stop()
	prune := time.NewTicker(10 * time.Minute)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return j.Sync(context.WithoutCancel(ctx))
		case now := <-prune.C:
			if err := j.prune(ctx, now.Add(-j.opts.Keep)); err != nil {
				j.log.Warn("journal not pruned", "error", err)
			}
			continue
		case <-flush.C:
		case <-j.full:
		}
		if err := j.Sync(ctx); err != nil {
			j.log.Error("journal not written", "error", err)
		}
	}
}

// Sync writes all events that were recorded before the call. When the database refuses, they are kept for the next time.
func (j *Journal) Sync(ctx context.Context) error {
	j.flushMu.Lock()
	defer j.flushMu.Unlock()
	j.mu.Lock()
	batch := j.buf
	j.buf = j.spare[:0]
	j.spare = nil
	j.warned = false
	j.mu.Unlock()
	if len(batch) == 0 {
		j.recycle(batch)
		return nil
	}
	if err := j.write(ctx, batch); err != nil {
		j.mu.Lock()
		j.buf = append(batch, j.buf...)
		j.mu.Unlock()
		return fmt.Errorf("write %d events: %w", len(batch), err)
	}
	clear(batch)
	j.recycle(batch)
	return nil
}

// recycle keeps a written buffer for reuse, unless a burst made it large.
func (j *Journal) recycle(batch []Event) {
	if cap(batch) > 8192 {
		return
	}
	j.mu.Lock()
	j.spare = batch[:0]
	j.mu.Unlock()
}
