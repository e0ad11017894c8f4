package watch

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ukai/internal/mail"
	"ukai/internal/provider"
)

// setup is Options in the form in which they are asked. It is never changed.
type setup struct {
	byAddr map[netip.Addr]string // egress by its address
	own    map[string]bool
	late   time.Duration
}

func newSetup(o Options) *setup {
	s := &setup{byAddr: make(map[netip.Addr]string), own: make(map[string]bool), late: cmp.Or(o.Late, defaultLate)}
	for name, addrs := range o.Egresses {
		for _, a := range addrs {
			s.byAddr[a.Unmap()] = name
		}
	}
	for _, name := range o.Own {
		s.own[strings.ToLower(name)] = true
	}
	return s
}

// egress tells over which egress it was: that whose address the connection had, or the refusal names; else the server stands
// for itself. Hearsay names addresses as it likes.
func (s *setup) egress(o *Observation) string {
	if !o.Hearsay {
		for _, a := range []netip.Addr{o.Outcome.LocalIP, o.Verdict.IP} {
			if name := s.byAddr[a.Unmap()]; name != "" {
				return name
			}
		}
	}
	const longest = 64 // of a host name as syslog writes it
	name := strings.ToLower(cmp.Or(o.Server, o.Source))
	return name[:min(len(name), longest)]
}

// ours tells whether a host is ukai itself.
func (s *setup) ours(host string) bool { return s.own[strings.ToLower(strings.TrimSuffix(host, "."))] }

// provider finds out who receives, as far as that can be done without asking anybody: by the host that answered where the
// catalogue knows it, by the recipient's domain, by what was asked before, by the host's own domain. It is false where the
// DNS has to be asked.
func (h *Hub) provider(o *Observation) bool {
	byHost := h.Providers.ByHost(o.Outcome.Host)
	domain := mail.Domain(o.Recipient)
	byDomain, ok := h.Providers.ByDomain(domain)
	switch {
	case byHost.Row != nil:
		o.Outcome.Provider = byHost.ID
	case ok:
		o.Outcome.Provider = byDomain.ID
	case byHost.ID != "":
		o.Outcome.Provider = byHost.ID
	case domain == "":
		o.Outcome.Provider = unknownProvider
	default:
		id, known := h.known.get(domain, time.Now())
		o.Outcome.Provider = id
		return known
	}
	return true
}

// unknownProvider stands for whom neither a host nor a recipient tells.
const unknownProvider = "unknown"

// registrable is the provider of a domain whose MX nobody told: the domain that it lies in.
func (h *Hub) registrable(o *Observation) provider.ID {
	return cmp.Or(h.Providers.ByHost(mail.Domain(o.Recipient)).ID, unknownProvider)
}

// listed tells whether the catalogue has a provider.
func (h *Hub) listed(id provider.ID) bool {
	return id != unknownProvider && !strings.Contains(id, ".") && id != ""
}

// The askers: how many there are, how many observations wait for them, how long they wait for one answer.
const (
	askersAtOnce = 4
	maxLookups   = 1024
	askFor       = 5 * time.Second
)

// ask finds the providers of observations that wait for one. At the end it takes those that are left as they are.
func (h *Hub) ask(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-h.lookups:
			h.answer(ctx, &o)
		}
	}
}

func (h *Hub) answer(ctx context.Context, o *Observation) {
	domain := mail.Domain(o.Recipient)
	id, known := h.known.get(domain, time.Now())
	if !known {
		if h.Lookup != nil {
			ctx, cancel := context.WithTimeout(ctx, askFor)
			id = h.Lookup(ctx, domain)
			cancel()
		}
		id = cmp.Or(id, h.registrable(o))
		h.known.put(domain, id, time.Now())
	}
	o.Outcome.Provider = id
	from := o.from
	o.from = nil
	h.take(o, from)
}

// answers remembers who receives for a domain.
type answers struct {
	mu  sync.Mutex // guards all
	all map[string]told
}

type told struct {
	id provider.ID
	at time.Time
}

const (
	maxAnswers  = 20_000
	keepAnswers = time.Hour
)

func (a *answers) get(domain string, now time.Time) (provider.ID, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.all[domain]
	if !ok || now.Sub(t.at) > keepAnswers {
		return "", false
	}
	return t.id, true
}

func (a *answers) put(domain string, id provider.ID, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil || len(a.all) >= maxAnswers {
		a.all = make(map[string]told) // starting over costs a lookup each
	}
	a.all[domain] = told{id, now}
}
