package survey

import (
	"net/netip"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/maillog"
	"ukai/internal/provider"
)

// The bounds of what is kept of one provider.
const (
	maxCauses  = 48
	maxIPs     = 16
	maxHosts   = 16 // hosts that write the log; the others count as one
	keptGroup  = 64 // recipient domains
	maxExample = 1000
)

// causeKey tells causes apart.
type causeKey struct{ class, list string }

// cause is a Cause in the making.
type cause struct {
	verdict         classify.Verdict
	messages, final int64
	first, last     int64
	example, host   string
}

// group is what became of the mail for one provider.
type group struct {
	match  provider.Match
	who    string // the ID, for the judge: only of the catalogue
	totals Counts

	refused int64
	causes  map[causeKey]*cause
	tracks  map[string]*track // by host
	domains table
	ips     []netip.Addr
	delays  *delays
	storm   storm
}

func newGroup(m provider.Match) *group {
	g := &group{match: m, domains: table{keep: keptGroup}}
	if m.Row != nil {
		g.who = m.ID
	}
	return g
}

// track returns what one host sends to the provider.
func (g *group) track(host string) *track {
	if t := g.tracks[host]; t != nil {
		return t
	}
	if len(g.tracks) >= maxHosts {
		host = ""
	}
	t := g.tracks[host]
	if t == nil {
		t = &track{}
		if g.tracks == nil {
			g.tracks = make(map[string]*track)
		}
		g.tracks[host] = t
	}
	return t
}

// cause returns the entry for a verdict. When there are too many, the lists are no longer told apart.
func (g *group) cause(v *classify.Verdict, e *maillog.Event) *cause {
	k := causeKey{v.Class, v.List}
	c := g.causes[k]
	if c == nil && len(g.causes) >= maxCauses {
		k.list = ""
		c = g.causes[k]
	}
	if c == nil {
		c = &cause{verdict: *v, first: e.At.UnixNano(), example: clip(e.Text), host: strings.Clone(e.Relay)}
		if g.causes == nil {
			g.causes = make(map[causeKey]*cause)
		}
		g.causes[k] = c
	}
	c.last = e.At.UnixNano()
	return c
}

// address notes one of our own, as a reply named it.
func (g *group) address(ip netip.Addr) {
	if !ip.IsValid() || len(g.ips) >= maxIPs {
		return
	}
	for _, have := range g.ips {
		if have == ip {
			return
		}
	}
	g.ips = append(g.ips, ip)
}

// merge adds what was learned of a domain before anybody knew whose it is. Its rows stay out: where they would belong among
// those of the provider is not known, and refusals for our reputation always come from a host that is.
func (g *group) merge(o *group) {
	g.totals.Delivered += o.totals.Delivered
	g.totals.Deferred += o.totals.Deferred
	g.totals.Retries += o.totals.Retries
	g.totals.Bounced += o.totals.Bounced
	g.totals.Expired += o.totals.Expired
	g.refused += o.refused
	for k, c := range o.causes {
		mine := g.causes[k]
		if mine == nil {
			if g.causes == nil {
				g.causes = make(map[causeKey]*cause)
			}
			copied := *c
			g.causes[k] = &copied
			continue
		}
		mine.messages += c.messages
		mine.final += c.final
		mine.first, mine.last = min(mine.first, c.first), max(mine.last, c.last)
	}
	for _, ip := range o.ips {
		g.address(ip)
	}
	g.domains.merge(&o.domains)
	g.storm.merge(&o.storm)
	if o.delays != nil {
		if g.delays == nil {
			g.delays = &delays{}
		}
		g.delays.merge(o.delays)
	}
}

// clip bounds what is kept of a text, and owns it.
func clip(s string) string {
	if len(s) > maxExample {
		s = s[:maxExample]
	}
	return string(append([]byte(nil), s...))
}

// storm counts attempts that failed, by the minute.
type storm struct {
	most           int
	minute, inside int64
	peak, peakAt   int64
}

// minute in nanoseconds.
const minute = 60_000_000_000

// fail notes an attempt that has to be repeated; tries is the how-manieth for its message.
func (s *storm) fail(at int64, tries int) {
	s.most = max(s.most, tries)
	if m := at / minute; m != s.minute {
		s.minute, s.inside = m, 0
	}
	if s.inside++; s.inside > s.peak {
		s.peak, s.peakAt = s.inside, s.minute*minute
	}
}

func (s *storm) merge(o *storm) {
	s.most = max(s.most, o.most)
	if o.peak > s.peak {
		s.peak, s.peakAt = o.peak, o.peakAt
	}
}
