package rehearse

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/config"
	"ukai/internal/dnsbl"
	"ukai/internal/incident"
)

// Listing is an entry in a DNS blocklist that a step makes or takes away.
type Listing struct {
	// Zone is that of a list of the built-in catalogue.
	Zone string `toml:"zone"`
	// Address is one address, or a network of 1,024 at most: as receivers see them.
	Address string `toml:"address"`
	// Code is the answer; default 127.0.0.2.
	Code string `toml:"code"`

	net  netip.Prefix
	code netip.Addr
}

// widest is how many bits a network in a blocklist has at least.
const widest = 22

func (c *checker) checkListing(p string, l *Listing, cat *dnsbl.Catalogue) {
	if cat.List(l.Zone) == nil || l.Zone == "" {
		c.bad(p+".zone", "rehearse.bad.zone", "value", l.Zone)
	}
	var ok bool
	if l.net, ok = network(l.Address); !ok {
		c.bad(p+".address", "rehearse.bad.network", "value", l.Address)
	}
	if l.Code == "" {
		l.Code = "127.0.0.2"
	}
	var err error
	if l.code, err = netip.ParseAddr(l.Code); err != nil {
		c.bad(p+".code", "rehearse.bad.address", "value", l.Code)
	}
}

// network reads an address, or a network that is not too wide.
func network(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil && p.Addr().Is4() && p.Bits() >= widest
}

// enter makes entries or takes them away.
func (st *stage) enter(l *Listing, on bool) {
	for ip := l.net.Addr(); l.net.Contains(ip); ip = ip.Next() {
		st.w.Delist(l.Zone, ip)
		if on {
			st.w.List(l.Zone, ip, l.code, "https://"+l.Zone+"/query/ip/"+ip.String())
		}
	}
}

// zones are those of the lists that the story speaks of.
func (s *Scenario) zones() (all []string) {
	for i := range s.Steps {
		for _, l := range s.Steps[i].List {
			if !slices.Contains(all, l.Zone) {
				all = append(all, l.Zone)
			}
		}
	}
	return all
}

// watchLists has the ukai watch the lists of the story, and no other. They are those of the built-in catalogue, served by the
// simulated name server with the test entries that every list has (RFC 5782, section 5).
func (st *stage) watchLists(dir string, cfg *config.Config) error {
	zones := st.s.zones()
	if len(zones) == 0 {
		return nil
	}
	all, err := dnsbl.Load()
	if err != nil {
		return err
	}
	var cat dnsbl.Catalogue
	for _, zone := range zones {
		row := *all.List(zone)
		row.KeyedZone = ""
		cat.Lists = append(cat.Lists, &row)
		st.w.List(zone, netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.2"), "test entry")
	}
	text, err := toml.Marshal(&cat)
	if err != nil {
		return err
	}
	cfg.Lists.Resolver, cfg.Lists.Catalogue = st.w.DNS(), filepath.Join(dir, "lists.toml")
	for i := range st.s.Egresses {
		if e := &st.s.Egresses[i]; e.Kind != kindRelay && e.Kind != kindSmarthost && e.shown.IsValid() {
			cfg.Lists.Addresses = append(cfg.Lists.Addresses, e.shown)
		}
	}
	return os.WriteFile(cfg.Lists.Catalogue, text, 0o600)
}

// Incident is one that ukai told of.
type Incident struct {
	ID    int64  `json:"id"`
	Kind  string `json:"kind"`
	Place string `json:"place"`
	State string `json:"state"`
	// Opened is how long after the beginning it was told, Delay how long after the third refusal of the story (0 when it was told
	// before that), Closed when it was told to be over; 0: it was not.
	Opened   float64 `json:"opened_ms"`
	Delay    float64 `json:"delay_ms"`
	Closed   float64 `json:"closed_ms"`
	Reopened int     `json:"reopened"`
	Listings int     `json:"listings"`
	Events   int     `json:"events"` // that a person may want to know of
	Verdict  string  `json:"verdict,omitempty"`
}

// enoughRefusals is how many of them make an incident: see incident.Options.
const enoughRefusals = 3

// told is an event of an incident with the time at which it came.
type told struct {
	incident.Event
	at time.Time
}

// opened fits app.Options.OnIncident.
func (w *watcher) opened(e incident.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.incidents = append(w.incidents, told{e, time.Now()})
}

// incidentsSince returns the incidents as they stand, with times since the beginning.
func (w *watcher) incidentsSince(began time.Time) []Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := []Incident{}
	for i := range w.incidents {
		e := &w.incidents[i]
		at := slices.IndexFunc(all, func(have Incident) bool { return have.ID == e.Incident.ID })
		if at < 0 {
			at = len(all)
			all = append(all, Incident{ID: e.Incident.ID, Kind: string(e.Incident.Cause.Kind), Place: e.Incident.Cause.Place, Opened: ms(e.at.Sub(began))})
			if len(w.refusals) == enoughRefusals {
				all[at].Delay = max(0, ms(e.at.Sub(w.refusals[enoughRefusals-1])))
			}
		}
		x := &all[at]
		x.State, x.Reopened, x.Listings = string(e.Incident.State), e.Incident.Reopened, len(e.Incident.Listings)
		x.Events++
		if x.Closed = 0; e.News == incident.WasClosed {
			x.Closed = ms(e.at.Sub(began))
		}
		if e.Incident.Judged != nil {
			x.Verdict = e.Incident.Judged.Verdict
		}
	}
	return all
}

// calm tells whether every incident is closed.
func (w *watcher) calm() bool {
	return !slices.ContainsFunc(w.incidentsSince(time.Time{}), func(i Incident) bool { return i.State != string(incident.Closed) })
}

// closed counts the incidents that are.
func (w *watcher) closed() (n int) {
	for _, i := range w.incidentsSince(time.Time{}) {
		if i.State == string(incident.Closed) {
			n++
		}
	}
	return n
}

// expects tells whether something is expected of a measure.
func (s *Scenario) expects(name string) bool {
	return slices.ContainsFunc(s.expect, func(x expectation) bool { return x.name == name })
}
