package health

import (
	"net/netip"
	"slices"
	"time"
)

// Standing is evidence that begins and ends: an address or a network of ours is on a list.
type Standing struct {
	At      time.Time
	Listing string // name of the list, as in the catalogue of DNS blocklists
	// Net is what is listed, one address or a range: all egresses that send from it are meant. When it is not valid, Egress
	// names the one that is meant.
	Net    netip.Prefix
	Egress string
	// Providers are those known to refuse what this list names. Their paths are blocked while the listing stands.
	Providers []string
	On        bool     // it has begun; false: it has ended
	Evidence  Evidence // what was seen; its Key is filled in
}

// Listing is a standing listing that blocks a path.
type Listing struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

// SetStanding takes the beginning or the end of a listing. Beginning twice is one beginning: an observer may repeat what it
// sees, and a path that came back in spite of the listing, because its provider takes the mail all the same, stays.
// The end makes no path healthy: its probes begin. A listing ends on all paths of the egress, whatever Providers says.
func (b *Book) SetStanding(s Standing) []Change {
	r := b.rules.Load()
	var changes []Change
	for _, egress := range s.egresses(r) {
		for _, key := range b.standingKeys(&s, egress) {
			ev := s.Evidence
			ev.Key, ev.At = key, s.At
			apply := func(t *track) { t.unlist(&s, r) }
			if s.On {
				apply = func(t *track) { t.list(&s, &ev, r) }
			}
			changes = append(changes, b.on(key, s.At, apply)...)
		}
	}
	return changes
}

// egresses returns those that the listing means.
func (s *Standing) egresses(r *rules) []string {
	if !s.Net.IsValid() {
		return []string{s.Egress}
	}
	var all []string
	for _, name := range sortedNames(r.sources) {
		if (Source{Networks: []netip.Prefix{s.Net}}).covers(r.sources[name].Addrs) {
			all = append(all, name)
		}
	}
	return all
}

// standingKeys returns the paths of an egress that a listing bears on: at its end all that know it.
func (b *Book) standingKeys(s *Standing, egress string) []Key {
	var keys []Key
	if s.On {
		for _, provider := range s.Providers {
			keys = append(keys, Key{egress, provider})
		}
		return keys
	}
	b.each(func(p *page) {
		if p.key.Egress != egress {
			return
		}
		p.mu.Lock()
		if slices.ContainsFunc(p.t.Standing, func(l Listing) bool { return l.Name == s.Listing }) {
			keys = append(keys, p.key)
		}
		p.mu.Unlock()
	})
	return keys
}

func (t *track) list(s *Standing, ev *Evidence, r *rules) {
	if slices.ContainsFunc(t.Standing, func(l Listing) bool { return l.Name == s.Listing }) {
		return
	}
	t.Standing = append(slices.Clone(t.Standing), Listing{s.Listing, s.At})
	t.Tale.add(ev)
	if t.Pin == nil {
		t.block("health.why.standing", s.At, r)
	}
}

func (t *track) unlist(s *Standing, r *rules) {
	kept := slices.DeleteFunc(slices.Clone(t.Standing), func(l Listing) bool { return l.Name == s.Listing })
	if len(kept) == len(t.Standing) {
		return
	}
	t.Standing = kept
	if len(kept) > 0 || t.Pin != nil || t.State != Blocked {
		return
	}
	t.Probe.Failed = 0
	t.Probe.At = s.At.Add(r.jitter(r.ProbeFirst))
	t.move(Blocked, "health.why.standing_ended", s.At)
}
