package dnsbl

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ukai/internal/dns"
)

// Fitness is whether a resolver is fit for asking lists.
type Fitness struct {
	// Rewrites: it gives an address for a name that does not exist. Nothing it says about lists can be believed.
	Rewrites bool
	With     netip.Addr // what it gave
	// Public: it is one of those that anybody may use, and that lists of consequence do not answer.
	Public bool
	// State is Clean when a name that does not exist was said not to exist; otherwise what came instead.
	State State
	Why   Why
	At    time.Time
}

// OK tells whether nothing is wrong with it.
func (f *Fitness) OK() bool { return f.State == Clean && !f.Public }

// fitnessKeep is how long what is known of the resolver holds.
const fitnessKeep = time.Hour

// Resolver tests the resolver: does it say of a name that does not exist that it does not? The name is random and below a
// domain that is registered by everybody, since resolvers that rewrite leave ".invalid" alone.
func (e *Engine) Resolver(ctx context.Context) Fitness {
	e.mu.Lock()
	if f := e.fitness; f != nil && e.now().Before(f.At.Add(fitnessKeep)) {
		defer e.mu.Unlock()
		return *f
	}
	e.mu.Unlock()
	e.tests.Add(1)
	r, err := e.ask.Ask(ctx, randomLabel()+".com", dns.TypeA)
	f := Fitness{State: Clean, At: e.now()}
	switch {
	case err != nil:
		f.State, f.Why = unreached(err)
	case len(r.Addrs) > 0:
		f.Rewrites, f.With, f.State, f.Why = true, r.Addrs[0], ResolverUnfit, WhyRewritten
	case r.Rcode == dns.NXDomain:
	case r.Rcode == dns.Refused:
		f.State, f.Why = ResolverUnfit, WhyRefused
	case r.Rcode == dns.ServFail:
		f.State, f.Why = ResolverUnfit, WhyServfail
	case r.Referral:
		f.State, f.Why = ResolverUnfit, WhyLame
	default:
		f.State, f.Why = ResolverUnfit, WhyProtocol
	}
	e.mu.Lock()
	e.fitness = &f
	e.mu.Unlock()
	return f
}

// IsPublic tells whether an address is that of a public resolver.
func (c *Catalogue) IsPublic(server string) bool {
	ap, err := netip.ParseAddrPort(server)
	if err != nil {
		return false
	}
	return slices.Contains(c.Public.Resolvers, ap.Addr().Unmap())
}

// SelfTest is what a test of everything has shown.
type SelfTest struct {
	Resolver Fitness
	Lists    []ListHealth
}

// ListHealth is the health of one list for one kind of target.
type ListHealth struct {
	List *List
	Kind Kind
	Health
}

// SelfTest tests the resolver and every list that would be asked. server is the resolver's address, if it is known.
func (e *Engine) SelfTest(ctx context.Context, server string, all bool) SelfTest {
	s := SelfTest{Resolver: e.Resolver(ctx)}
	s.Resolver.Public = e.cat.IsPublic(server)
	for _, k := range []Kind{IP4, IP6, Domain} {
		for _, l := range e.cat.For(k, all) {
			s.Lists = append(s.Lists, ListHealth{List: l, Kind: k})
		}
	}
	e.each(len(s.Lists), func(i int) {
		h := &s.Lists[i]
		if h.List.feed != nil {
			h.Health = h.List.feed.health(h.List, e.now())
			return
		}
		h.Health = e.Health(ctx, h.List, h.Kind)
	})
	slices.SortStableFunc(s.Lists, func(a, b ListHealth) int { return strings.Compare(a.List.Shown(), b.List.Shown()) })
	return s
}
