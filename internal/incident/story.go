package incident

import (
	"slices"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
)

// count notes a refusal and tells whether there were enough of them within the window.
func (s *story) count(at time.Time, enough int, window time.Duration) bool {
	s.recent = append(s.recent, at)
	if len(s.recent) > enough {
		s.recent = slices.Delete(s.recent, 0, len(s.recent)-enough)
	}
	return len(s.recent) == enough && at.Sub(s.recent[0]) <= window
}

// refused counts a refusal. It tells whether a provider refuses that had not before.
func (s *story) refused(r *Refusal) (grown bool) {
	n := int64(max(1, r.Recipients))
	s.Counts.Refused += n
	s.Domains.Add(r.Domain, n)
	s.Senders.Add(r.Sender, n)
	s.Blame = wider(s.Blame, r.Verdict.Blame)
	s.uses(r.Outcome.Egress)
	s.names(r)
	p := s.provider(r.Outcome.Provider)
	if p == nil {
		if len(s.Providers) == maxProviders {
			return false
		}
		o := r.Outcome
		s.Providers = append(s.Providers, Provider{ID: o.Provider, First: o.At, Reply: o.Text(), Rule: r.Verdict.Rule, URL: r.Verdict.URL})
		p, grown = &s.Providers[len(s.Providers)-1], true
	}
	p.Refused += n
	p.Last = r.Outcome.At
	if len(p.Classes) < maxClasses && !slices.Contains(p.Classes, r.Verdict.Class) {
		p.Classes = append(p.Classes, r.Verdict.Class)
	}
	return grown
}

// wider returns the blame that reaches further: a range is more than an address.
func wider(a, b classify.Blame) classify.Blame {
	if a == "" || a == classify.BlameIP && b == classify.BlameRange {
		return b
	}
	return a
}

func (s *story) uses(egress string) {
	if egress != "" && len(s.Egresses) < maxPaths && !slices.Contains(s.Egresses, egress) {
		s.Egresses = append(s.Egresses, egress)
	}
}

// names notes the address of ours that a refusal for reputation is about: the one that the text names, else the one that it came
// from where that is known to the world.
func (s *story) names(r *Refusal) {
	ip := r.Verdict.IP
	if !ip.IsValid() && r.Outcome.LocalIP.IsGlobalUnicast() && !r.Outcome.LocalIP.IsPrivate() {
		ip = r.Outcome.LocalIP
	}
	if s.Cause.Kind == Reputation && ip.IsValid() && len(s.Addresses) < maxPaths && !slices.Contains(s.Addresses, ip) {
		s.Addresses = append(s.Addresses, ip)
	}
}

// provider returns the entry of a provider, nil when it takes no part.
func (s *story) provider(id string) *Provider {
	for i := range s.Providers {
		if s.Providers[i].ID == id {
			return &s.Providers[i]
		}
	}
	return nil
}

// moved keeps the paths that are shut: all that are neither healthy nor only suspect.
func (s *story) moved(c *health.Change) {
	p := Path{c.Key.Egress, c.Key.Provider}
	s.uses(p.Egress)
	at := slices.Index(s.Shut, p)
	shut := c.To != health.Healthy && c.To != health.Suspect
	if c.Why == "health.why.standing_ended" && s.provider(p.Provider) == nil {
		shut = false // its provider has refused nothing; the path waits for mail to probe with, and may wait for ever
	}
	switch {
	case shut && at < 0 && len(s.Shut) < maxPaths:
		s.Shut = append(s.Shut, p)
	case !shut && at >= 0:
		s.Shut = slices.Delete(s.Shut, at, at+1)
	}
}

// listed notes the beginning or the end of a listing. It tells whether that was news.
func (s *story) listed(l *health.Standing) bool {
	net := l.Net.String()
	i := slices.IndexFunc(s.Listings, func(have ListEntry) bool { return have.Name == l.Listing && have.Net == net && have.Standing() })
	if l.On == (i >= 0) {
		return false
	}
	if !l.On {
		s.Listings[i].Until = l.At
		s.Timeline.add(l.At, "incident.event.delisted", "list", l.Listing, "net", net)
		return true
	}
	if len(s.Listings) == maxListings {
		return false
	}
	s.Listings = append(s.Listings, ListEntry{Name: l.Listing, Net: net, Since: l.At, URL: l.Evidence.Verdict.URL})
	s.Timeline.add(l.At, "incident.event.listed", "list", l.Listing, "net", net)
	return true
}

// passed counts what became of mail.
func (s *story) passed(p *Passage) {
	if p.Detour {
		s.Counts.Detoured += int64(p.Delivered)
	}
	s.Counts.Delivered += int64(p.Delivered)
	s.Counts.Held += int64(p.Held)
	s.Counts.Bounced += int64(p.Bounced)
}

// calm tells whether nothing stands that keeps the incident open.
func (s *story) calm() bool {
	return len(s.Shut) == 0 && !slices.ContainsFunc(s.Listings, func(l ListEntry) bool { return l.Standing() })
}

// clone copies an incident so that it can leave the Book.
func (s *story) clone() Incident {
	c := s.Incident
	c.Providers = slices.Clone(s.Providers)
	for i := range c.Providers {
		c.Providers[i].Classes = slices.Clone(c.Providers[i].Classes)
	}
	slices.SortStableFunc(c.Providers, func(a, b Provider) int { return int(min(1, max(-1, b.Refused-a.Refused))) })
	c.Listings, c.Egresses, c.Shut = slices.Clone(s.Listings), slices.Clone(s.Egresses), slices.Clone(s.Shut)
	c.Addresses = slices.Clone(s.Addresses)
	if s.Judged != nil {
		judged := *s.Judged
		c.Judged = &judged
	}
	c.Domains, c.Senders, c.Timeline = s.Domains.clone(), s.Senders.clone(), s.Timeline.clone()
	return c
}
