package dns

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// Client is the Resolver that asks name servers.
//
// It looks nothing up in /etc/hosts (mail goes by the DNS) but knows localhost, uses no search list (a domain in an address
// is complete), and follows CNAMEs. Several callers with the same question share one lookup, which goes on when a caller
// has gone, so that its answer is there when the message is tried again.
type Client struct {
	opts    Options
	servers []*server
	cache   *cache[question, *answer]
	trip    func(ctx context.Context, network, addr string, query *mdns.Msg) (*mdns.Msg, error)

	mu      sync.Mutex // guards what follows
	flights map[question]*flight
	closed  bool
	running sync.WaitGroup
}

// flight is a lookup under way. Its answer may be read when done is closed.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	answer *answer
}

// New returns a Client, or an error for a server address that is none. The caller closes it when it is no longer needed.
func New(opts Options) (*Client, error) {
	servers, err := opts.servers()
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	return &Client{
		opts: opts, servers: servers, trip: trip,
		cache: newCache[question, *answer](opts.Entries), flights: make(map[question]*flight),
	}, nil
}

// Close ends the lookups under way and waits for their end. Afterwards only answers in memory are given.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for _, f := range c.flights {
		f.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// MX implements Resolver.
func (c *Client) MX(ctx context.Context, domain string) ([]MX, error) {
	a, err := c.lookup(ctx, domain, mdns.TypeMX)
	if err != nil {
		return nil, err
	}
	mx := slices.Clone(a.mx)
	shuffleEqual(mx)
	return mx, nil
}

// shuffleEqual puts hosts of equal preference in random order (RFC 5321, section 5.1).
func shuffleEqual(mx []MX) {
	for from := 0; from < len(mx); {
		to := from + 1
		for to < len(mx) && mx[to].Pref == mx[from].Pref {
			to++
		}
		run := mx[from:to]
		rand.Shuffle(len(run), func(i, j int) { run[i], run[j] = run[j], run[i] })
		from = to
	}
}

// Addrs implements Resolver. It succeeds when one of the two families has an address, even if nothing can be found out
// about the other.
func (c *Client) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	name, err := ASCII(host)
	if err != nil {
		return nil, badName("addr", host)
	}
	if isLocalhost(name) { // RFC 6761, section 6.3: never asked of a server
		return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	q6, q4 := question{name, mdns.TypeAAAA}, question{name, mdns.TypeA}
	now := time.Now()
	a6, f6 := c.begin(q6, now)
	a4, f4 := c.begin(q4, now)
	a6 = wait(ctx, q6, a6, f6)
	a4 = wait(ctx, q4, a4, f4)
	if addrs := slices.Concat(a6.addrs, a4.addrs); len(addrs) > 0 {
		return addrs, nil
	}
	// Nothing was found, and this is final only when it is for both.
	if a6.err.Temporary {
		return nil, a6.err
	}
	return nil, a4.err
}

// TXT implements Resolver.
func (c *Client) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := c.lookup(ctx, name, mdns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.text), nil
}

// PTR implements Resolver.
func (c *Client) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	name, err := mdns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return nil, badName("ptr", ip.String())
	}
	a, err := c.lookup(ctx, name, mdns.TypePTR)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.text), nil
}

// badName is the error for what cannot be asked for: no server could know it.
func badName(op, name string) *Error {
	return &Error{Op: op, Name: name, Reason: errName.Error(), NotFound: true, NXDomain: true, Status: statusNoDomain}
}

// lookup returns the answer to a question, from memory or from a server.
func (c *Client) lookup(ctx context.Context, name string, qtype uint16) (*answer, error) {
	q := question{qtype: qtype}
	var err error
	if q.name, err = ASCII(name); err != nil {
		return nil, badName(q.op(), name)
	}
	a, f := c.begin(q, time.Now())
	if a = wait(ctx, q, a, f); a.err != nil {
		return nil, a.err
	}
	return a, nil
}

// begin returns the answer to a question if it is at hand, and otherwise the lookup that will bring it.
func (c *Client) begin(q question, now time.Time) (*answer, *flight) {
	old, ok := c.cache.get(q)
	if ok && now.Before(old.expires) {
		return old, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[q]; ok {
		return nil, f
	}
	if c.closed {
		return &answer{err: q.failed("resolver closed")}, nil
	}
	limit := c.opts.Total
	if ok && now.Before(old.stale) { // RFC 8767, section 5: with an answer to fall back on, nobody is kept waiting for long
		limit = min(limit, 2*c.opts.Timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	c.flights[q] = f
	c.running.Go(func() { c.fly(ctx, q, f, old) })
	return nil, f
}

// fly brings the answer to a question. Old is an outdated answer, or nil.
func (c *Client) fly(ctx context.Context, q question, f *flight, old *answer) {
	defer f.cancel()
	a := c.resolve(ctx, q)
	if now := time.Now(); a.err != nil && a.err.Temporary && old != nil && now.Before(old.stale) {
		again := *old // RFC 8767, section 4: better than nothing, and asked again soon
		again.expires = a.expires
		a = &again
	}
	c.cache.put(q, a)
	f.answer = a
	c.mu.Lock()
	delete(c.flights, q)
	c.mu.Unlock()
	close(f.done)
}

// wait returns the answer a if there is one, and otherwise that of flight f.
func wait(ctx context.Context, q question, a *answer, f *flight) *answer {
	if a != nil {
		return a
	}
	select {
	case <-f.done:
		return f.answer
	case <-ctx.Done():
		return &answer{err: q.failed("timeout")}
	}
}
