package dns

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// maxChain is how many CNAMEs are followed for one question, over all its responses.
const maxChain = 8

// question is what a cache entry answers.
type question struct {
	name  string // as ASCII returns it
	qtype uint16
}

func (q question) op() string {
	switch q.qtype {
	case mdns.TypeMX:
		return "mx"
	case mdns.TypeTXT:
		return "txt"
	case mdns.TypePTR:
		return "ptr"
	}
	return "addr"
}

// answer is what is known about a question. It is never changed after it was made.
type answer struct {
	mx    []MX
	addrs []netip.Addr
	text  []string // TXT: each record's text; PTR: names
	err   *Error   // why there is none of these

	expires time.Time // not to be used from then on,
	stale   time.Time // but until then if nothing newer can be found out
}

// The enhanced status codes of RFC 3463 that a lookup can end with.
const (
	statusNoDomain  = "5.1.2"  // bad destination system address
	statusNullMX    = "5.1.10" // recipient address has null MX (RFC 7505, section 4.2)
	statusNoRoute   = "5.4.4"  // unable to route
	statusLoop      = "5.4.6"  // routing loop detected
	statusDirectory = "4.4.3"  // directory server failure
)

func (q question) notFound(nxdomain bool) *Error {
	e := &Error{Op: q.op(), Name: q.name, Reason: "no records", NotFound: true, NXDomain: nxdomain, Status: statusNoRoute}
	if nxdomain {
		e.Reason, e.Status = "no such domain", statusNoDomain
	}
	return e
}

func (q question) failed(reason string) *Error {
	return &Error{Op: q.op(), Name: q.name, Reason: reason, Temporary: true, Status: statusDirectory}
}

// reading is what one response says about a question.
type reading struct {
	found []mdns.RR // the records asked for
	alias string    // where there are none: the name behind the CNAMEs that the response gives
	loop  bool      // the CNAMEs of the response go round
	ttl   uint32    // the smallest one of everything that was used
}

// read goes through the answer section from the name that was asked for along the CNAMEs (RFC 1034, section 3.6.2).
func read(m *mdns.Msg, q question) reading {
	r := reading{ttl: math.MaxUint32}
	name := q.name
	for range maxChain {
		alias := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != mdns.ClassINET || !strings.EqualFold(strings.TrimSuffix(h.Name, "."), name) {
				continue
			}
			if h.Rrtype == q.qtype {
				r.found = append(r.found, rr)
				r.ttl = min(r.ttl, h.Ttl)
			}
			if c, ok := rr.(*mdns.CNAME); ok && alias == "" {
				alias = fromWire(c.Target)
				r.ttl = min(r.ttl, h.Ttl)
			}
		}
		if len(r.found) > 0 || alias == "" {
			return r
		}
		name, r.alias = alias, alias
	}
	r.loop = true
	return r
}

func soa(m *mdns.Msg) *mdns.SOA {
	for _, rr := range m.Ns {
		if s, ok := rr.(*mdns.SOA); ok {
			return s
		}
	}
	return nil
}

// resolve asks for a question as often as its CNAMEs make it necessary.
func (c *Client) resolve(ctx context.Context, q question) *answer {
	asked, ttl := q, uint32(math.MaxUint32)
	for range maxChain {
		m, reason := c.exchange(ctx, asked)
		if m == nil {
			return c.keep(&answer{err: q.failed(reason)}, 0)
		}
		r := read(m, asked)
		ttl = min(ttl, r.ttl)
		switch {
		case r.loop:
			return c.keep(&answer{err: q.failed("CNAME loop")}, 0)
		case len(r.found) > 0:
			return c.keep(collect(q, r.found), ttl)
		case r.alias != "" && m.Rcode == mdns.RcodeSuccess && soa(m) == nil:
			asked.name = r.alias // the server left the rest to us
			if check(asked.name) != nil {
				return c.keep(&answer{err: q.notFound(true)}, 0)
			}
			continue
		}
		// RFC 2308, section 5: "no" is true for as long as the SOA says, and not at all without one.
		ttl = min(ttl, negativeTTL(m))
		return c.keep(&answer{err: q.notFound(m.Rcode == mdns.RcodeNameError)}, ttl)
	}
	return c.keep(&answer{err: q.failed("CNAME loop")}, 0)
}

func negativeTTL(m *mdns.Msg) uint32 {
	if s := soa(m); s != nil {
		return min(s.Hdr.Ttl, s.Minttl)
	}
	return 0
}

// keep says how long an answer is good, from its TTL in seconds.
func (c *Client) keep(a *answer, ttl uint32) *answer {
	now := time.Now()
	if ttl > math.MaxInt32 { // RFC 2181, section 8: the top bit means zero
		ttl = 0
	}
	d := max(time.Duration(ttl)*time.Second, c.opts.MinTTL)
	switch {
	case a.err == nil:
		a.expires = now.Add(min(d, c.opts.MaxTTL))
		a.stale = a.expires.Add(c.opts.Stale)
	case a.err.NotFound:
		a.expires = now.Add(min(d, c.opts.MaxNegative))
	default:
		a.expires = now.Add(c.opts.FailTTL)
	}
	return a
}

// collect makes an answer of the records asked for.
func collect(q question, found []mdns.RR) *answer {
	a := new(answer)
	for _, rr := range found {
		switch rr := rr.(type) {
		case *mdns.MX:
			a.mx = append(a.mx, MX{Host: fromWire(rr.Mx), Pref: rr.Preference})
		case *mdns.A:
			a.addAddr(rr.A)
		case *mdns.AAAA:
			a.addAddr(rr.AAAA)
		case *mdns.TXT:
			var b strings.Builder
			for _, s := range rr.Txt {
				b.WriteString(unescape(s))
			}
			a.text = append(a.text, b.String())
		case *mdns.PTR:
			a.text = append(a.text, fromWire(rr.Ptr))
		}
	}
	if q.qtype == mdns.TypeMX {
		a.mx = sortMX(a.mx)
	}
	if len(a.mx) == 0 && len(a.addrs) == 0 && len(a.text) == 0 {
		a.err = q.notFound(false)
	}
	return a
}

func (a *answer) addAddr(ip []byte) {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		a.addrs = append(a.addrs, addr.Unmap())
	}
}

// sortMX orders by preference. A null MX stands alone (RFC 7505, section 3): next to others it is a mistake of the domain,
// and the others count.
func sortMX(mx []MX) []MX {
	if len(mx) > 1 {
		null := func(m MX) bool { return m.Host == "" }
		if slices.ContainsFunc(mx, func(m MX) bool { return !null(m) }) {
			mx = slices.DeleteFunc(mx, null)
		} else {
			mx = mx[:1]
		}
	}
	slices.SortStableFunc(mx, func(a, b MX) int { return int(a.Pref) - int(b.Pref) })
	return mx
}
