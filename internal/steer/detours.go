package steer

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ukai/internal/health"
	"ukai/internal/provider"
)

// Detours is the mail of a server that takes the detour, as its files say it.
type Detours struct {
	// Domains are recipient domains, sorted.
	Domains []string `json:"domains"`
	// Hosts are MX hosts as Exim's lists have them ("google.com", "*.google.com"; with "!" those that are not meant), in order.
	Hosts []string `json:"hosts,omitempty"`
}

// Detours returns what the files of a server have to say; ok is false for one that is not steered.
func (s *Steer) Detours(name string) (d Detours, ok bool) {
	srv := (*s.byName.Load())[name]
	if srv == nil {
		return Detours{}, false
	}
	d, _ = s.detours(srv, time.Now())
	return d, true
}

// outlook is the way of one provider's mail in a file.
type outlook struct {
	way  way
	path health.Path
	// turn and tries are for a probe: whose turn it is, and how many domains.
	turn  int64
	tries int
	first []string // the domains whose turn it is
}

// detours returns what the files say, and when it changes by itself; a zero time: it does not.
func (s *Steer) detours(srv *server, now time.Time) (d Detours, next time.Time) {
	if s.observe.Load() {
		return d, next
	}
	views, next := s.outlooks(srv.Load(), now)
	if len(views) == 0 {
		return d, next
	}
	srv.domains.each(func(domain string, id provider.ID) {
		if o := views[id]; o != nil && o.takes(domain) {
			d.Domains = append(d.Domains, domain)
		}
	})
	d.Domains = without(d.Domains, views)
	slices.Sort(d.Domains)
	d.Hosts = s.hosts(views)
	return d, next
}

// outlooks looks at the paths of a server that are not simply open.
func (s *Steer) outlooks(conf *Server, now time.Time) (all map[provider.ID]*outlook, next time.Time) {
	all = make(map[provider.ID]*outlook)
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, id := range s.unwell.of(conf.path()) {
		p := s.Health.Path(conf.path(), id)
		o := &outlook{way: conf.way(&p, now), path: p}
		switch o.way {
		case former:
			continue
		case detour:
			if !p.Pinned && conf.Egress == "" && conf.Net {
				sooner(probeFrom(&p))
			}
		case trying:
			turn := int64(now.Sub(probeFrom(&p)) / fileTrialFor)
			o.turn, o.tries = p.ProbeAt.Unix()+turn, 1<<min(turn, mostTried)
			sooner(probeFrom(&p).Add(time.Duration(turn+1) * fileTrialFor))
		}
		all[id] = o
	}
	return all, next
}

// mostTried bounds how many domains are probes at a time, as a power of two. Nobody may write to the one whose turn it is, so
// each turn without an answer doubles them.
const mostTried = 6

// takes tells whether a domain of the provider takes the detour, as far as can be said without the others.
func (o *outlook) takes(domain string) bool {
	switch o.way {
	case shared:
		return !inShare(order(domain, o.path.ShareAt.Unix()), &o.path)
	case trying:
		o.queue(domain)
	}
	return true
}

// queue keeps the domains with the lowest numbers of this turn.
func (o *outlook) queue(domain string) {
	i, _ := slices.BinarySearchFunc(o.first, order(domain, o.turn), func(d string, n uint64) int { return cmp.Compare(order(d, o.turn), n) })
	if i >= o.tries {
		return
	}
	o.first = slices.Insert(o.first, i, domain)
	o.first = o.first[:min(len(o.first), o.tries)]
}

// without takes the domains out that are probes.
func without(list []string, views map[provider.ID]*outlook) []string {
	probes := make(map[string]bool)
	for _, o := range views {
		for _, d := range o.first {
			probes[d] = true
		}
	}
	if len(probes) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(d string) bool { return probes[d] })
}

// hosts returns the MX hosts of providers whose mail takes the detour. A recovering one is left out as soon as the greater part
// of its mail goes the former route: a list of hosts knows no shares.
func (s *Steer) hosts(views map[provider.ID]*outlook) (list []string) {
	blocked := make(map[provider.ID]bool)
	for id, o := range views {
		if o.way != shared || o.path.Share < 1<<31 {
			blocked[id] = true
		}
	}
	suffixes := make(map[string]bool)
	for id := range blocked {
		rows := s.Providers.Rows(id)
		for _, row := range rows {
			for _, mx := range row.MX {
				suffixes[mx] = true
			}
		}
		if name := strings.TrimPrefix(id, "["); len(rows) == 0 && name == id { // not in the catalogue: a registrable domain
			suffixes[id] = true
		}
	}
	for _, not := range s.exceptions(suffixes, blocked) {
		list = append(list, "!"+not, "!*."+not)
	}
	for _, mx := range sortedKeys(suffixes) {
		list = append(list, mx, "*."+mx)
	}
	return list
}

// exceptions returns suffixes of other providers below one of those given: the longest one wins (package provider), and the
// first one that fits does in Exim.
func (s *Steer) exceptions(suffixes map[string]bool, blocked map[provider.ID]bool) []string {
	found := make(map[string]bool)
	for _, row := range s.Providers.All() {
		for _, mx := range row.MX {
			for up := parent(mx); up != "" && !suffixes[mx]; up = parent(up) {
				if suffixes[up] && !blocked[s.Providers.ByHost(mx).ID] {
					found[mx] = true
				}
			}
		}
	}
	return sortedKeys(found)
}

// parent returns the domain above a domain, "" above the topmost.
func parent(domain string) string {
	_, up, _ := strings.Cut(domain, ".")
	return up
}

func sortedKeys(m map[string]bool) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
