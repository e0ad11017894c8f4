package dns

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

// Hosts looks up the addresses of a destination's hosts and returns those that can be connected to, in the order in which
// they are to be tried: by preference, equal ones in random order. A host without an address is passed over. Only when none
// is left it fails, with a temporary *Error if something could not be found out, and with a final one otherwise.
func (f *Finder) Hosts(ctx context.Context, d *Destination) ([]Host, error) {
	mx := slices.Clone(d.MX)
	shuffleEqual(mx)
	s := selection{f: f, room: f.opts.MaxAddrs}
	for len(mx) > 0 && len(s.hosts) < f.opts.MaxHosts && s.room > 0 {
		n := min(len(mx), f.opts.MaxHosts-len(s.hosts))
		for i, found := range f.addrs(ctx, mx[:n]) {
			s.add(mx[i], found)
		}
		mx = mx[n:]
	}
	if len(s.hosts) > 0 {
		return s.hosts, nil
	}
	return nil, s.failure(d)
}

type lookedUp struct {
	addrs []netip.Addr
	err   error
}

// addrs looks up several hosts at once: a slow name server of one must not keep the others waiting.
func (f *Finder) addrs(ctx context.Context, mx []MX) []lookedUp {
	found := make([]lookedUp, len(mx))
	if len(mx) == 1 {
		found[0].addrs, found[0].err = f.r.Addrs(ctx, mx[0].Host)
		return found
	}
	var wg sync.WaitGroup
	for i := range mx {
		wg.Go(func() { found[i].addrs, found[i].err = f.r.Addrs(ctx, mx[i].Host) })
	}
	wg.Wait()
	return found
}

// selection collects hosts, and the reasons why there may be none.
type selection struct {
	f         *Finder
	hosts     []Host
	room      int    // for addresses
	temporary *Error // of a host about which nothing could be found out
	unusable  netip.Addr
}

func (s *selection) add(m MX, found lookedUp) {
	if found.err != nil {
		var e *Error
		switch {
		case !errors.As(found.err, &e): // a Resolver that breaks its contract: nothing is known
			s.temporary = &Error{Op: "addr", Name: m.Host, Reason: found.err.Error(), Temporary: true, Status: statusDirectory}
		case e.Temporary:
			s.temporary = e
		}
		return
	}
	var usable []netip.Addr
	for _, a := range found.addrs {
		if s.f.unusable(a) {
			s.unusable = a
			continue
		}
		usable = append(usable, a)
	}
	usable = bothFamilies(usable, s.room)
	if len(usable) > 0 {
		s.room -= len(usable)
		s.hosts = append(s.hosts, Host{Name: m.Host, Pref: m.Pref, Addrs: usable})
	}
}

// bothFamilies cuts addresses to n without losing one of the families: the way of one may be broken.
func bothFamilies(addrs []netip.Addr, n int) []netip.Addr {
	if len(addrs) <= n {
		return addrs
	}
	v6 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is4)
	v4 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is6)
	n4 := min(len(v4), max(n/2, n-len(v6)))
	return append(v6[:min(len(v6), n-n4)], v4[:n4]...)
}

func (f *Finder) unusable(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(f.opts.Unusable, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (s *selection) failure(d *Destination) *Error {
	if s.temporary != nil {
		return s.temporary
	}
	e := &Error{Op: "addr", Name: d.Domain, NotFound: true, Status: statusNoRoute, Reason: "no mail exchanger has an address"}
	switch {
	case s.unusable.IsValid():
		e.Reason = "its mail exchanger points to " + s.unusable.String() + ", where no mail can go"
	case d.Implicit:
		e.Reason = "the domain has neither mail exchanger nor address"
	}
	return e
}
