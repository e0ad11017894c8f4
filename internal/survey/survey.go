package survey

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/maillog"
	"ukai/internal/provider"
)

// The bounds of a survey.
const (
	maxGroups  = 4096  // providers that are not in the catalogue; the others count as one
	maxRelays  = 32768 // hosts whose provider is remembered
	maxDomains = 65536 // recipient domains
	maxOpen    = 65536 // messages that wait, in each of two generations
	keptTop    = 1024  // names in each table
)

// Options say what to look at.
type Options struct {
	Provider provider.ID // only mail for this provider; empty: all
	Domain   string      // only mail to this domain, and what our server rejected from it; empty: all
}

// Survey adds up events. It is not safe for concurrent use.
type Survey struct {
	catalogue *provider.Catalogue
	opt       Options
	judge     judge
	budget    budget

	first, last int64
	hosts       []string
	totals      Totals // without what the groups count

	groups  map[provider.ID]*group
	relays  map[string]*group
	addrs   map[netip.Addr]*group // of servers whose name is not known
	domains map[string]*domain
	senders table
	inbound inbound

	open, older map[uint64]waiting // deferred messages
	unnamed     uint64             // for messages without a queue name
	alone       int                // domains that nobody has claimed
}

// domain is a recipient domain.
type domain struct {
	group     *group // where its mail was seen to go; nil: not seen yet
	alone     *group // what happened before
	delivered int64
	last      int64
}

// waiting is a message that was deferred.
type waiting struct {
	group *group
	cause *cause
	tries int
}

// New makes a survey that judges by rules and knows the providers of a catalogue.
func New(rules *classify.Rules, catalogue *provider.Catalogue, o Options) *Survey {
	return &Survey{
		catalogue: catalogue, opt: Options{o.Provider, strings.ToLower(o.Domain)},
		judge:  judge{rules: rules, seed: maphash.MakeSeed(), cache: make(map[uint64]*known)},
		budget: budget{limit: maxBlocks},
		groups: make(map[provider.ID]*group), relays: make(map[string]*group), addrs: make(map[netip.Addr]*group), domains: make(map[string]*domain),
		senders: table{keep: keptTop}, open: make(map[uint64]waiting),
		inbound: inbound{lists: make(map[string]*list)},
	}
}

// Add takes an event. It keeps nothing of it but copies.
func (s *Survey) Add(e *maillog.Event) {
	s.span(e)
	switch e.Kind {
	case maillog.Accepted:
		if s.opt == (Options{}) {
			s.totals.Accepted++
		}
		return
	case maillog.Rejected:
		if s.opt.Provider == "" && (s.opt.Domain == "" || mail.Domain(e.From) == s.opt.Domain || mail.Domain(e.To) == s.opt.Domain) {
			s.reject(e)
		}
		return
	}
	if e.Local || e.Kind == maillog.Delivered && filter(e) {
		if e.Kind == maillog.Delivered && s.opt.Provider == "" && (s.opt.Domain == "" || mail.Domain(e.To) == s.opt.Domain) {
			s.totals.Local++
		}
		return
	}
	name := domainOf(e.To)
	if s.opt.Domain != "" && name != s.opt.Domain {
		return
	}
	d := s.domain(name)
	key, queue := s.keys(e)
	g := s.group(e, d, name, key)
	if e.Kind == maillog.Delivered {
		s.deliver(e, d, g, key, queue)
		return
	}
	s.refuse(e, g, name, key, queue)
}

// span notes when and who.
func (s *Survey) span(e *maillog.Event) {
	if !e.At.IsZero() {
		at := e.At.UnixNano()
		if s.first == 0 || at < s.first {
			s.first = at
		}
		s.last = max(s.last, at)
	}
	if len(s.hosts) < maxHosts && !slices.Contains(s.hosts, e.Host) {
		s.hosts = append(s.hosts, strings.Clone(e.Host))
	}
}

// keys returns what names the message with its recipient, and the message alone.
func (s *Survey) keys(e *maillog.Event) (key, queue uint64) {
	if e.Queue == "" {
		s.unnamed++
		return 0, s.unnamed
	}
	var h maphash.Hash
	h.SetSeed(s.judge.seed)
	_, _ = h.WriteString(e.Host)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(e.Queue)
	queue = h.Sum64()
	_ = h.WriteByte(0)
	_, _ = h.WriteString(e.To)
	return h.Sum64(), queue
}

func (s *Survey) deliver(e *maillog.Event, d *domain, g *group, key, queue uint64) {
	at := e.At.UnixNano()
	g.totals.Delivered++
	d.delivered++
	d.last = max(d.last, at)
	g.track(e.Host).accept(queue, at)
	if e.Delay > 0 {
		if g.delays == nil {
			g.delays = &delays{}
		}
		g.delays.add(e.Delay)
	}
	s.forget(key)
}

// refuse takes what was deferred or given up.
func (s *Survey) refuse(e *maillog.Event, g *group, name string, key, queue uint64) {
	before, known := s.waits(key)
	if e.Kind == maillog.Expired {
		g.totals.Expired++
		if known && before.cause != nil { // the reason is that of the attempts before
			before.cause.final++
		}
		s.forget(key)
		return
	}
	v, fresh := s.judge.of(e, g.who)
	if fresh && v.Reputation {
		g.address(v.IP)
	}
	c := g.cause(v, e)
	at := e.At.UnixNano()
	if !known || before.cause != c { // the first time that this message meets this cause
		c.messages++
		s.note(e, g, v, name, at)
		t := g.track(e.Host)
		t.refuse(v.Class, queue, at, &s.budget)
		if v.Reputation {
			t.refuse("", queue, at, &s.budget)
		}
	}
	if e.Kind == maillog.Bounced {
		g.totals.Bounced++
		c.final++
		s.forget(key)
		return
	}
	if known {
		g.totals.Retries++
	} else {
		g.totals.Deferred++
	}
	g.storm.fail(at, before.tries+1)
	s.wait(key, waiting{g, c, before.tries + 1})
	if s.budget.all > maxAll {
		s.shrink()
	}
}

// note counts whom a refusal for our reputation hit.
func (s *Survey) note(e *maillog.Event, g *group, v *classify.Verdict, name string, at int64) {
	if !v.Reputation {
		return
	}
	g.refused++
	g.domains.add(name, at, 1)
	if e.Sender && s.shown(g) {
		s.senders.add(domainOf(e.From), at, 1)
	}
}

// waits returns what is known of a message that was deferred.
func (s *Survey) waits(key uint64) (waiting, bool) {
	if key == 0 {
		return waiting{}, false
	}
	if w, ok := s.open[key]; ok {
		return w, true
	}
	w, ok := s.older[key]
	return w, ok
}

func (s *Survey) wait(key uint64, w waiting) {
	if key == 0 {
		return
	}
	delete(s.older, key)
	if len(s.open) >= maxOpen {
		s.older, s.open = s.open, make(map[uint64]waiting, maxOpen)
	}
	s.open[key] = w
}

func (s *Survey) forget(key uint64) {
	if len(s.open) > 0 {
		delete(s.open, key)
	}
	if len(s.older) > 0 {
		delete(s.older, key)
	}
}

// shrink halves what every row may keep.
func (s *Survey) shrink() {
	s.budget.limit = max(s.budget.limit/2, 64)
	s.budget.all = 0
	for _, g := range s.groups {
		for _, t := range g.tracks {
			for _, r := range t.rows {
				r.blocks = slices.Clip(shorten(r.blocks, s.budget.limit/2))
				s.budget.all += len(r.blocks)
			}
		}
	}
}

// domainOf returns the domain of an address in lower case, without a copy where it is that already.
func domainOf(addr string) string {
	d := addr[strings.LastIndexByte(addr, '@')+1:]
	if len(d) == len(addr) {
		return ""
	}
	for i := range len(d) {
		if c := d[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(d)
		}
	}
	return d
}
