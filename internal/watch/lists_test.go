package watch

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dns"
	"ukai/internal/dnsbl"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/store"
)

// listWorld is a name server that knows blocklists; the zero value of what it knows is "no such name".
type listWorld struct {
	mu       sync.Mutex // guards the rest
	listed   map[string]string
	down     map[string]bool // zones that do not answer
	rewrites bool
	asked    int
}

func (w *listWorld) Ask(_ context.Context, name string, qtype uint16) (dns.Reply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	for zone, down := range w.down {
		if down && strings.HasSuffix(name, zone) {
			return dns.Reply{}, dns.TemporaryError("ask", name, "timeout")
		}
	}
	code, ok := w.listed[name]
	switch {
	case !ok && w.rewrites:
		return dns.Reply{Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.9")}, TTL: time.Minute}, nil
	case !ok:
		return dns.Reply{Rcode: dns.NXDomain, TTL: time.Minute}, nil
	case qtype == dns.TypeTXT:
		return dns.Reply{Texts: []string{"because"}, TTL: time.Minute}, nil
	}
	return dns.Reply{Addrs: []netip.Addr{netip.MustParseAddr(code)}, TTL: time.Minute}, nil
}

// set lists names, those with an empty code no more.
func (w *listWorld) set(code string, names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range names {
		if w.listed[n] = code; code == "" {
			delete(w.listed, n)
		}
	}
}

func (w *listWorld) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

const listsCatalogue = `
[[list]]
id = "zen"
zone = "zen.example"
[list.entries]
lists = ["ip4", "ip6"]
codes = [
  { code = "127.0.0.2", meaning = "spam" },
  { code = "127.0.0.9", meaning = "bad network", scope = "range" },
  { code = "127.0.0.5", meaning = "a score", severity = "info" },
]
[list.use]
providers = ["icloud"]
[[list]]
id = "uri"
zone = "uri.example"
[list.entries]
lists = ["domain"]
`

// station is a monitor with its world and what it tells.
type station struct {
	t         *testing.T
	world     *listWorld
	lists     *Lists
	health    *health.Book
	incidents *incident.Book
	opts      ListsOptions
	parts     ListsParts
	events    []incident.Event // read while nothing runs
	stop      func()
}

func newStation(t *testing.T, o ListsOptions) *station {
	t.Helper()
	s := &station{t: t, opts: o, world: &listWorld{
		down: map[string]bool{},
		listed: map[string]string{
			"2.0.0.127.zen.example": "127.0.0.2", "test.uri.example": "127.0.0.2",
			"2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.zen.example": "127.0.0.2",
		},
	}}
	cat, err := dnsbl.Parse("lists", []byte(listsCatalogue))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	places, err := OpenPlaces(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	s.health = health.New(health.Options{}, slog.New(slog.DiscardHandler))
	s.incidents = incident.New(incident.Options{OnEvent: func(e incident.Event) { s.events = append(s.events, e) }})
	s.opts.Catalogue, s.opts.Ask = cat, s.world
	s.parts = ListsParts{Health: s.health, Incidents: s.incidents, Places: places, Log: slog.New(slog.DiscardHandler)}
	return s
}

// start runs the monitor; within a bubble only.
func (s *station) start() {
	ctx, cancel := context.WithCancel(context.Background())
	for _, egress := range []string{"direct", "second", "detour"} { // they have sent to both
		for _, provider := range []string{"icloud", "google"} {
			s.health.Observe(health.Evidence{At: time.Now(), Key: health.Key{Egress: egress, Provider: provider}, Verdict: classify.Verdict{Action: classify.Deliver}})
		}
	}
	s.lists = NewLists(s.parts, s.opts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.lists.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	s.stop = func() { cancel(); <-done }
}

// after lets time pass.
func (s *station) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *station) state(egress string) health.State { return s.health.Path(egress, "icloud").State }

// standing returns the listings that block the path of an egress.
func (s *station) standing(egress string) []health.Listing {
	info, _ := s.health.Get(health.Key{Egress: egress, Provider: "icloud"}, time.Now())
	return info.Standing
}

// told counts the events of a kind.
func (s *station) told(n incident.News) int {
	c := 0
	for i := range s.events {
		if s.events[i].News == n {
			c++
		}
	}
	return c
}

// watchOver plays a story with a monitor of some options.
func watchOver(t *testing.T, o ListsOptions, story func(s *station)) {
	t.Helper()
	s := newStation(t, o) // outside: the database's goroutines are not of the bubble
	synctest.Test(t, func(*testing.T) {
		s.start()
		defer func() { s.stop() }()
		story(s)
	})
}

func own(list ...string) map[netip.Addr][]string {
	all := make(map[netip.Addr][]string)
	for i := 0; i < len(list); i += 2 {
		all[netip.MustParseAddr(list[i])] = []string{list[i+1]}
	}
	return all
}

const ours = "25.2.0.192.zen.example" // 192.0.2.25

func TestAListingBlocksThePathsOfThoseWhoUseTheListAndItsEndLetsThemBeProbed(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.after(20 * time.Minute)
		if s.state("direct") != health.Healthy || len(s.events) > 0 {
			t.Fatalf("clean, and yet %v, %v", s.state("direct"), s.events)
		}
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		if s.state("direct") != health.Blocked || s.told(incident.WasOpened) != 1 {
			t.Fatalf("%v, %d opened", s.state("direct"), s.told(incident.WasOpened))
		}
		if p := s.health.Path("direct", "google"); p.State != health.Healthy {
			t.Errorf("google does not use the list, and yet %v", p.State)
		}
		i := s.incidents.List()[0]
		if len(i.Listings) != 1 || i.Listings[0].Name != "zen" || i.Judged == nil || i.Judged.Verdict != "culprit" {
			t.Errorf("%+v, %+v", i.Listings, i.Judged)
		}
		if st := s.lists.Status(); len(st.Listed) != 1 || st.Listed[0].Verdict != "culprit" || st.Listed[0].Reason != "because" || len(st.Targets) != 1 {
			t.Errorf("%+v", st)
		}
		s.world.set("", ours)
		s.after(30 * time.Minute)
		if l := s.incidents.List()[0].Listings[0]; l.Standing() || len(s.standing("direct")) > 0 || len(s.lists.Status().Listed) > 0 {
			t.Errorf("it has not ended: %+v", l)
		}
	})
}

func TestAListingThatIsSeenOnceIsNone(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		for range 12 {
			s.world.set("127.0.0.2", ours)
			s.after(4 * time.Minute)
			s.world.set("", ours)
			s.after(20 * time.Minute)
		}
		if len(s.events) > 0 || s.state("direct") != health.Healthy {
			t.Errorf("%v, %+v", s.state("direct"), s.events)
		}
	})
}

func TestAScoreIsNoListing(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.5", ours)
		s.after(2 * time.Hour)
		if len(s.events) > 0 {
			t.Errorf("%+v", s.events)
		}
	})
}

func TestAListThatBreaksSaysNothingAboutAnybody(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct", "192.0.2.26", "second")}, func(s *station) {
		s.world.set("", "2.0.0.127.zen.example") // emptied
		s.world.set("127.0.0.2", ours)
		s.after(2 * time.Hour)
		st := s.lists.Status()
		if len(s.events) > 0 || len(st.Unasked) != 1 || st.Unasked[0].List != "zen" || st.Unasked[0].Why != string(dnsbl.WhyNoTestEntry) {
			t.Errorf("%+v, %+v", s.events, st)
		}
		s.world.set("127.0.0.2", "2.0.0.127.zen.example")
		s.after(2 * time.Hour)
		if len(s.lists.Status().Unasked) > 0 || s.state("direct") != health.Blocked {
			t.Errorf("it is back: %+v, %v", s.lists.Status(), s.state("direct"))
		}
	})
}

func TestAListThatFallsSilentEndsNoListing(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		s.world.mu.Lock()
		s.world.down["zen.example"] = true
		s.world.mu.Unlock()
		s.after(3 * time.Hour)
		if st := s.lists.Status(); len(st.Listed) != 1 || len(st.Unasked) != 1 || s.told(incident.HasGrown) != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestThroughAResolverThatMakesAnswersUpNothingIsAsked(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.mu.Lock()
		s.world.rewrites = true
		s.world.mu.Unlock()
		s.after(3 * time.Hour)
		if st := s.lists.Status(); st.Unfit != string(dnsbl.WhyRewritten) || len(s.events) > 0 {
			t.Errorf("%+v, %+v", st, s.events)
		}
	})
}

func TestThroughAPublicResolverNothingIsAsked(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct"), Server: "8.8.8.8:53"}, func(s *station) {
		s.after(time.Hour)
		if st := s.lists.Status(); st.Unfit != string(dnsbl.WhyPublic) || s.world.count() > 10 {
			t.Errorf("%+v, %d questions", st, s.world.count())
		}
	})
}

func TestWithoutAnAddressThatTheWorldSeesNothingIsAsked(t *testing.T) {
	o := ListsOptions{Addresses: own("127.0.0.1", "direct", "10.1.2.3", "lan", "fe80::1", "link"), Signed: []string{"example.jp"}}
	watchOver(t, o, func(s *station) {
		s.lists.Sent("example.org")
		s.after(time.Hour)
		if n := s.world.count(); n > 0 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestARestartRaisesNothingTwiceAndEndsWhatEndedMeanwhile(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		s.stop()
		before := len(s.events)
		s.start()
		s.after(time.Hour)
		if len(s.events) != before || len(s.lists.Status().Listed) != 1 {
			t.Fatalf("%+v", s.events[before:])
		}
		s.stop()
		s.world.set("", ours)
		s.start()
		s.after(time.Hour)
		if len(s.lists.Status().Listed) > 0 || s.incidents.List()[0].Listings[0].Standing() {
			t.Errorf("it ended while nobody looked: %+v", s.lists.Status())
		}
	})
}

func TestAnAddressThatIsNoLongerOursIsForgotten(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		o := s.opts
		o.Addresses = own("198.51.100.7", "direct")
		s.lists.Set(o)
		s.after(time.Minute)
		st := s.lists.Status()
		if len(st.Listed) > 0 || !slices.Equal(st.Targets, []string{"198.51.100.7"}) || len(s.standing("direct")) > 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestARangeWithTwoEgressesInItIsOneIncidentForEachNetwork(t *testing.T) {
	o := ListsOptions{Addresses: own("192.0.2.25", "direct", "192.0.2.26", "second")}
	watchOver(t, o, func(s *station) {
		s.world.set("127.0.0.9", ours, "26.2.0.192.zen.example")
		s.after(40 * time.Minute)
		if s.state("direct") != health.Blocked || s.state("second") != health.Blocked {
			t.Errorf("%v, %v", s.state("direct"), s.state("second"))
		}
		for _, i := range s.incidents.List() {
			if i.Judged == nil || i.Judged.Verdict != "range" {
				t.Errorf("%+v", i.Judged)
			}
		}
	})
}

func TestASmarthostIsWatchedByTheAddressesOfItsName(t *testing.T) {
	s := newStation(t, ListsOptions{Hosts: map[string][]string{"relay.example": {"detour"}}})
	s.parts.Addrs = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25")}, nil
	}
	synctest.Test(t, func(*testing.T) {
		s.start()
		defer func() { s.stop() }()
		six := "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example"
		s.world.set("127.0.0.2", ours, six)
		s.after(40 * time.Minute)
		if st := s.lists.Status(); s.state("detour") != health.Blocked || len(st.Listed) != 2 {
			t.Fatalf("%v, %+v", s.state("detour"), st)
		}
		s.world.set("", ours)
		s.after(40 * time.Minute)
		if len(s.standing("detour")) != 1 {
			t.Error("one of two addresses came off the list, the other stands")
		}
		s.world.set("", six)
		s.after(40 * time.Minute)
		if len(s.standing("detour")) != 0 {
			t.Error("both addresses are off the list")
		}
	})
}

func TestASenderDomainOnAListIsAnIncidentOfTheDomain(t *testing.T) {
	watchOver(t, ListsOptions{Domains: []string{"shop.example.jp"}}, func(s *station) {
		s.world.set("127.0.0.2", "example.jp.uri.example", "shop.example.jp.uri.example")
		s.after(40 * time.Minute)
		all := s.incidents.List()
		if len(all) != 1 || all[0].Cause != (incident.Cause{Kind: incident.Sender, Place: "shop.example.jp"}) || s.state("direct") != health.Healthy {
			t.Errorf("%+v", all)
		}
	})
}

func TestARefusedEgressIsLookedAtAndItsNeighboursAreFound(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		for n := 10; n < 40; n++ {
			if n != 25 {
				s.world.set("127.0.0.2", itoa(n)+".2.0.192.zen.example")
			}
		}
		s.after(time.Minute)
		now := time.Now()
		s.incidents.Moved(&health.Change{At: now, Key: health.Key{Egress: "direct", Provider: "google"}, To: health.Blocked})
		s.lists.Look("direct")
		s.after(time.Minute)
		if j := s.incidents.List()[0].Judged; j == nil || j.Verdict != "neighbour" || len(j.Evidence) == 0 {
			t.Errorf("%+v", j)
		}
	})
}

func itoa(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

func TestAListingEndsAfterTheSettingsWereReadAnew(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		o := s.opts
		var err error
		if o.Catalogue, err = dnsbl.Parse("lists", []byte(listsCatalogue)); err != nil {
			s.t.Fatal(err)
		}
		s.lists.Set(o)
		s.after(20 * time.Minute)
		if len(s.lists.Status().Listed) != 1 || s.told(incident.HasGrown) != 0 {
			s.t.Fatalf("%+v", s.lists.Status())
		}
		s.world.set("", ours)
		s.after(40 * time.Minute)
		if len(s.lists.Status().Listed) > 0 {
			s.t.Errorf("%+v", s.lists.Status().Listed)
		}
	})
}

func TestAListingEndsWithTheListThatSaidIt(t *testing.T) {
	watchOver(t, ListsOptions{Addresses: own("192.0.2.25", "direct")}, func(s *station) {
		s.world.set("127.0.0.2", ours)
		s.after(40 * time.Minute)
		o := s.opts
		var err error
		if o.Catalogue, err = dnsbl.Parse("lists", []byte(strings.ReplaceAll(listsCatalogue, `id = "zen"`, `id = "other"`))); err != nil {
			s.t.Fatal(err)
		}
		s.lists.Set(o)
		s.after(time.Second)
		if st := s.lists.Status().Listed; len(st) > 0 || len(s.standing("direct")) > 0 {
			s.t.Errorf("%+v", st)
		}
	})
}
