package watch

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/provider"
)

// Parts are the rooms that the Hub works with.
type Parts struct {
	Health    *health.Book
	Journal   *journal.Journal
	Rules     *classify.Live
	Providers *provider.Catalogue
	// Lookup asks who receives for a domain, by its MX; "" when nobody knows. It is called by a few goroutines of the Hub, never
	// by a source, with a deadline in ctx.
	Lookup func(ctx context.Context, domain string) provider.ID
	Log    *slog.Logger
	// Seen, if not nil, is called with each observation that is not a repetition, after the Hub has placed it. It holds the
	// source up: it must be quick.
	Seen func(*Observation)
}

// Options are what the settings say. They are replaced as a whole by Configure.
type Options struct {
	// Egresses are the addresses that our egresses send from.
	Egresses map[string][]netip.Addr
	// Own are the names that ukai and its egresses go by: what is delivered to them comes to ukai, and is told by it.
	Own []string
	// Late is the age from which an observation is no news; 0: 10 minutes. It should be the window of package health: what is
	// older is not weighed there either.
	Late time.Duration
}

const defaultLate = 10 * time.Minute

// Entry is a Source with what it was made from: an Entry with another Print replaces the Source of the same name.
type Entry struct {
	Source Source
	Print  string
}

// Hub runs sources and turns what they see into evidence. It is safe for concurrent use.
type Hub struct {
	Parts
	setup   setupBox
	lookups chan Observation
	known   answers
	repeats repeats

	mu      sync.Mutex // guards the fields below
	wanted  []Entry
	runners []*runner
	changed chan struct{} // capacity 1
}

// New returns a Hub without sources.
func New(p Parts, o Options) *Hub {
	h := &Hub{Parts: p, lookups: make(chan Observation, maxLookups), changed: make(chan struct{}, 1)}
	h.Configure(o)
	return h
}

// Configure replaces the options while the Hub is in use.
func (h *Hub) Configure(o Options) { h.setup.set(o) }

// Set replaces the sources. Those that are the same, by name and Print, go on; what a source remembers of where it stopped is
// kept under its name.
func (h *Hub) Set(entries []Entry) {
	h.mu.Lock()
	h.wanted = slices.Clone(entries)
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// Run runs the sources until ctx ends, and returns when all of them have.
func (h *Hub) Run(ctx context.Context) error {
	var askers sync.WaitGroup
	for range askersAtOnce {
		askers.Go(func() { h.ask(ctx) })
	}
	defer askers.Wait()
	for {
		select {
		case <-ctx.Done():
			h.reconcile(ctx, nil)
			return nil
		case <-h.changed:
			h.mu.Lock()
			wanted := h.wanted
			h.mu.Unlock()
			h.reconcile(ctx, wanted)
		}
	}
}

// reconcile ends the runners that are not wanted, waits for them, and starts those that are missing: two of one name would
// disagree about where they are.
func (h *Hub) reconcile(ctx context.Context, wanted []Entry) {
	var going, kept []*runner
	h.mu.Lock()
	for _, r := range h.runners {
		if slices.ContainsFunc(wanted, r.serves) {
			kept = append(kept, r)
			continue
		}
		r.stop()
		going = append(going, r)
	}
	h.mu.Unlock()
	for _, r := range going {
		<-r.done
	}
	for _, e := range wanted {
		if slices.ContainsFunc(kept, func(r *runner) bool { return r.serves(e) }) {
			continue
		}
		kept = append(kept, h.start(ctx, e))
	}
	h.mu.Lock()
	h.runners = kept
	h.mu.Unlock()
}

// runner keeps one source running.
type runner struct {
	Entry
	stop context.CancelFunc
	done chan struct{} // closed when it has ended

	mu      sync.Mutex // guards the fields below
	since   time.Time
	trouble error
	at      time.Time // of the trouble
	counts  Counts
}

func (r *runner) serves(e Entry) bool {
	return r.Source.Name() == e.Source.Name() && r.Print == e.Print
}

// The pauses before a source is started again.
const (
	firstPause = time.Second
	maxPause   = time.Minute
)

func (h *Hub) start(ctx context.Context, e Entry) *runner {
	ctx, cancel := context.WithCancel(ctx)
	r := &runner{Entry: e, stop: cancel, done: make(chan struct{}), since: time.Now()}
	go func() {
		defer close(r.done)
		h.keep(ctx, r)
	}()
	return r
}

// keep runs a source again and again. One that ran for longer than the longest pause has earned a short one.
func (h *Hub) keep(ctx context.Context, r *runner) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		began := time.Now()
		err := r.Source.Run(ctx, func(o Observation) { h.see(o, r) })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errEnded
		}
		h.tell(r, err)
		if time.Since(began) > maxPause {
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

var errEnded = errors.New("the source ended by itself")

// tell puts the trouble of a source into Status, and into the log when it is another one than before.
func (h *Hub) tell(r *runner, err error) {
	before := r.status().Trouble
	r.mu.Lock()
	r.trouble, r.at = err, time.Now()
	r.mu.Unlock()
	again := before != nil && before.Error() == err.Error()
	if !again {
		h.Log.Warn("source stopped, it is tried again", "source", r.Source.Name(), "error", err)
	}
}
