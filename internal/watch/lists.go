package watch

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ukai/internal/dns"
	"ukai/internal/dnsbl"
	"ukai/internal/health"
	"ukai/internal/incident"
)

// ListsParts are the rooms that the monitor of the blocklists works with.
type ListsParts struct {
	Health    *health.Book
	Incidents *incident.Book
	Places    *Places
	// Addrs finds the addresses of a smarthost.
	Addrs func(ctx context.Context, host string) ([]netip.Addr, error)
	Log   *slog.Logger
}

// ListsOptions say what is watched on which lists. They are replaced as a whole by Lists.Set.
type ListsOptions struct {
	// Off: nothing is asked.
	Off       bool
	Catalogue *dnsbl.Catalogue
	// Server is the resolver that lists are asked through; empty: the system's. Ask stands in for it where it is not nil.
	Server string
	Ask    dnsbl.Asker
	// Addresses are our own, with the egresses that send from them; Hosts the names of the smarthosts of egresses, Domains
	// sender domains.
	Addresses map[netip.Addr][]string
	Hosts     map[string][]string
	Domains   []string
	// Signed are domains that are watched where there is an address to watch, too.
	Signed []string
	// Ranges are what the owner of our network announces: where a neighbour is looked for.
	Ranges []netip.Prefix
	// Every is how often each target is asked about; one that is listed three times as often. Default 15 min.
	Every time.Duration
	// Samples is how many questions it may cost at most to find out whether a listing means one address or its range. Default 64.
	Samples int
	// Speed makes the clock of the monitor go faster, for a rehearsal; 0: 1.
	Speed float64
}

// Lists watches our addresses and sender domains on DNS blocklists. A listing that has been seen twice, some minutes apart,
// from a list that has passed its test, is standing evidence: package health blocks the paths to the providers that are known
// to use the list, and package incident tells of it. Its end is found in the same way. A list that cannot be asked says
// nothing about anybody: that is told once, of the list.
//
// What stands is kept in the database, so that a restart raises nothing twice, and what ended meanwhile ends.
type Lists struct {
	parts   ListsParts
	started time.Time
	changed chan struct{} // capacity 1: Set was called
	asked   chan string   // egresses whose neighbourhood is to be looked at

	mu      sync.Mutex // guards the fields below
	opts    ListsOptions
	engine  *dnsbl.Engine
	fitness dnsbl.Fitness
	targets map[string]*listTarget
	stands  map[listKey]Listed
	mute    map[string]Unasked // by list and sort of target
	senders map[string]time.Time

	detector *dnsbl.Detector // of the goroutine of Run, as is what follows
	pipe     *dns.Pipe
	hosts    map[string][]netip.Addr
	renewed  time.Time // engine, and addresses of hosts
}

// listTarget is one thing that is watched.
type listTarget struct {
	dnsbl.Target
	egresses []string
	next     time.Time
	checked  time.Time
}

type listKey struct{ Target, List string }

// Listed is a listing that stands.
type Listed struct {
	Target   string    `json:"target"`
	List     string    `json:"list"` // id in the catalogue
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`
	Code     string    `json:"code,omitempty"`
	Meaning  string    `json:"meaning,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	URL      string    `json:"url,omitempty"`
	Who      string    `json:"who,omitempty"` // may ask for the removal: owner, network, wait
	Egresses []string  `json:"egresses,omitempty"`
	Verdict  string    `json:"verdict,omitempty"` // culprit, range; empty: not known yet
}

// Unasked is a list that cannot be asked.
type Unasked struct {
	List  string    `json:"list"`
	State string    `json:"state"`
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
}

// ListsStatus is the monitor at a glance.
type ListsStatus struct {
	On       bool   `json:"on"`
	Resolver string `json:"resolver,omitempty"`
	// Unfit says why the resolver cannot be used: rewritten, public, timeout, ...; empty: it can.
	Unfit   string    `json:"unfit,omitempty"`
	Targets []string  `json:"targets"`
	Checked time.Time `json:"checked,omitzero"` // the target that was asked about longest ago
	Listed  []Listed  `json:"listed"`
	Unasked []Unasked `json:"unasked"`
}

// NewLists returns a monitor that asks nothing before Run.
func NewLists(p ListsParts, o ListsOptions) *Lists {
	return &Lists{
		parts: p, opts: o.withDefaults(), started: time.Now(), changed: make(chan struct{}, 1), asked: make(chan string, 64),
		targets: make(map[string]*listTarget), stands: make(map[listKey]Listed), mute: make(map[string]Unasked), senders: make(map[string]time.Time),
		detector: dnsbl.NewDetector(dnsbl.DetectorOptions{}), hosts: make(map[string][]netip.Addr),
	}
}

func (o ListsOptions) withDefaults() ListsOptions {
	if o.Every <= 0 {
		o.Every = 15 * time.Minute
	}
	if o.Speed <= 0 {
		o.Speed = 1
	}
	return o
}

// Set replaces the options. Listings of targets that are no longer watched end.
func (l *Lists) Set(o ListsOptions) {
	l.mu.Lock()
	l.opts = o.withDefaults()
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// maxSenders is how many sender domains are watched besides those of the settings, senderKeep how long after their last mail.
const (
	maxSenders = 50
	senderKeep = 24 * time.Hour
)

// Sent notes that a domain sends mail, so that it is watched. It does not wait.
func (l *Lists) Sent(domain string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.senders[domain]; domain == "" || l.opts.Off || !ok && len(l.senders) >= maxSenders {
		return
	}
	l.senders[domain] = time.Now()
}

// Look has the addresses of an egress and those around them looked at, because it is refused: is it we, a neighbour, or the
// whole range? It does not wait; the verdict goes to the incident of the egress.
func (l *Lists) Look(egress string) {
	select {
	case l.asked <- egress:
	default: // there is enough to look at
	}
}

// Status returns how things stand.
func (l *Lists) Status() ListsStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := ListsStatus{On: !l.opts.Off, Resolver: l.opts.Server, Unfit: unfit(&l.fitness), Targets: []string{}, Listed: []Listed{}, Unasked: []Unasked{}}
	for name, t := range l.targets {
		s.Targets = append(s.Targets, name)
		if s.Checked.IsZero() || t.checked.Before(s.Checked) {
			s.Checked = t.checked
		}
	}
	for _, st := range l.stands {
		s.Listed = append(s.Listed, st)
	}
	for _, u := range l.mute {
		if !slices.ContainsFunc(s.Unasked, func(have Unasked) bool { return have.List == u.List }) {
			s.Unasked = append(s.Unasked, u)
		}
	}
	slices.Sort(s.Targets)
	slices.SortFunc(s.Listed, func(a, b Listed) int { return compareListed(&a, &b) })
	slices.SortFunc(s.Unasked, func(a, b Unasked) int { return compareText(a.List, b.List) })
	return s
}

// unfit says why lists cannot be asked through a resolver. Before it was tested there is nothing to say.
func unfit(f *dnsbl.Fitness) string {
	switch {
	case f.At.IsZero() || f.OK():
		return ""
	case f.Public:
		return string(dnsbl.WhyPublic)
	}
	return string(f.Why)
}
