package survey

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/maillog"
	"ukai/internal/provider"
)

// group finds the provider of an event. The host that answered says it best. Where nobody answered, or the log does not tell:
// what this message met before, what the domain's other mail showed, the catalogue's own domains, a host that the text names.
// What is left waits under its domain until a delivery shows where it belongs.
func (s *Survey) group(e *maillog.Event, d *domain, name string, key uint64) *group {
	if filter(e) {
		return s.byRelay("localhost")
	}
	g := s.relays[e.Relay] // seen before: the quick way for nearly all
	if g == nil {
		if host := hostName(e.Relay); host != "" {
			g = s.byRelay(host)
		}
	}
	if g != nil {
		if d.group == nil || e.Kind == maillog.Delivered {
			d.group = g
		}
		return g
	}
	if g := s.nameless(e, d, name); g != nil {
		return g
	}
	if w, ok := s.waits(key); ok {
		return w.group
	}
	if d.group != nil {
		return d.group
	}
	return s.guess(e, d, name)
}

// guess finds the provider of a domain of which no other mail was seen yet.
func (s *Survey) guess(e *maillog.Event, d *domain, name string) *group {
	if host := hostName(namedHost(e.Text)); host != "" {
		d.group = s.byRelay(host)
		return d.group
	}
	if m, ok := s.catalogue.ByDomain(name); ok {
		d.group = s.place(m)
		return d.group
	}
	if rows := s.catalogue.Rows(s.judge.speaker(e)); len(rows) > 0 {
		g := s.place(provider.Match{ID: rows[0].Provider, Row: rows[0]})
		s.learn(e, d, g)
		return g
	}
	if d.alone == nil {
		if s.alone >= maxGroups {
			return s.place(provider.Match{})
		}
		s.alone++
		d.alone = newGroup(s.catalogue.ByHost(name))
		s.domains[strings.Clone(name)] = d // it must not be forgotten before the end
	}
	return d.alone
}

// nameless finds the provider of a server of which the log has the address alone, as OpenSMTPD writes it where reverse DNS is
// silent. Whom an address belongs to is learnt from domains of the catalogue, and from words that betray who speaks.
func (s *Survey) nameless(e *maillog.Event, d *domain, name string) *group {
	ip := e.Remote.Addr()
	if !ip.IsValid() {
		return nil
	}
	if g := s.addrs[ip]; g != nil {
		if d.group == nil {
			d.group = g
		}
		return g
	}
	if m, ok := s.catalogue.ByDomain(name); ok {
		g := s.place(m)
		s.learn(e, d, g)
		return g
	}
	return nil
}

// learn remembers whose a domain and the server that answered are.
func (s *Survey) learn(e *maillog.Event, d *domain, g *group) {
	d.group = g
	if ip := e.Remote.Addr(); ip.IsValid() {
		if len(s.addrs) >= maxRelays {
			clear(s.addrs)
		}
		s.addrs[ip] = g
	}
}

// filter tells whether the other side is a program on this machine, a content filter that hands the mail back for instance: what
// it took has not left.
func filter(e *maillog.Event) bool {
	switch e.Relay {
	case "":
		return false
	case "localhost", "127.0.0.1", "[127.0.0.1]", "::1", "[::1]":
		return true
	}
	return e.Remote.Addr().IsLoopback() && hostName(e.Relay) == ""
}

// hostName returns a name of a server as the catalogue wants it, or "" for what is none: an address, a socket, a pipe.
func hostName(relay string) string {
	relay = strings.TrimSuffix(relay, ".")
	if !strings.Contains(relay, ".") || strings.ContainsAny(relay, "/[]: ") {
		return ""
	}
	if _, err := netip.ParseAddr(relay); err == nil {
		return ""
	}
	return relay
}

// naming are the words before a host name in what servers write of a failed attempt.
var naming = []string{"connect to ", "host ", "with ", "relay="}

// namedHost finds the server that a text speaks of: "connect to mx.example.net[192.0.2.1]:25: Connection timed out".
func namedHost(text string) string {
	for _, word := range naming {
		_, rest, ok := strings.Cut(text, word)
		if !ok {
			continue
		}
		end := strings.IndexAny(rest, "[ :,")
		if end > 0 && strings.HasPrefix(rest[end:], "[") {
			return rest[:end]
		}
	}
	return ""
}

// byRelay returns the group of a server.
func (s *Survey) byRelay(host string) *group {
	if g := s.relays[host]; g != nil {
		return g
	}
	if len(s.relays) >= maxRelays {
		clear(s.relays)
	}
	g := s.place(s.catalogue.ByHost(host))
	s.relays[strings.Clone(host)] = g
	return g
}

// place returns the group of a provider.
func (s *Survey) place(m provider.Match) *group {
	if g := s.groups[m.ID]; g != nil {
		return g
	}
	if m.Row == nil && len(s.groups) >= maxGroups {
		m = provider.Match{}
		if g := s.groups[""]; g != nil {
			return g
		}
	}
	g := newGroup(m)
	s.groups[strings.Clone(m.ID)] = g
	return g
}

// domain returns what is known of a recipient domain.
func (s *Survey) domain(name string) *domain {
	d := s.domains[name]
	if d == nil {
		if len(s.domains) >= maxDomains {
			s.forgetDomains()
		}
		d = &domain{}
		s.domains[strings.Clone(name)] = d
	}
	return d
}

// forgetDomains makes room: of the domains whose provider is known, the half with the fewest deliveries goes.
func (s *Survey) forgetDomains() {
	type entry struct {
		name string
		n    int64
	}
	var all []entry
	for name, d := range s.domains {
		if d.alone == nil {
			all = append(all, entry{name, d.delivered})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	for _, x := range all[:len(all)/2] {
		delete(s.domains, x.name)
	}
}

// shown tells whether a group is one that was asked for.
func (s *Survey) shown(g *group) bool { return s.opt.Provider == "" || g.match.ID == s.opt.Provider }
