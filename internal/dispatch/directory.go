package dispatch

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ukai/internal/dns"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// Destination is who receives for a recipient domain.
type Destination struct {
	Provider provider.ID
	Limits   provider.Limits
	// Site is the same for all domains with the same hosts, so that they share connections.
	Site string

	mx      *dns.Destination // nil for an address literal
	literal netip.Addr
	until   time.Time
}

// Directory finds who receives for a domain: the MX hosts, and by them the provider. It is safe for concurrent use.
type Directory struct {
	finder    *dns.Finder
	resolver  dns.Resolver
	providers *provider.Catalogue
	keep      time.Duration

	mu    sync.RWMutex // guards known
	known map[string]*Destination
}

const maxKnown = 100_000 // destinations kept, about 200 octets each

// NewDirectory returns a Directory. keep is how long an answer is used without asking the resolver again, whose own
// memory knows the TTL; 0 means 30 s.
func NewDirectory(r dns.Resolver, finder *dns.Finder, providers *provider.Catalogue, keep time.Duration) *Directory {
	if keep == 0 {
		keep = 30 * time.Second
	}
	return &Directory{finder: finder, resolver: r, providers: providers, keep: keep, known: make(map[string]*Destination)}
}

// Cached returns a destination that is known and still fresh, without waiting.
func (d *Directory) Cached(domain string, now time.Time) (*Destination, bool) {
	d.mu.RLock()
	dest, ok := d.known[domain]
	d.mu.RUnlock()
	return dest, ok && now.Before(dest.until)
}

// Find asks who receives for a domain. Trouble comes back as an Outcome in phase Lookup.
func (d *Directory) Find(ctx context.Context, domain string) (*Destination, *outcome.Outcome) {
	start := time.Now()
	dest, err := d.find(ctx, domain)
	if err != nil {
		return nil, lookupOutcome(err, start)
	}
	dest.until = time.Now().Add(d.keep)
	d.mu.Lock()
	if len(d.known) >= maxKnown {
		clear(d.known) // the resolver remembers; starting over costs a map each
	}
	d.known[domain] = dest
	d.mu.Unlock()
	return dest, nil
}

func (d *Directory) find(ctx context.Context, domain string) (*Destination, error) {
	if ip, ok := literal(domain); ok {
		return &Destination{Provider: ip.String(), Limits: d.providers.Limits(ip.String()), Site: ip.String(), literal: ip}, nil
	}
	mx, err := d.finder.Find(ctx, domain)
	if err != nil {
		return nil, err
	}
	id := d.providers.ByMX(mx.Names).ID
	return &Destination{Provider: id, Limits: d.providers.Limits(id), Site: strings.Join(mx.Names, ","), mx: mx}, nil
}

// Hosts returns the hosts of a destination with their addresses, in the order in which they are to be tried.
func (d *Directory) Hosts(ctx context.Context, dest *Destination) ([]dns.Host, error) {
	if dest.mx == nil {
		return []dns.Host{{Name: dest.literal.String(), Addrs: []netip.Addr{dest.literal}}}, nil
	}
	return d.finder.Hosts(ctx, dest.mx)
}

// Host returns one host by its name, which may be an address.
func (d *Directory) Host(ctx context.Context, name string) ([]dns.Host, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []dns.Host{{Name: name, Addrs: []netip.Addr{ip}}}, nil
	}
	ips, err := d.resolver.Addrs(ctx, name)
	if err != nil {
		return nil, err
	}
	return []dns.Host{{Name: name, Addrs: ips}}, nil
}

// literal reads "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321, section 4.1.3).
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if inner, ok = cutSuffix(inner, "]", ok); !ok {
		return netip.Addr{}, false
	}
	if len(inner) > 5 && strings.EqualFold(inner[:5], "ipv6:") {
		inner = inner[5:]
	}
	ip, err := netip.ParseAddr(inner)
	return ip.Unmap(), err == nil
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	if !ok {
		return s, false
	}
	return strings.CutSuffix(s, suffix)
}

// lookupOutcome makes a resolver's error an Outcome. An error that is not the resolver's own says nothing final.
func lookupOutcome(err error, start time.Time) *outcome.Outcome {
	now := time.Now()
	o := &outcome.Outcome{At: now, Phase: outcome.Lookup, Err: err.Error(), ErrTemporary: true, Duration: now.Sub(start)}
	var e *dns.Error
	if errors.As(err, &e) {
		o.ErrTemporary = e.Temporary
		o.Reply.Status, _ = mail.ParseStatus(e.Status)
	}
	return o
}
