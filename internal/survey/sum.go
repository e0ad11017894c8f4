package survey

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"ukai/internal/provider"
)

// The sizes of a result.
const (
	shownNames = 20 // in a Tally
	stormTries = 5  // retries for each message that waits: a storm
	stormLeast = 50 // retries
)

// Result says what the events so far tell. More may be added afterwards.
func (s *Survey) Result() *Result {
	r := &Result{First: instant(s.first), Last: instant(s.last), Totals: s.totals, Senders: s.senders.top(shownNames), Inbound: s.inboundResult()}
	r.Totals.Rejected = r.Inbound.Rejected
	if len(s.hosts) > 1 || len(s.hosts) == 1 && s.hosts[0] != "" {
		r.Hosts = slices.Clone(s.hosts)
	}
	hit := table{keep: keptTop}
	for _, g := range s.settled() {
		if !s.shown(g) {
			continue
		}
		hit.merge(&g.domains)
		p := s.provider(g)
		r.Totals.Delivered += p.Totals.Delivered
		r.Totals.Deferred += p.Totals.Deferred
		r.Totals.Retries += p.Totals.Retries
		r.Totals.Bounced += p.Totals.Bounced
		r.Totals.Expired += p.Totals.Expired
		r.Providers = append(r.Providers, p)
	}
	r.Domains = hit.top(shownNames)
	for _, gen := range []map[uint64]waiting{s.open, s.older} {
		for _, w := range gen {
			if s.shown(w.group) {
				r.Totals.Waiting++
			}
		}
	}
	slices.SortFunc(r.Providers, func(a, b Provider) int {
		all := func(p Provider) int64 {
			return p.Totals.Delivered + p.Totals.Deferred + p.Totals.Bounced + p.Totals.Expired
		}
		return cmp.Or(-cmp.Compare(a.Refused, b.Refused), -cmp.Compare(all(a), all(b)), strings.Compare(a.ID, b.ID))
	})
	return r
}

// settled returns the groups with what was waiting under its domain put where it belongs. The survey itself stays as it is.
func (s *Survey) settled() map[provider.ID]*group {
	all := maps.Clone(s.groups)
	own := make(map[provider.ID]bool) // copies that may be changed
	for _, d := range s.domains {
		if d.alone == nil {
			continue
		}
		m := d.alone.match
		if d.group != nil {
			m = d.group.match
		}
		g := all[m.ID]
		switch {
		case g == nil:
			g = newGroup(m)
			all[m.ID], own[m.ID] = g, true
			g.tracks = d.alone.tracks
		case !own[m.ID]:
			g = g.copied()
			all[m.ID], own[m.ID] = g, true
		}
		g.merge(d.alone)
	}
	return all
}

// copied returns a group that merge may change.
func (g *group) copied() *group {
	c := *g
	c.causes = make(map[causeKey]*cause, len(g.causes))
	for k, x := range g.causes {
		y := *x
		c.causes[k] = &y
	}
	c.ips = slices.Clone(g.ips)
	c.domains = table{keep: g.domains.keep}
	c.domains.merge(&g.domains)
	if g.delays != nil {
		d := *g.delays
		c.delays = &d
	}
	return &c
}

// provider tells of one group.
func (s *Survey) provider(g *group) Provider {
	p := Provider{ID: g.match.ID, Name: g.match.ID, Gateway: g.match.Gateway, Totals: g.totals, Refused: g.refused, Domains: g.domains.top(shownNames), IPs: slices.Clone(g.ips)}
	if row := g.match.Row; row != nil {
		p.Name = s.nameOf(g.match.ID, row)
	}
	if g.delays != nil {
		p.Delay = Delay{P50: g.delays.quantile(0.5), P95: g.delays.quantile(0.95)}
	}
	p.Tried = p.Refused + p.Totals.Delivered
	p.Trouble, p.Few = g.trouble("")
	for k, c := range g.causes {
		v := c.verdict
		v.List = k.list
		p.Causes = append(p.Causes, Cause{Verdict: v, Messages: c.messages, Final: c.final, First: instant(c.first), Last: instant(c.last), Example: c.example, Host: c.host})
	}
	slices.SortFunc(p.Causes, func(a, b Cause) int {
		return cmp.Or(-cmp.Compare(a.Messages, b.Messages), strings.Compare(a.Class, b.Class), strings.Compare(a.List, b.List))
	})
	told := make(map[string]bool) // a class with several lists has one row
	for i := range p.Causes {
		if c := &p.Causes[i]; !told[c.Class] {
			told[c.Class] = true
			c.Trouble, _ = g.trouble(c.Class)
		}
	}
	if w := g.totals; w.Retries >= stormLeast && w.Retries >= stormTries*w.Deferred {
		p.Storm = &Storm{Messages: w.Deferred, Retries: w.Retries, Most: g.storm.most, Peak: g.storm.peak, PeakAt: instant(g.storm.peakAt)}
	}
	return p
}

// nameOf returns what people call a provider.
func (s *Survey) nameOf(id provider.ID, row *provider.Row) string {
	if row.Separate {
		return row.Name
	}
	return s.catalogue.Name(id)
}

// trouble finds the episodes of a class, host by host.
func (g *group) trouble(class string) (found []Episode, few bool) {
	for _, host := range slices.Sorted(maps.Keys(g.tracks)) {
		t := g.tracks[host]
		r := t.rows[class]
		if r == nil {
			continue
		}
		all, little := episodes(t.whole(r))
		for _, e := range all {
			e.Host = host
			found = append(found, e)
		}
		few = few || little
	}
	slices.SortStableFunc(found, func(a, b Episode) int { return a.Since.Compare(b.Since) })
	return found, few && len(found) == 0
}
