package dnsbl

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"ukai/internal/dns"
)

// Asker asks the domain name system and returns what was said, whatever that is. A dns.Pipe is one.
type Asker interface {
	Ask(ctx context.Context, name string, qtype uint16) (dns.Reply, error)
}

// Options tune an Engine. Zero values mean the defaults.
type Options struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Samples is how many questions one target may cost at most, neighbours included, tests of lists not. Default 64. Lists that
	// are one's own and feeds are not counted against it.
	Samples int
	// Parallel is how many questions are under way at a time; default 64.
	Parallel int
	// Seed chooses the samples: the same seed asks about the same addresses again, so that two runs can be compared.
	Seed uint64
	// Progress is told how far a sweep is, from many goroutines.
	Progress func(done, total int)
}

// Engine asks lists. It is safe for concurrent use.
type Engine struct {
	cat   *Catalogue
	ask   Asker
	opts  Options
	cache cache
	slots chan struct{}

	queries, tests atomic.Int64

	mu      sync.Mutex // guards the maps and fitness
	budgets map[*List]*budget
	healths map[healthKey]*health
	worlds  map[healthKey]bool // that these do not list the world has been seen on an address of nobody
	reasons map[*List]int      // how often sweeps have asked for words
	fitness *Fitness
}

type healthKey struct {
	list *List
	kind Kind
}

// health is a test under way or done; its mutex is held while the list is tested, so that others wait for the result.
type health struct {
	mu sync.Mutex // guards Health
	Health
	nobody sync.Mutex // held while an address of nobody is asked about
}

// New returns an Engine for the lists of a catalogue.
func New(cat *Catalogue, ask Asker, opts Options) *Engine {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Samples <= 0 {
		opts.Samples = 64
	}
	if opts.Parallel <= 0 {
		opts.Parallel = 64
	}
	return &Engine{
		cat: cat, ask: ask, opts: opts, slots: make(chan struct{}, opts.Parallel),
		budgets: make(map[*List]*budget), healths: make(map[healthKey]*health), worlds: make(map[healthKey]bool), reasons: make(map[*List]int),
	}
}

func (e *Engine) now() time.Time { return e.opts.Now() }

// Count returns how many questions were asked about targets, and how many to test lists and the resolver.
func (e *Engine) Count() (queries, tests int) { return int(e.queries.Load()), int(e.tests.Load()) }

// Ask asks one list about one address or domain. The list is tested first when it is time for that.
func (e *Engine) Ask(ctx context.Context, l *List, t Target) Answer {
	if l.feed != nil {
		return l.feed.answer(e.cat, l, t, e.now())
	}
	h := e.Health(ctx, l, t.Kind())
	if !h.OK() {
		return Answer{Target: t, List: l, State: h.State, Why: h.Why, Code: h.Code, Meaning: h.Meaning, Reason: h.Reason, Scope: l.scope(t), Severity: l.Entries.Severity}
	}
	name := t.name(l)
	key := cacheKey{l, name}
	if a, ok := e.cache.get(key, e.now()); ok {
		a.Target = t // another host of the same registrable domain
		return a
	}
	r, err := e.question(ctx, l, name, dns.TypeA, &e.queries)
	a := e.cat.Interpret(l, t, r, err)
	if errors.Is(err, errBudget) {
		a.State, a.Why = Refused, WhyBudget
	}
	e.second(ctx, &a, name)
	e.cache.put(key, a, e.now())
	return a
}

// second looks again at an answer that would have consequences.
func (e *Engine) second(ctx context.Context, a *Answer, name string) {
	switch {
	case a.State == Listed:
		if e.world(ctx, a) {
			a.State, a.Why = Broken, WhyWorld
			return
		}
		a.Reason = e.reason(ctx, a.List, name, &e.queries)
	case a.Why == WhyOutside:
		if e.Resolver(ctx).Rewrites {
			a.State, a.Why = ResolverUnfit, WhyRewritten
		}
	case a.State == Refused || a.State == ResolverUnfit:
		if len(a.Codes) > 0 {
			a.Reason = e.reason(ctx, a.List, name, &e.queries)
		}
		e.refuse(a) // it has had enough of us: whoever asks on makes it worse
	}
}

// Health returns whether a list can be believed, from memory while the last test holds.
func (e *Engine) Health(ctx context.Context, l *List, k Kind) Health {
	e.mu.Lock()
	h := e.healths[healthKey{l, k}]
	if h == nil {
		h = new(health)
		e.healths[healthKey{l, k}] = h
	}
	e.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.At.IsZero() || !e.now().Before(h.until()) {
		h.Health = e.examine(ctx, l, k)
		if !h.OK() {
			e.mu.Lock()
			delete(e.worlds, healthKey{l, k})
			e.mu.Unlock()
		}
	}
	return h.Health
}

// refuse makes a list that has refused an answer one that is not asked for a while.
func (e *Engine) refuse(a *Answer) {
	e.mu.Lock()
	h := e.healths[healthKey{a.List, a.Target.Kind()}]
	e.mu.Unlock()
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Health = Health{State: a.State, Why: a.Why, Code: a.Code, Meaning: a.Meaning, Reason: a.Reason, At: e.now()}
}

// world asks, when a list says "listed" for the first time since its test, about an address that is nobody's: a list that
// lists that one lists everything, even if somebody thought of leaving the test entry out.
func (e *Engine) world(ctx context.Context, a *Answer) bool {
	key := healthKey{a.List, a.Target.Kind()}
	seen := func() (bool, *health) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.worlds[key], e.healths[key]
	}
	done, h := seen()
	if done || h == nil || a.List.Test.Bogons {
		return false
	}
	h.nobody.Lock() // of many listings at a time one asks, and the others wait for what it finds out
	defer h.nobody.Unlock()
	if done, _ = seen(); done {
		return false
	}
	b := e.probe(ctx, a.List, key.kind, nobody(key.kind)+"."+a.List.zone())
	if b.State == Listed {
		return true
	}
	e.mu.Lock()
	e.worlds[key] = true
	e.mu.Unlock()
	return false
}

// nobody returns the name of something random that nobody can have: an address reserved for future use (RFC 1112, section 4),
// one of the block for documentation (RFC 3849), a name below ".invalid" (RFC 6761, section 6.4).
func nobody(k Kind) string {
	switch k {
	case IP4:
		ip := netip.AddrFrom4([4]byte{byte(240 + rand.N(15)), byte(rand.N(256)), byte(rand.N(256)), byte(1 + rand.N(254))})
		return strings.TrimSuffix(dns.ReverseName(ip, ""), ".")
	case IP6:
		a := netip.MustParseAddr("2001:db8:ffff::").As16()
		for i := 6; i < 16; i++ {
			a[i] = byte(rand.N(256))
		}
		return strings.TrimSuffix(dns.ReverseName(netip.AddrFrom16(a), ""), ".")
	}
	return randomLabel() + ".invalid"
}

func randomLabel() string {
	b := []byte("ukai-")
	for range 16 {
		b = append(b, "abcdefghijklmnopqrstuvwxyz"[rand.N(26)])
	}
	return string(b)
}

var errBudget = dns.TemporaryError("ask", "", string(WhyBudget))

// question asks within the list's budget and the engine's number of questions at a time.
func (e *Engine) question(ctx context.Context, l *List, name string, qtype uint16, count *atomic.Int64) (dns.Reply, error) {
	if !l.Own {
		wait, ok := e.budget(l).take(l, e.now())
		if !ok {
			return dns.Reply{}, errBudget
		}
		if !rest(ctx, wait) {
			return dns.Reply{}, dns.TemporaryError("ask", "", "timeout")
		}
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return dns.Reply{}, dns.TemporaryError("ask", "", "timeout")
	}
	count.Add(1)
	return e.ask.Ask(ctx, name, qtype)
}

func (e *Engine) budget(l *List) *budget {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.budgets[l]
	if b == nil {
		b = new(budget)
		e.budgets[l] = b
	}
	return b
}

// maxReason is how much of a list's reason is kept.
const maxReason = 500

// reason asks for the words of an entry (RFC 5782, section 2.1). Without them an entry is an entry all the same.
func (e *Engine) reason(ctx context.Context, l *List, name string, count *atomic.Int64) string {
	r, err := e.question(ctx, l, name, dns.TypeTXT, count)
	if err != nil || r.Rcode != dns.NoError {
		return ""
	}
	text := clean(l.mask(strings.Join(r.Texts, " ")))
	if r.Truncated && text != "" {
		text += "…"
	}
	return text
}

// clean makes a text from outside fit for a terminal and a log line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > maxReason {
		s = string(r[:maxReason]) + "…"
	}
	return strings.TrimSpace(s)
}
