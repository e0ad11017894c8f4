package unclassified

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/outcome"
	"ukai/internal/store"
)

// Entry is one reply that no rule knows, masked, with how often it came.
type Entry struct {
	ID       int64     `json:"id"`
	Provider string    `json:"provider,omitempty"` // who said it
	Text     string    `json:"text"`               // masked; what differs only in what is masked is one entry
	Phase    string    `json:"phase"`              // of the first one, see outcome.Phase
	Code     int       `json:"code"`               // of the first one
	Egress   string    `json:"egress,omitempty"`   // over which the last one came
	Count    int64     `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Options are the limits of a Keeper. Zero fields take the defaults.
type Options struct {
	Most    int // entries that are kept; default 5,000
	Pending int // different replies that wait to be written; default 500
}

// Keeper keeps replies that no rule knows. It is safe for concurrent use.
type Keeper struct {
	db   *store.DB
	opts Options
	log  *slog.Logger
	wake chan struct{} // holds one: there is something to write

	mu      sync.Mutex // guards the fields below
	pending map[key]*Entry
	dropped int64
}

// key is what makes two replies the same.
type key struct{ provider, text string }

// Open prepares the table in the control database.
func Open(ctx context.Context, db *store.DB, opts Options, log *slog.Logger) (*Keeper, error) {
	if opts.Most <= 0 {
		opts.Most = 5000
	}
	if opts.Pending <= 0 {
		opts.Pending = 500
	}
	if err := db.Migrate(ctx, "unclassified", migrations...); err != nil {
		return nil, fmt.Errorf("open the unclassified replies: %w", err)
	}
	return &Keeper{db: db, opts: opts, log: log, wake: make(chan struct{}, 1), pending: make(map[key]*Entry)}, nil
}

// Note takes the outcome in if no rule knew it; anything else is none of its business. It never waits: it is called from the
// goroutines that send. If more different replies come than can be written, they are dropped and counted.
func (k *Keeper) Note(o *outcome.Outcome, v classify.Verdict, now time.Time) {
	if v.Class != classify.Unclassified || o.Reply.Code == 0 {
		return
	}
	e := Entry{Provider: o.Provider, Text: Mask(o.Text()), Phase: o.Phase.String(), Code: o.Reply.Code, Egress: o.Egress, Count: 1, First: now, Last: now}
	k.mu.Lock()
	k.noteLocked(&e)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // Run knows already
	}
}

func (k *Keeper) noteLocked(e *Entry) {
	id := key{e.Provider, e.Text}
	if have, ok := k.pending[id]; ok {
		have.Count += e.Count
		have.Egress = e.Egress
		if e.Last.After(have.Last) {
			have.Last = e.Last
		}
		if e.First.Before(have.First) {
			have.First = e.First
		}
		return
	}
	if len(k.pending) >= k.opts.Pending {
		k.dropped += e.Count
		return
	}
	k.pending[id] = e
}

// Dropped returns how many replies were not kept because too many different ones came at once.
func (k *Keeper) Dropped() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropped
}

// Run writes what was noted until ctx ends, and then what is left. It writes at most once a second, so that a storm of refusals
// does not become a storm of writes.
func (k *Keeper) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return k.Flush(context.WithoutCancel(ctx))
		case <-k.wake:
		}
		if err := k.Flush(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("unclassified replies not written", "error", err)
		}
		pause.Reset(time.Second)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

// Flush writes what was noted. What cannot be written is noted again.
func (k *Keeper) Flush(ctx context.Context) error {
	k.mu.Lock()
	batch := k.pending
	k.pending = make(map[key]*Entry)
	k.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := k.write(ctx, batch)
	if err != nil {
		k.mu.Lock()
		for _, e := range batch {
			k.noteLocked(e)
		}
		k.mu.Unlock()
	}
	return err
}
