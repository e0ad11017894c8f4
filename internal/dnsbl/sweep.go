package dnsbl

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	"ukai/internal/dns"
)

// lookRange looks at a range: feeds and own mirrors address by address, public lists by samples.
func (e *Engine) lookRange(ctx context.Context, f *Finding, lists []*List, each func(Answer)) {
	s := newSweep(e, f, each)
	var local, public []*List
	for _, l := range lists {
		if e.counted(l) || !f.Within.Addr().Is4() {
			public = append(public, l)
		} else {
			local = append(local, l)
		}
	}
	s.local(ctx, local)
	s.samples(ctx, public)
	s.merge()
	slices.SortStableFunc(f.Answers, byWeight)
	f.Verdict = VerdictClean
	for i := range f.Answers {
		a := &f.Answers[i]
		if !a.Accuses() {
			continue
		}
		proof := Evidence{Zone: a.List.Shown(), Listed: a.Hits, Asked: a.Asked, Range: f.Within.String(), Text: a.Meaning, Fact: FactSome}
		v := Neighbour
		if share(a.Hits, a.Asked) >= rangeShare {
			v, proof.Fact = InRange, FactSpread
		}
		if a.List.feed != nil {
			proof.Fact = FactFeed
		}
		f.prove(proof)
		f.Verdict = Worst([]Verdict{f.Verdict, v})
	}
	if f.unasked() && f.Verdict == VerdictClean {
		f.Verdict = Unknown
	}
}

// sweep gathers what is found out about the addresses of a range.
type sweep struct {
	e    *Engine
	f    *Finding
	cell int // addresses in one, as a number of bits

	mu      sync.Mutex // guards the rest, and calls of each
	each    func(Answer)
	answers map[*List]*Answer
	cells   map[*List][]Cell
	done    int
	total   int
}

// newSweep divides a range into at most 256 cells.
func newSweep(e *Engine, f *Finding, each func(Answer)) *sweep {
	s := &sweep{e: e, f: f, each: each, answers: make(map[*List]*Answer), cells: make(map[*List][]Cell)}
	free := f.Within.Addr().BitLen() - f.Within.Bits()
	s.cell = max(0, free-8)
	if f.Within.Addr().Is4() && free > 8 {
		s.cell = 8
	}
	f.Cells = make([]Cell, 1<<min(free-s.cell, 8))
	return s
}

// merge makes the cells of the finding: of each part, what the list says that lists most of it.
func (s *sweep) merge() {
	for _, cells := range s.cells {
		for i, c := range cells {
			if best := &s.f.Cells[i]; c.Listed > best.Listed || c.Listed == best.Listed && c.Asked > best.Asked {
				*best = c
			}
		}
	}
}

// cellOf returns the number of the part that an address lies in.
func (s *sweep) cellOf(ip netip.Addr) int {
	if ip.Is4() {
		a, b := ip.As4(), s.f.Within.Addr().As4()
		return int(binary.BigEndian.Uint32(a[:])-binary.BigEndian.Uint32(b[:])) >> s.cell
	}
	first := s.f.Within.Bits() // the eight bits behind the prefix
	a := ip.As16()
	n := 0
	for bit := first; bit < min(first+8, 128); bit++ {
		n = n<<1 | int(a[bit/8]>>(7-bit%8)&1)
	}
	return min(n, len(s.f.Cells)-1)
}

// take counts one answer.
func (s *sweep) take(a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.answers[a.List]
	if sum == nil {
		sum = new(Answer)
		*sum = Answer{Target: s.f.Target, List: a.List, State: a.State, Why: a.Why, Scope: a.Scope, Severity: a.Severity, Feed: a.Feed, Code: a.Code, Meaning: a.Meaning, Reason: a.Reason}
		s.answers[a.List] = sum
		s.cells[a.List] = make([]Cell, len(s.f.Cells))
	}
	if s.done++; s.e.opts.Progress != nil && s.done%512 == 0 {
		s.e.opts.Progress(s.done, max(s.total, s.done))
	}
	c := &s.cells[a.List][s.cellOf(a.Target.IP)]
	if a.State.Told() {
		sum.Asked++
		c.Asked++
	}
	if a.Accuses() {
		sum.Hits++
		c.Listed++
	}
	if gravity[sum.State] < gravity[Listed] || a.Accuses() && !sum.Accuses() { // clean gives way to anything, everything to a listing
		sum.State, sum.Why, sum.Scope, sum.Severity, sum.Code, sum.Meaning, sum.Reason = a.State, a.Why, a.Scope, a.Severity, a.Code, a.Meaning, a.Reason
	}
	if s.each != nil {
		s.each(a)
	}
}

// local looks at every address on lists that are our own.
func (s *sweep) local(ctx context.Context, lists []*List) {
	s.total = len(lists) << (32 - s.f.Within.Bits())
	for _, l := range lists {
		if l.feed != nil {
			s.feed(l)
			continue
		}
		h := s.e.Health(ctx, l, s.f.Target.Kind())
		if !h.OK() {
			s.answers[l] = &Answer{Target: s.f.Target, List: l, State: h.State, Why: h.Why, Code: h.Code, Meaning: h.Meaning, Reason: h.Reason, Scope: l.scope(s.f.Target), Severity: l.Entries.Severity}
			continue
		}
		base := s.f.Within.Addr()
		s.e.each(1<<(32-s.f.Within.Bits()), func(i int) {
			ip, _ := shift(base, i)
			if ctx.Err() == nil {
				s.take(s.e.askOwn(ctx, l, Target{IP: ip}))
			}
		})
	}
	for _, l := range lists {
		if a := s.answers[l]; a != nil {
			s.f.Answers = append(s.f.Answers, *a)
		}
	}
}

// feed looks at every address of a feed in memory.
func (s *sweep) feed(l *List) {
	now := s.e.now()
	for ip := s.f.Within.Addr(); s.f.Within.Contains(ip); ip = ip.Next() {
		s.take(l.feed.answer(s.e.cat, l, Target{IP: ip}, now))
	}
}

// askOwn asks a mirror of our own about one of very many addresses: the answer is not kept, and the reason is asked for only
// as long as somebody might read it.
func (e *Engine) askOwn(ctx context.Context, l *List, t Target) Answer {
	name := t.name(l)
	r, err := e.question(ctx, l, name, dns.TypeA, &e.queries)
	a := e.cat.Interpret(l, t, r, err)
	if a.State == Listed {
		if e.world(ctx, &a) {
			a.State, a.Why = Broken, WhyWorld
		} else if e.first(l) {
			a.Reason = e.reason(ctx, l, name, &e.queries)
		}
	}
	return a
}

// first tells whether a list's reason has been asked for only a few times.
func (e *Engine) first(l *List) bool {
	const few = 4
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reasons[l]++
	return e.reasons[l] <= few
}

// samples asks public lists: first about one address each, since an entry for the range shows in any; then, where it is listed,
// about more; then about others as far as the budget goes.
func (s *sweep) samples(ctx context.Context, lists []*List) {
	if len(lists) == 0 {
		return
	}
	left := s.e.opts.Samples
	pick := spread(s.f.Within, netip.Prefix{}, s.e.opts.Seed)
	order(pick)
	state := make([]Answer, len(lists))
	s.e.each(len(lists), func(i int) { state[i] = s.e.Ask(ctx, lists[i], Target{IP: pick[0]}) })
	left -= len(lists)
	for i := range state {
		s.take(state[i])
	}
	for _, wanted := range []bool{true, false} {
		for i, l := range lists {
			if state[i].Accuses() != wanted || !state[i].State.Told() || !wanted && !l.Use.Sample && l.Use.Profile != Core {
				continue
			}
			s.more(ctx, l, pick[1:], &left)
		}
	}
	for _, l := range lists {
		s.f.Answers = append(s.f.Answers, *s.answers[l])
	}
	s.f.prove(Evidence{Fact: FactSampled, Asked: len(pick), Range: s.f.Within.String()})
}

// more asks about further samples while the budget lasts.
func (s *sweep) more(ctx context.Context, l *List, addrs []netip.Addr, left *int) {
	if s.e.counted(l) {
		addrs = addrs[:max(0, min(len(addrs), *left))]
		*left -= len(addrs)
	}
	got := make([]Answer, len(addrs))
	s.e.each(len(addrs), func(i int) { got[i] = s.e.Ask(ctx, l, Target{IP: addrs[i]}) })
	for i := range got {
		s.take(got[i])
	}
}
