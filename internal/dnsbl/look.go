package dnsbl

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Question is what Look is asked.
type Question struct {
	Target Target
	// Within is the range that the target's network announces, where it is known.
	Within netip.Prefix
	// All asks lists, too, that are off by default.
	All bool
	// Each is told every single answer of a sweep; it is called by one goroutine at a time. May be nil.
	Each func(Answer)
}

// Look finds out what lists say about a target and what it means: is it the culprit, a neighbour of one, or is its range
// listed? What a list says of the range itself comes first, then feeds and mirrors of one's own, where any number of addresses
// can be looked at, then samples from public lists within the budget.
func (e *Engine) Look(ctx context.Context, q Question) Finding {
	f := Finding{Target: q.Target, Within: q.Within}
	lists := e.cat.For(q.Target.Kind(), q.All)
	if q.Target.Range.IsValid() {
		f.Within = q.Target.Range
		e.lookRange(ctx, &f, lists, q.Each)
		return f
	}
	f.Answers = make([]Answer, len(lists))
	e.each(len(lists), func(i int) { f.Answers[i] = e.Ask(ctx, lists[i], q.Target) })
	slices.SortStableFunc(f.Answers, byWeight)
	if q.Target.IP.IsValid() {
		if !f.Within.IsValid() {
			f.Within = announced(q.Target.IP)
		}
		e.judgeIP(ctx, &f)
		return f
	}
	judgeDomain(&f)
	return f
}

// each calls do for 0 to n-1, a few at a time, and waits.
func (e *Engine) each(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, e.opts.Parallel) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

func judgeDomain(f *Finding) {
	f.Verdict = VerdictClean
	for i := range f.Answers {
		if a := &f.Answers[i]; a.Accuses() {
			f.Verdict = Culprit
			f.prove(Evidence{Fact: FactListed, Zone: a.List.Shown(), Listed: 1, Asked: 1, Text: a.Meaning})
		}
	}
	if f.unasked() && f.Verdict == VerdictClean {
		f.Verdict = Unknown
	}
}

func (e *Engine) judgeIP(ctx context.Context, f *Finding) {
	left := e.opts.Samples
	for i := range f.Answers {
		if e.counted(f.Answers[i].List) {
			left--
		}
	}
	f.Verdict = VerdictClean
	for i := range f.Answers {
		a := &f.Answers[i]
		if !a.Accuses() {
			continue
		}
		if a.Scope == ScopeRange || a.Scope == ScopeASN {
			f.prove(Evidence{Fact: FactEntry, Zone: a.List.Shown(), Listed: 1, Asked: 1, Text: a.Meaning})
			f.Verdict = Worst([]Verdict{f.Verdict, InRange})
			continue
		}
		v, proof := e.extent(ctx, a, f.Within, &left)
		f.prove(proof)
		f.Verdict = Worst([]Verdict{f.Verdict, v})
	}
	if f.Verdict != VerdictClean {
		f.unasked()
		return
	}
	bad := e.neighbourhood(ctx, f, &left)
	switch needed := f.unasked(); {
	case needed:
		f.Verdict = Unknown
	case bad:
		f.Verdict = Neighbour
	}
}

// counted tells whether a question to a list counts against the budget.
func (e *Engine) counted(l *List) bool { return !l.Own && l.feed == nil }

// How many addresses are asked about to see how far an entry reaches: a few far away, and the rest only if those are listed.
const (
	farFirst = 2
	farAll   = 8
	nearAll  = 8
)

// extent finds out whether an entry for an address is in truth one for its range.
func (e *Engine) extent(ctx context.Context, a *Answer, within netip.Prefix, left *int) (Verdict, Evidence) {
	ip := a.Target.IP
	bits := 24
	if ip.Is6() {
		bits = step6
	}
	near := netip.PrefixFrom(ip, bits).Masked()
	proof := Evidence{Zone: a.List.Shown(), Text: a.Meaning}
	if within.Bits() < near.Bits() {
		far := spread(within, near, e.opts.Seed)
		order(far)
		listed, asked := e.sample(ctx, a.List, far[:min(farFirst, len(far))], left)
		if listed == asked && asked > 0 {
			more, n := e.sample(ctx, a.List, far[asked:], left)
			listed, asked = listed+more, asked+n
			if share(listed, asked) >= rangeShare {
				proof.Fact, proof.Listed, proof.Asked, proof.Range = FactSpread, listed, asked, within.String()
				return InRange, proof
			}
		}
	}
	around := neighbours(ip, nearAll)
	listed, asked := e.sample(ctx, a.List, around, left)
	proof.Fact, proof.Listed, proof.Asked, proof.Range = FactAlone, listed, asked, near.String()
	if asked > 1 && share(listed, asked) >= rangeShare {
		proof.Fact = FactSpread
		return InRange, proof
	}
	return Culprit, proof
}

// order puts a sample in an order in which the first few already lie far apart.
func order(list []netip.Addr) {
	if n := len(list); n > 2 {
		list[1], list[n-1] = list[n-1], list[1]
	}
}

// sample asks a list about addresses, as far as the budget goes, and says how many of them are listed. Addresses about which
// nothing was found out do not count.
func (e *Engine) sample(ctx context.Context, l *List, addrs []netip.Addr, left *int) (listed, asked int) {
	if e.counted(l) {
		addrs = addrs[:max(0, min(len(addrs), *left))]
		*left -= len(addrs)
	}
	got := make([]Answer, len(addrs))
	e.each(len(addrs), func(i int) { got[i] = e.Ask(ctx, l, Target{IP: addrs[i]}) })
	for i := range got {
		if got[i].State.Told() {
			asked++
		}
		if got[i].Accuses() {
			listed++
		}
	}
	return listed, asked
}

// nearest is how many neighbours of a clean address are looked at.
const nearest = 10

// neighbourhood looks at the nearest addresses of one that is clean, and tells whether they are a bad neighbourhood: on each
// list, and counting addresses over all lists. Feeds say it of the whole /24.
func (e *Engine) neighbourhood(ctx context.Context, f *Finding, left *int) bool {
	ip := f.Target.IP
	around := neighbours(ip, nearest)
	bad, skipped := false, 0
	for i := range f.Answers {
		l := f.Answers[i].List
		if !f.Answers[i].State.Told() || l.Entries.Severity != Block || l.Entries.Scope != ScopeIP {
			continue
		}
		if l.feed != nil && ip.Is4() {
			p := netip.PrefixFrom(ip, 24).Masked()
			if n := l.feed.Count(p); n > 0 {
				f.prove(Evidence{Fact: FactFeed, Zone: l.Shown(), Listed: n, Asked: 256, Range: p.String()})
				bad = bad || share(n, 256) >= neighbourShare
			}
		}
		if e.counted(l) && !l.Use.Sample && l.Use.Profile != Core {
			continue
		}
		if e.counted(l) && *left < len(around) {
			skipped++
			continue
		}
		listed, asked := e.sample(ctx, l, around, left)
		if listed > 0 {
			f.prove(Evidence{Fact: FactNeighbours, Zone: l.Shown(), Listed: listed, Asked: asked})
			bad = bad || share(listed, asked) >= neighbourShare
		}
	}
	if skipped > 0 {
		f.prove(Evidence{Fact: FactBudget, Asked: skipped})
	}
	return bad
}
