package dns

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Destination is where the mail of one domain goes, by the names of its hosts. It is shared and never changed.
type Destination struct {
	Domain string // as ASCII returns it
	// MX are the hosts to try, by preference and then by name; never empty. Finder.Hosts puts equal preferences in random order.
	MX []MX
	// Names are the hosts of MX, for recognising the mailbox provider.
	Names []string
	// Implicit is true when the domain has no MX and receives at its own address (RFC 5321, section 5.1).
	Implicit bool

	expires time.Time
}

// Host is one host to connect to.
type Host struct {
	Name  string
	Pref  uint16
	Addrs []netip.Addr // in the order of the DNS, IPv6 first; never empty
}

// FinderOptions tune a Finder. Zero values mean the defaults.
type FinderOptions struct {
	// Own are the names by which we ourselves appear in MX records: such a host, and all that are no better, are left out,
	// or mail would go round (RFC 5321, section 5.1).
	Own []string
	// Unusable are networks no mail host lies in; nil means Unroutable. An empty list allows everything.
	Unusable []netip.Prefix
	// Keep is how long a Destination is handed out before the Resolver is asked again, whose memory knows the TTL. Default 30 s.
	Keep time.Duration
	// MaxHosts is how many hosts Hosts returns, and MaxAddrs how many addresses they have together. Default 5 and 10.
	MaxHosts, MaxAddrs int
	// Entries is how many destinations are kept. Default 50,000.
	Entries int
}

// Unroutable are the networks no mail is sent to unless configured otherwise: "this network" and loopback, where we would
// talk to ourselves, link-local, multicast and reserved space (RFC 6890).
var Unroutable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/3"), // 224.0.0.0/4 and 240.0.0.0/4
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// Finder finds destinations. It is safe for concurrent use.
type Finder struct {
	r     Resolver
	opts  FinderOptions
	own   map[string]bool
	cache *cache[string, *Destination]
}

// maxMX is how many hosts of a domain are looked at; more is no mail setup but an attack on those who ask.
const maxMX = 32

// NewFinder returns a Finder that asks r.
func NewFinder(r Resolver, opts FinderOptions) *Finder {
	opts.Keep = cmp.Or(opts.Keep, 30*time.Second)
	opts.MaxHosts = cmp.Or(opts.MaxHosts, 5)
	opts.MaxAddrs = cmp.Or(opts.MaxAddrs, 10)
	opts.Entries = cmp.Or(opts.Entries, 50_000)
	if opts.Unusable == nil {
		opts.Unusable = Unroutable
	}
	f := &Finder{r: r, opts: opts, own: make(map[string]bool, len(opts.Own))}
	f.cache = newCache[string, *Destination](opts.Entries)
	for _, name := range opts.Own {
		if name, err := ASCII(name); err == nil {
			f.own[name] = true
		}
	}
	return f
}

// Find returns the destination of a domain, or an *Error: final when the domain does not exist (5.1.2), takes no mail
// (5.1.10), names no usable host (5.4.4) or leads back to us (5.4.6), and temporary when that could not be found out.
// No addresses are looked up. While a destination is fresh this costs one look into a table and no allocation.
func (f *Finder) Find(ctx context.Context, domain string) (*Destination, error) {
	name, err := ASCII(domain)
	if err != nil {
		return nil, badName("mx", domain)
	}
	now := time.Now()
	if d, ok := f.cache.get(name); ok && now.Before(d.expires) {
		return d, nil
	}
	d, err := f.find(ctx, name)
	if err != nil {
		return nil, err
	}
	d.expires = now.Add(f.opts.Keep)
	f.cache.put(name, d)
	return d, nil
}

func (f *Finder) find(ctx context.Context, name string) (*Destination, error) {
	mx, err := f.r.MX(ctx, name)
	var e *Error
	switch {
	case err == nil && len(mx) == 1 && mx[0].Host == "":
		// RFC 7505, section 3: not even the domain's own address may be tried.
		return nil, &Error{Op: "mx", Name: name, Reason: "domain accepts no mail", NotFound: true, Status: statusNullMX}
	case errors.As(err, &e) && e.NotFound && !e.NXDomain:
		return &Destination{Domain: name, MX: []MX{{Host: name}}, Names: []string{name}, Implicit: true}, nil
	case err != nil:
		return nil, err
	}
	mx, err = f.candidates(name, mx)
	if err != nil {
		return nil, err
	}
	d := &Destination{Domain: name, MX: mx, Names: make([]string, len(mx))}
	for i := range mx {
		d.Names[i] = mx[i].Host
	}
	return d, nil
}

// candidates leaves out what RFC 5321, section 5.1 forbids to try.
func (f *Finder) candidates(name string, all []MX) ([]MX, error) {
	mx := make([]MX, 0, len(all))
	for _, m := range all {
		if isHost(m.Host) {
			mx = append(mx, m)
		}
	}
	if len(mx) == 0 { // MX records exist, so there is no implicit one
		return nil, &Error{Op: "mx", Name: name, Reason: "no mail exchanger has a valid host name", NotFound: true, Status: statusNoRoute}
	}
	slices.SortFunc(mx, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Pref, b.Pref), cmp.Compare(a.Host, b.Host))
	})
	mx = slices.CompactFunc(mx, func(a, b MX) bool { return a.Host == b.Host })
	if i := slices.IndexFunc(mx, func(m MX) bool { return f.own[m.Host] }); i >= 0 {
		// Ourselves, and all of the same or a worse preference: they would only send it back.
		pref := mx[i].Pref
		mx = slices.DeleteFunc(mx, func(m MX) bool { return m.Pref >= pref })
		if len(mx) == 0 {
			return nil, &Error{Op: "mx", Name: name, Reason: "mail for this domain loops back to this server", NotFound: true, Status: statusLoop}
		}
	}
	return mx[:min(len(mx), maxMX)], nil
}
