package health

import (
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/classify"
	"ukai/internal/store"
)

// Book keeps all paths. It is safe for concurrent use. A path that it has never heard of is healthy.
//
// Reading a path takes no lock: route asks several times for each message. The pages lie in shards whose maps are copied
// when a page is added, which is rare, and each page publishes what route needs to know as one value.
type Book struct {
	opts   Options
	log    *slog.Logger
	rules  atomic.Pointer[rules]
	seed   maphash.Seed
	shards [shardCount]shard
	out    outbox
	full   atomic.Bool // it was logged that no page could be had

	db    *store.DB // nil: nothing is saved
	kick  chan struct{}
	write sync.Mutex // one Save at a time
	gone  sync.Mutex // guards dead
	dead  []Key      // forgotten paths whose rows are to be deleted
}

const shardCount = 64

// shard holds the pages of some paths.
type shard struct {
	mu    sync.Mutex // guards replacing pages; taken before a page's lock, never while one is held
	pages atomic.Pointer[map[Key]*page]
}

// page is one path of the book.
type page struct {
	key  Key
	seen atomic.Pointer[Path] // what route sees, without Sent
	sent atomic.Int64
	day  atomic.Int64 // of sent
	used atomic.Int64 // Unix nanoseconds of the last evidence

	mu    sync.Mutex // guards all below
	t     track
	dirty bool // not saved
	gone  bool // evicted: take another page
}

// New returns an empty book. Call Load to fill it from a database.
func New(opts Options, log *slog.Logger) *Book {
	b := &Book{opts: opts.withDefaults(), log: log, seed: maphash.MakeSeed(), kick: make(chan struct{}, 1)}
	b.rules.Store(newRules(&b.opts))
	for i := range b.shards {
		b.shards[i].pages.Store(&map[Key]*page{})
	}
	return b
}

// Configure replaces thresholds and sources while the book is in use; the other options stay as they were.
func (b *Book) Configure(t Thresholds, sources map[string]Source) {
	b.rules.Store(newRules(&Options{Thresholds: t.withDefaults(), Sources: sources, Rand: b.opts.Rand}))
}

// Path returns what route needs to know. It takes no lock and allocates nothing.
func (b *Book) Path(egress, provider string) Path {
	p := b.find(Key{egress, provider})
	if p == nil {
		return Path{}
	}
	v := *p.seen.Load()
	v.Sent = int(p.sent.Load())
	return v
}

// Observe lets one outcome bear on the paths and returns the changes it brought about, nil when there are none.
// It judges by ev.At alone. Call it once per transaction, with the outcome that says most: see the package's text.
func (b *Book) Observe(ev Evidence) []Change {
	k := weigh(&ev)
	if k == neutral && !ev.Probe || k == answer && !ev.Probe {
		return nil
	}
	r := b.rules.Load()
	changes := b.on(ev.Key, ev.At, func(t *track) { t.judge(k, &ev, r) })
	if ev.Verdict.Scope != classify.ScopeRange || k != refusal && k != deferral {
		return changes
	}
	for _, sibling := range r.near(&ev) {
		key := Key{sibling, ev.Key.Provider}
		changes = append(changes, b.on(key, ev.At, func(t *track) { t.suspect(&ev) })...)
	}
	return changes
}

// Tick moves what time alone moves: suspect paths that stayed clean, shares that grow, probes that were lost, pins that
// end, the day's counts; and forgets healthy paths without mail. Run calls it every second.
func (b *Book) Tick(now time.Time) []Change {
	r := b.rules.Load()
	day, idle := dayOf(now), now.Add(-b.opts.Idle).UnixNano()
	var changes []Change
	b.each(func(p *page) {
		healthy := p.seen.Load().State == Healthy
		if healthy && p.used.Load() < idle && b.forget(p) {
			return
		}
		if healthy && p.day.Load() >= day {
			return
		}
		p.mu.Lock()
		if p.t.Sent.Day < day {
			p.t.Sent, p.dirty = daily{Day: day}, true
		}
		p.t.advance(now, r)
		moves := b.closeLocked(p)
		p.mu.Unlock()
		changes = append(changes, moves...)
	})
	b.deliver(changes)
	return changes
}

// on lets f work on the page of a path, made if need be, and returns the changes.
func (b *Book) on(key Key, at time.Time, f func(*track)) []Change {
	for {
		p := b.find(key)
		if p == nil {
			if p = b.add(key, at); p == nil {
				return nil
			}
		}
		if changes, ok := b.use(p, at, f); ok {
			return changes
		}
	}
}

// known is on for a path that is not made: there is nothing to be done about one that the book has never heard of.
func (b *Book) known(key Key, at time.Time, f func(*track)) []Change {
	for {
		p := b.find(key)
		if p == nil {
			return nil
		}
		if changes, ok := b.use(p, at, f); ok {
			return changes
		}
	}
}

// use works on a page; ok is false when it was evicted a moment ago.
func (b *Book) use(p *page, at time.Time, f func(*track)) (changes []Change, ok bool) {
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return nil, false
	}
	p.used.Store(at.UnixNano())
	p.dirty = true
	p.t.advance(at, b.rules.Load())
	f(&p.t)
	changes = b.closeLocked(p)
	p.mu.Unlock()
	b.deliver(changes)
	return changes, true
}

// closeLocked publishes what happened on a page and hands over its changes.
func (b *Book) closeLocked(p *page) []Change {
	p.sent.Store(int64(p.t.Sent.N))
	p.day.Store(p.t.Sent.Day)
	if v := p.t.view(); v != *p.seen.Load() {
		fresh := new(Path)
		*fresh = v
		p.seen.Store(fresh)
	}
	changes := p.t.moves
	if changes != nil {
		p.t.moves, p.dirty = nil, true
		b.out.put(changes)
	}
	return changes
}

func (b *Book) shard(key Key) *shard {
	return &b.shards[maphash.String(b.seed, key.Provider)%shardCount]
}

func (b *Book) find(key Key) *page { return (*b.shard(key).pages.Load())[key] }

// each calls f with every page, without a lock.
func (b *Book) each(f func(*page)) {
	for i := range b.shards {
		for _, p := range *b.shards[i].pages.Load() {
			f(p)
		}
	}
}

func newPage(key Key, recent int) *page {
	p := &page{key: key, t: track{Key: key, recent: newRing(recent)}}
	p.seen.Store(&Path{})
	return p
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
