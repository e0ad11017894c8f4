package cases

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dnsbl"
	"ukai/internal/incident"
	"ukai/internal/provider"
	"ukai/internal/store"
)

var start = time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)

// world is a book with the incidents that it sees.
type world struct {
	t    *testing.T
	mu   sync.Mutex
	all  []incident.Incident
	book *Book
	now  time.Time
}

func catalogues(t testing.TB) Catalogues {
	t.Helper()
	lists, err := dnsbl.Load()
	if err != nil {
		t.Fatal(err)
	}
	providers, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Catalogues{lists, providers}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: start}
	w.book = New(w.options())
	return w
}

func (w *world) options() Options {
	return Options{Catalogues: catalogues(w.t), Incidents: w.incidents, Now: func() time.Time { return w.now }}
}

func (w *world) incidents() []incident.Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// see makes the book look at one incident, so long after the start.
func (w *world) see(after time.Duration, i incident.Incident) {
	w.all = []incident.Incident{i}
	w.tick(after)
}

func (w *world) tick(after time.Duration) {
	w.now = start.Add(after)
	w.book.Tick(w.now)
}

// one returns the case about a list or a provider.
func (w *world) one(name string) Case {
	w.t.Helper()
	var found []Case
	for _, c := range w.book.List() {
		if c.Key.Name == name {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d cases about %s in %+v", len(found), name, w.book.List())
	}
	return found[0]
}

func (w *world) wants(name string, s State) Case {
	w.t.Helper()
	c := w.one(name)
	if c.State != s {
		w.t.Fatalf("%s is %s, want %s: %+v", name, c.State, s, c)
	}
	return c
}

// gmo is the incident of 2019: a listed network, and Google that refuses.
func gmo() incident.Incident {
	i := incident.Incident{
		ID: 1, Cause: incident.Cause{Kind: incident.Reputation, Place: "192.0.2.0/24"}, State: incident.Open, Began: start, Opened: start,
		Blame: classify.BlameRange, Egresses: []string{"direct"}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
		Providers: []incident.Provider{{ID: "google", Refused: 5, First: start, Last: start, Reply: "550-5.7.1 [192.0.2.7] very low reputation\n550 5.7.1 blocked"}},
		Listings:  []incident.ListEntry{{Name: "Spamhaus SBL", Net: "192.0.2.0/24", Since: start}},
		Shut:      []incident.Path{{Egress: "direct", Provider: "google"}},
	}
	i.Senders.Add("example.jp", 5)
	return i
}

func delisted(i incident.Incident, after time.Duration) incident.Incident {
	i.Listings = slices.Clone(i.Listings)
	i.Listings[0].Until = start.Add(after)
	return i
}

func TestAListingThatIsOverLeavesTheProvidersCaseOpen(t *testing.T) {
	w := newWorld(t)
	w.see(0, gmo())
	w.wants("spamhaus-sbl", Open)
	w.wants("google", Open)
	over := delisted(gmo(), 4*time.Hour)
	w.see(4*time.Hour, over)
	if c := w.wants("spamhaus-sbl", Over); !c.Ended.Equal(start.Add(4 * time.Hour)) {
		t.Errorf("ended %v", c.Ended)
	}
	w.wants("google", Open)
	w.see(100*24*time.Hour, over) // Gmail's memory
	w.wants("google", Open)
	over.Shut = nil
	w.see(150*24*time.Hour, over)
	w.wants("google", Over)
	w.see(151*24*time.Hour, over)
	if n := len(w.book.List()); n != 2 {
		t.Errorf("%d cases", n)
	}
	w.wants("google", Over)
}

func TestWhatComesBackOpensItsCaseAgain(t *testing.T) {
	w := newWorld(t)
	w.see(0, gmo())
	first := w.one("spamhaus-sbl")
	w.book.Done(first.ID, Order{By: "hanako", At: start.Add(time.Hour)})
	again := delisted(gmo(), 2*time.Hour)
	w.see(2*time.Hour, again)
	w.wants("spamhaus-sbl", Over)
	again.Listings = append(again.Listings, incident.ListEntry{Name: "sbl.spamhaus.org", Net: "192.0.2.0/24", Since: start.Add(3 * time.Hour)})
	w.see(3*time.Hour, again)
	c := w.wants("spamhaus-sbl", Open) // what was asked before counts no more; and a zone is the same list as its name
	if c.ID != first.ID || c.Reopened != 1 || len(c.Requests) != 1 {
		t.Errorf("%+v", c)
	}
	w.see(4*time.Hour, again) // the older entry, which ended, does not end it
	w.wants("spamhaus-sbl", Open)
}

func TestDuesFollowTheCatalogue(t *testing.T) {
	for name, c := range map[string]struct {
		list  string
		term  time.Duration
		first State
	}{
		"a list that says how long it takes": {"barracuda-brbl", 24 * time.Hour, Open},
		"a list that says nothing":           {"psbl", 72 * time.Hour, Open},
		"a list that takes no requests":      {"spamcop", 24 * time.Hour, Waiting},
		"a list that nobody has heard of":    {"list.example", 72 * time.Hour, Open},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			i := gmo()
			i.Listings = []incident.ListEntry{{Name: c.list, Net: "192.0.2.7/32", Since: start}}
			w.see(0, i)
			got := w.wants(c.list, c.first)
			if got.Key.Place != "192.0.2.7" {
				t.Errorf("place %q", got.Key.Place)
			}
			asked := w.book.Done(got.ID, Order{By: "hanako", At: start})
			if c.first == Waiting {
				if asked {
					t.Error("asked for what nobody can ask for")
				}
				if got = w.one(c.list); !got.Due.Equal(start.Add(c.term)) {
					t.Errorf("due %v", got.Due)
				}
				w.tick(c.term)
				if got = w.wants(c.list, Waiting); !got.Due.Equal(start.Add(2 * c.term)) {
					t.Errorf("then due %v", got.Due)
				}
				return
			}
			w.tick(c.term - time.Second)
			if got = w.wants(c.list, Asked); !got.Due.Equal(start.Add(c.term)) {
				t.Errorf("due %v", got.Due)
			}
			w.tick(c.term)
			w.wants(c.list, Again)
			w.book.Done(got.ID, Order{By: "hanako", At: w.now})
			w.tick(2*c.term - time.Second)
			w.wants(c.list, Asked)
			w.book.Reopen(got.ID, Order{By: "hanako", Note: "they said no", At: w.now})
			w.tick(2 * c.term)
			w.wants(c.list, Open)
		})
	}
}

func TestACaseIsReadyWhenNothingThatIsNeededIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		checks []Check
		want   State
	}{
		"not looked at":              {nil, Open},
		"all good":                   {[]Check{{Name: CheckPTR, Result: OK}, {Name: CheckCause, Result: OK}}, Ready},
		"one is bad":                 {[]Check{{Name: CheckPTR, Result: OK}, {Name: CheckCause, Result: Bad}}, Open},
		"unknown is not good":        {[]Check{{Name: CheckPTR, Result: Unknown}, {Name: CheckCause, Result: OK}}, Open},
		"SPF is no business of them": {[]Check{{Name: CheckPTR, Result: OK}, {Name: CheckSPF, Result: Unknown}}, Ready},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			opts := w.options()
			opts.Check = func(context.Context, *Case, []incident.Incident) []Check { return c.checks }
			w.book = New(opts)
			w.see(0, gmo())
			for w.book.Check(t.Context(), w.now) {
			}
			w.tick(time.Minute)
			w.wants("google", c.want)
			w.wants("spamhaus-sbl", c.want)
		})
	}
}

func TestARequestThatWasRefusedIsNotRepeatedAtOnce(t *testing.T) {
	w := newWorld(t)
	opts := w.options()
	opts.Check = func(context.Context, *Case, []incident.Incident) []Check {
		return []Check{{Name: CheckPTR, Result: OK}}
	}
	w.book = New(opts)
	look := func(after time.Duration) {
		w.tick(after)
		for w.book.Check(t.Context(), w.now) {
		}
	}
	w.all = []incident.Incident{gmo()}
	look(0)
	id := w.wants("google", Ready).ID
	w.book.Done(id, Order{By: "hanako", At: w.now})
	w.book.Reopen(id, Order{By: "hanako", Note: "they said no", At: w.now})
	look(time.Hour)
	w.wants("google", Open)
	look(73 * time.Hour)
	w.wants("google", Ready)
}

func TestRefusalsMakeACaseWhenThereAreEnoughAndEndItWhenTheyDo(t *testing.T) {
	w := newWorld(t)
	i := gmo()
	i.Shut, i.Listings = nil, nil
	i.Providers[0].Refused = 2
	w.see(0, i)
	if n := len(w.book.List()); n != 0 {
		t.Fatalf("%d cases after two refusals", n)
	}
	i.Providers[0].Refused = 3
	w.see(time.Second, i)
	w.wants("google", Open)
	w.see(29*time.Minute, i)
	w.wants("google", Open)
	w.see(30*time.Minute, i)
	w.wants("google", Over)
	w.see(31*time.Minute, i) // the refusals of before open nothing
	w.wants("google", Over)
	i.Providers = slices.Clone(i.Providers)
	i.Providers[0].Refused, i.Providers[0].Last = 4, start.Add(40*time.Minute)
	w.see(40*time.Minute, i)
	if c := w.wants("google", Open); c.Reopened != 1 {
		t.Errorf("%+v", c)
	}
	i.State, i.ClosedAt = incident.Closed, start.Add(41*time.Minute)
	w.see(41*time.Minute, i)
	w.wants("google", Over)
}

func TestAnIncidentAboutContentMakesNoCase(t *testing.T) {
	w := newWorld(t)
	i := gmo()
	i.Cause = incident.Cause{Kind: incident.Content, Place: "example.jp"}
	i.Listings = nil // they are of addresses, or of a sender domain
	w.see(0, i)
	if n := len(w.book.List()); n != 0 {
		t.Errorf("%d cases", n)
	}
}

func TestAListedDomainHasACaseOfItsOwn(t *testing.T) {
	w := newWorld(t)
	opts := w.options()
	opts.Listed = func() []Listed {
		return []Listed{{List: "spamhaus-dbl", Target: "example.jp", Code: "127.0.1.2", Scope: "domain", Who: Owner, Reason: "https://check.spamhaus.org/"}}
	}
	w.book = New(opts)
	i := incident.Incident{ID: 1, Cause: incident.Cause{Kind: incident.Sender, Place: "example.jp"}, State: incident.Open, Began: start,
		Listings: []incident.ListEntry{{Name: "dbl.spamhaus.org", Net: "invalid Prefix", Since: start}}}
	w.see(0, i)
	c := w.wants("spamhaus-dbl", Open)
	if c.Key.Place != "example.jp" || c.About.Listed.Code != "127.0.1.2" || len(c.About.Addresses) != 0 {
		t.Errorf("%+v", c)
	}
	i.Listings[0].Until = start.Add(time.Hour)
	w.see(time.Hour, i)
	w.wants("spamhaus-dbl", Over)
}

func TestWhatAPersonOpensAgainIsHeldForAWhile(t *testing.T) {
	w := newWorld(t)
	w.see(0, gmo())
	over := gmo()
	over.State, over.ClosedAt = incident.Closed, start.Add(time.Hour) // by hand
	w.see(time.Hour, over)
	c := w.wants("google", Over)
	if w.book.Done(c.ID, Order{At: w.now}) || w.book.Fixed(c.ID, Order{Fixed: "x", At: w.now}) {
		t.Error("an order for a case that is over was taken")
	}
	if !w.book.Reopen(c.ID, Order{By: "hanako", At: w.now}) {
		t.Fatal("not opened")
	}
	w.all = nil
	w.tick(2 * time.Hour)
	w.wants("google", Open)
	w.tick(2*time.Hour + 7*24*time.Hour)
	w.wants("google", Over)
	if w.book.Reopen(99, Order{At: w.now}) {
		t.Error("a case that is not there was opened")
	}
}

func TestCasesOutliveARestart(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "ukai.db")
	open := func() (*Book, *store.DB) {
		db, err := store.Open(file, false)
		if err != nil {
			t.Fatal(err)
		}
		b := New(w.options())
		if err := b.Load(t.Context(), db, w.now); err != nil {
			t.Fatal(err)
		}
		return b, db
	}
	var db *store.DB
	w.book, db = open()
	w.see(0, gmo())
	id := w.one("google").ID
	w.book.Fixed(id, Order{By: "hanako", Fixed: "closed the form", At: w.now})
	w.book.Done(id, Order{By: "hanako", At: w.now})
	before := w.one("google")
	if err := w.book.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.Close()

	w.book, db = open()
	defer db.Close()
	after := w.one("google")
	if after.State != Asked || !after.Due.Equal(before.Due) || len(after.Fixes) != 1 || after.About.Reply != before.About.Reply || len(after.Timeline) != len(before.Timeline) {
		t.Errorf("%+v, before %+v", after, before)
	}
	w.see(time.Hour, delisted(gmo(), time.Hour)) // what happened while nobody looked
	w.wants("spamhaus-sbl", Over)
	other := gmo()
	other.Cause.Place, other.Listings = "198.51.100.0/24", nil
	w.all = append(w.all, other)
	w.all[1].ID = 2
	w.tick(2 * time.Hour)
	past, err := w.book.Past(t.Context(), 10)
	if err != nil || len(past) != 3 || past[0].ID != 3 {
		t.Errorf("%+v, %v", past, err)
	}
	if _, err := w.book.Find(t.Context(), 77); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
}

func TestRunLooksWhenThereIsNewsAndStoresWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
		if err != nil {
			t.Fatal(err)
		}
		opts := w.options()
		opts.Now = time.Now
		opts.Check = func(context.Context, *Case, []incident.Incident) []Check {
			return []Check{{Name: CheckPTR, Result: OK}}
		}
		b := New(opts)
		if err := b.Load(t.Context(), db, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.all = []incident.Incident{gmo()}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx, slog.New(slog.DiscardHandler)) }()
		b.Note(incident.Event{})
		b.Note(incident.Event{})
		time.Sleep(5 * time.Second) // of the bubble
		for _, c := range b.List() {
			if c.State != Ready {
				t.Errorf("%+v", c)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if past, err := b.Past(t.Context(), 10); err != nil || len(past) != 2 {
			t.Errorf("%+v, %v", past, err)
		}
		db.Close()
	})
}

func TestTheNumberOfCasesIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 40 {
		i := gmo()
		i.ID, i.Cause.Place, i.Providers, i.Shut = int64(n+1), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 0}), 24).String(), nil, nil
		i.Listings = nil
		for k := range 64 {
			ip := netip.AddrFrom4([4]byte{10, 0, byte(n), byte(k)})
			i.Listings = append(i.Listings, incident.ListEntry{Name: "psbl", Net: ip.String() + "/32", Since: start})
		}
		w.all = append(w.all, i)
	}
	w.tick(0)
	if n := len(w.book.List()); n != maxCases {
		t.Errorf("%d cases", n)
	}
	c := w.book.List()[0]
	for range 300 {
		w.book.Done(c.ID, Order{By: "x", At: start})
		w.book.Fixed(c.ID, Order{Fixed: "y", At: start})
	}
	if c, _ = w.book.Find(t.Context(), c.ID); len(c.Requests) > maxRequests || len(c.Fixes) > maxFixes || len(c.Timeline) > maxTimeline {
		t.Errorf("%d requests, %d fixes, %d lines", len(c.Requests), len(c.Fixes), len(c.Timeline))
	}
}

func BenchmarkTickOfAThousandCases(b *testing.B) {
	w := &world{now: start}
	lists, _ := dnsbl.Load()
	providers, _ := provider.Load()
	w.book = New(Options{Catalogues: Catalogues{lists, providers}, Incidents: w.incidents})
	for n := range 16 {
		i := gmo()
		i.ID, i.Cause.Place, i.Providers, i.Shut, i.Listings = int64(n+1), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 0}), 24).String(), nil, nil, nil
		for k := range 64 {
			i.Listings = append(i.Listings, incident.ListEntry{Name: "Spamhaus ZEN (SBL+CSS+XBL+PBL+DROP)", Net: netip.AddrFrom4([4]byte{10, 0, byte(n), byte(k)}).String() + "/32", Since: start})
		}
		w.all = append(w.all, i)
	}
	for b.Loop() {
		w.book.Tick(start)
	}
}
