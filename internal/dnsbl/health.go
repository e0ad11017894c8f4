package dnsbl

import (
	"context"
	"net/netip"
	"time"

	"ukai/internal/dns"
)

// Health is whether a list can be believed for one kind of target, and why not.
type Health struct {
	// State is Clean for a list that has passed its test; otherwise what its answers are worth.
	State   State
	Why     Why
	Code    netip.Addr
	Meaning string
	Reason  string
	At      time.Time
	// Untested: there are no test entries, only that it does not list the world is known.
	Untested bool
}

// OK tells whether the list is to be believed.
func (h *Health) OK() bool { return h.State == Clean }

// How long a test holds: an hour for a list that passed (lists are closed by listing the world, RFC 6471, section 3.4, and that
// is seen within the hour), ten minutes for one that did not.
const (
	healthKeep = time.Hour
	sickKeep   = 10 * time.Minute
)

func (h *Health) until() time.Time {
	if h.OK() {
		return h.At.Add(healthKeep)
	}
	return h.At.Add(sickKeep)
}

// The test entries of RFC 5782, section 5, for where a row names no others.
var (
	listed4, unlisted4 = netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")
	// "::ffff:7f00:2" is asked as an IPv6 address: its 32 nibbles, not four octets.
	listed6, unlisted6 = "::ffff:7f00:2", "::ffff:7f00:1"
	// "TEST" and "INVALID" are the names that no domain can have.
	listedDomain, unlistedDomain = "test", "invalid"
)

// testNames returns what is asked to test a list for a kind of target.
func (l *List) testNames(k Kind) (listed, unlisted string) {
	zone := l.zone()
	switch k {
	case IP6:
		return testName(l.Test.Listed, listed6, zone, k), testName(l.Test.Unlisted, unlisted6, zone, k)
	case Domain:
		return testName(l.Test.Listed, listedDomain, zone, k), testName(l.Test.Unlisted, unlistedDomain, zone, k)
	}
	return testName(l.Test.Listed, listed4.String(), zone, k), testName(l.Test.Unlisted, unlisted4.String(), zone, k)
}

// testName makes the name of a test entry; a row's own counts for the kind that it is of.
func testName(own, usual, zone string, k Kind) string {
	ip, err := netip.ParseAddr(own)
	switch {
	case k == Domain:
		if own == "" || err == nil {
			own = usual
		}
		return own + "." + zone
	case own == "" || err != nil || ip.Is4() != (k == IP4):
		ip = netip.MustParseAddr(usual)
	}
	if k == IP6 {
		return reverse6(ip, zone)
	}
	return dns.ReverseName(ip, zone)
}

// reverse6 reverses nibbles even of an address that maps an IPv4 address (RFC 5782, section 5).
func reverse6(ip netip.Addr, zone string) string {
	const hex = "0123456789abcdef"
	a := ip.As16()
	b := make([]byte, 0, 64+len(zone))
	for i := 15; i >= 0; i-- {
		b = append(b, hex[a[i]&15], '.', hex[a[i]>>4], '.')
	}
	return string(append(b, zone...))
}

// probe asks for one test entry and says what came.
func (e *Engine) probe(ctx context.Context, l *List, k Kind, name string) Answer {
	t := Target{Domain: name}
	if k != Domain {
		t = Target{IP: listed4}
	}
	r, err := e.question(ctx, l, name, dns.TypeA, &e.tests)
	return e.cat.Interpret(l, t, r, err)
}

// examine tests a list. What must be listed is asked first: most that is wrong shows there, and it saves the second question.
func (e *Engine) examine(ctx context.Context, l *List, k Kind) Health {
	h := Health{State: Clean, At: e.now()}
	listed, unlisted := l.testNames(k)
	if l.Test.None {
		h.Untested = true
	} else if a := e.probe(ctx, l, k, listed); !passes(&a) {
		e.sick(&h, &a, WhyNoTestEntry)
		if len(a.Codes) > 0 {
			h.Reason = e.reason(ctx, l, listed, &e.tests)
		}
		return e.attribute(ctx, h)
	}
	a := e.probe(ctx, l, k, unlisted)
	if a.State == Listed || a.State == Clean && len(a.Codes) > 0 && !l.excused(&a) {
		e.sick(&h, &a, WhyWorld)
		h.State = Broken
	} else if !a.State.Told() {
		e.sick(&h, &a, a.Why)
	}
	return e.attribute(ctx, h)
}

// attribute lays what looks like a list's fault at the resolver's door when that answers where there is nothing.
func (e *Engine) attribute(ctx context.Context, h Health) Health {
	if h.Why != WhyOutside && h.Why != WhyWorld {
		return h
	}
	if f := e.Resolver(ctx); f.Rewrites {
		h.State, h.Why = ResolverUnfit, WhyRewritten
	}
	return h
}

// passes tells whether the answer for an entry that must be listed will do: any code in 127.0.0.0/8 that is not an error. Some
// lists use one for it that means nothing else.
func passes(a *Answer) bool {
	if a.State == Listed || a.State == Clean && len(a.Codes) > 0 {
		return true
	}
	return a.State == Broken && a.Why == WhyUndocumented && len(a.Codes) > 0 && a.Code != unlisted4
}

// excused: lists whose test entry is answered with a good word (Hostkarma knows 127.0.0.1 as white).
func (l *List) excused(a *Answer) bool { return a.State == Clean && a.Meaning != "" }

func (e *Engine) sick(h *Health, a *Answer, why Why) {
	h.Code, h.Meaning = a.Code, a.Meaning
	if a.State.Told() {
		h.State, h.Why = Broken, why
		return
	}
	h.State, h.Why = a.State, a.Why
}
