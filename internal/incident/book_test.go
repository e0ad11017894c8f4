package incident

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/store"
)

var start = time.Date(2019, 4, 15, 9, 12, 0, 0, time.UTC)

// rig is a Book with all that it told.
type rig struct {
	*Book
	events []Event
	now    time.Time
}

func newRig(opts Options) *rig {
	r := &rig{now: start}
	opts.OnEvent = func(e Event) { r.events = append(r.events, e) }
	r.Book = New(opts)
	return r
}

func (r *rig) news() (list []News) {
	for _, e := range r.events {
		list = append(list, e.News)
	}
	return list
}

// refuse lets a provider refuse for a blame.
func (r *rig) refuse(egress, provider string, blame classify.Blame, domain, sender string) {
	o := &outcome.Outcome{At: r.now, Egress: egress, Provider: provider, Phase: outcome.EndOfData,
		Reply: mail.Reply{Code: 550, Lines: []string{"5.7.1 low reputation"}}}
	v := &classify.Verdict{Class: "ip_reputation", Blame: blame, Action: classify.Fail,
		Reputation: blame == classify.BlameIP || blame == classify.BlameRange}
	r.Refused(Refusal{Outcome: o, Verdict: v, Domain: domain, Sender: sender, Recipients: 1})
}

func (r *rig) move(egress, provider string, from, to health.State) {
	r.Moved(&health.Change{At: r.now, Key: health.Key{Egress: egress, Provider: provider}, From: from, To: to})
}

// listed begins or ends a listing by Spamhaus.
func (r *rig) listed(egress string, net netip.Prefix, url string, on bool, at time.Time) {
	r.Listed(egress, &health.Standing{At: at, Listing: "Spamhaus", Net: net, On: on, Evidence: health.Evidence{Verdict: classify.Verdict{URL: url}}})
}

func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.Tick(r.now)
}

func (r *rig) want(t *testing.T, news ...News) {
	t.Helper()
	if got := r.news(); !slices.Equal(got, news) {
		t.Fatalf("told %v, want %v", got, news)
	}
}

func TestTheThirdRefusalOpensAnIncident(t *testing.T) {
	r := newRig(Options{})
	for range 2 {
		r.refuse("own", "google", classify.BlameIP, "gmail.com", "a.example")
	}
	r.want(t)
	if len(r.List()) != 0 {
		t.Error("a pending story is shown")
	}
	r.refuse("own", "google", classify.BlameIP, "shop.example", "a.example")
	r.want(t, WasOpened)
	i := r.events[0].Incident
	if i.Counts.Refused != 3 || i.Domains.Len() != 2 || i.Providers[0].ID != "google" || i.Began != start {
		t.Errorf("%+v", i)
	}
}

func TestRefusalsFarApartAreNoIncident(t *testing.T) {
	r := newRig(Options{})
	for range 10 {
		r.refuse("own", "google", classify.BlameIP, "gmail.com", "a.example")
		r.pass(40 * time.Minute)
	}
	r.want(t)
}

func TestDailyLifeMakesNoIncident(t *testing.T) {
	r := newRig(Options{})
	for _, blame := range []classify.Blame{classify.BlameRecipient, classify.BlameNetwork, classify.BlameRate, classify.BlamePolicy, classify.BlameConfiguration} {
		for range 100 {
			r.refuse("own", "google", blame, "gmail.com", "a.example")
		}
	}
	r.want(t)
	if len(r.live) != 0 {
		t.Errorf("%d stories are followed", len(r.live))
	}
}

func TestABlockedPathAndAListingBelongToTheSameStory(t *testing.T) {
	r := newRig(Options{Place: func(string) string { return "192.0.2.0/24" }})
	net := netip.MustParsePrefix("192.0.2.0/24")
	r.move("own-1", "google", health.Healthy, health.Suspect)
	r.want(t)
	r.move("own-1", "google", health.Suspect, health.Blocked)
	r.listed("own-2", net, "https://check.spamhaus.org/", true, r.now)
	r.listed("own-1", net, "https://check.spamhaus.org/", true, r.now) // seen over the other egress as well
	r.refuse("own-2", "icloud", classify.BlameRange, "me.com", "a.example")
	r.want(t, WasOpened, HasGrown, HasGrown)
	list := r.List()
	if len(list) != 1 || list[0].Blame != classify.BlameRange || len(list[0].Listings) != 1 || len(list[0].Egresses) != 2 {
		t.Fatalf("%+v", list)
	}
}

func TestAnEndedListingDoesNotCloseWhileAProviderRemembers(t *testing.T) {
	r := newRig(Options{})
	net := netip.MustParsePrefix("192.0.2.1/32")
	r.listed("own", net, "", true, r.now)
	r.move("own", "google", health.Suspect, health.Blocked)
	r.pass(time.Hour)
	r.listed("own", net, "", false, r.now)
	r.pass(10 * time.Hour)
	if r.List()[0].State != Open {
		t.Fatal("closed while a path is shut")
	}
	r.move("own", "google", health.Recovering, health.Healthy)
	r.pass(29 * time.Minute)
	if r.List()[0].State != Open {
		t.Fatal("closed at once")
	}
	r.pass(2 * time.Minute)
	r.want(t, WasOpened, HasGrown, WasClosed)
	if got := r.List()[0]; got.State != Closed || got.By != "" {
		t.Errorf("%+v", got)
	}
}

func TestACauseThatComesBackReopensWithinTheQuietTimeOnly(t *testing.T) {
	r := newRig(Options{})
	if err := r.Load(t.Context(), database(t), r.now); err != nil {
		t.Fatal(err)
	}
	trouble := func() {
		r.move("own", "google", health.Suspect, health.Blocked)
		r.pass(time.Minute)
		r.move("own", "google", health.Recovering, health.Healthy)
		r.pass(time.Hour)
	}
	trouble()
	trouble()
	if err := r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.pass(25 * time.Hour)
	trouble()
	r.want(t, WasOpened, WasClosed, WasReopened, WasClosed, WasOpened, WasClosed)
	ids := []int64{}
	for _, e := range r.events {
		ids = append(ids, e.Incident.ID)
	}
	if !slices.Equal(ids, []int64{1, 1, 1, 1, 2, 2}) {
		t.Errorf("IDs %v", ids)
	}
}

func TestAPersonTakesItOnAndClosesIt(t *testing.T) {
	r := newRig(Options{})
	r.move("own", "google", health.Suspect, health.Blocked)
	if !r.Ack(1, "hanako", "asked for delisting", r.now) || r.Ack(2, "hanako", "", r.now) {
		t.Fatal("acknowledged the wrong one")
	}
	if got := r.List()[0]; got.State != Acked || got.By != "hanako" || got.Note != "asked for delisting" {
		t.Errorf("%+v", got)
	}
	if !r.Close(1, "hanako", "", r.now) || r.Close(1, "hanako", "", r.now) {
		t.Fatal("closed twice, or never")
	}
	for range 3 {
		r.refuse("own", "google", classify.BlameIP, "gmail.com", "a.example")
	}
	r.want(t, WasOpened, WasAcked, WasClosed, WasReopened)
}

func TestSenderAndContentTroubleBelongToTheDomain(t *testing.T) {
	r := newRig(Options{Sender: 2, Content: 2})
	for range 2 {
		r.refuse("own", "google", classify.BlameAuthentication, "gmail.com", "a.example")
		r.refuse("detour", "yahoo", classify.BlameDomain, "yahoo.com", "b.example")
		r.refuse("own", "google", classify.BlameContent, "gmail.com", "c.example")
		r.refuse("own", "google", classify.BlameContent, "gmail.com", "") // a bounce has no sender to talk to
	}
	var causes []Cause
	for _, i := range r.List() {
		causes = append(causes, i.Cause)
	}
	want := []Cause{{Content, "c.example"}, {Sender, "b.example"}, {Sender, "a.example"}}
	if !slices.Equal(causes, want) {
		t.Errorf("%v, want %v", causes, want)
	}
}

func TestMailIsCountedForTheProvidersOfTheIncident(t *testing.T) {
	r := newRig(Options{})
	for range 3 {
		r.refuse("own", "google", classify.BlameIP, "gmail.com", "a.example")
	}
	for _, p := range []Passage{
		{Provider: "google", Preferred: "own", Detour: true, Delivered: 5},
		{Provider: "google", Preferred: "own", Held: 2, Bounced: 1},
		{Provider: "yahoo", Preferred: "own", Delivered: 7},
		{Provider: "google", Preferred: "other", Delivered: 7},
	} {
		r.Passed(p)
	}
	if got, want := r.List()[0].Counts, (Tally{Refused: 3, Detoured: 5, Delivered: 5, Held: 2, Bounced: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAHundredThousandRefusalsAreOneSmallIncident(t *testing.T) {
	r := newRig(Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range 100_000 {
		r.now = r.now.Add(10 * time.Millisecond)
		r.refuse("own", []string{"google", "microsoft-365", "icloud"}[n%3], classify.BlameIP, fmt.Sprintf("d%d.example", n%300), "a.example")
		if n%1000 == 0 {
			r.move("own", "google", health.Blocked, health.Probing)
			r.move("own", "google", health.Probing, health.Blocked)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	list := r.List()
	if len(list) != 1 || list[0].Counts.Refused != 100_000 || list[0].Domains.Len() != 300 {
		t.Fatalf("%d incidents", len(list))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d KB are kept", grown>>10)
	}
	if n := len(list[0].Timeline.Entries); n > keepFirst+keepLast {
		t.Errorf("%d entries", n)
	}
	if got := r.news(); len(got) > 3 {
		t.Errorf("told %v", got)
	}
}

func TestStoriesAreForgottenInTime(t *testing.T) {
	r := newRig(Options{})
	for n := range maxStories + 500 {
		r.refuse("own", "google", classify.BlameContent, "gmail.com", fmt.Sprintf("s%d.example", n))
	}
	if len(r.live) > maxStories {
		t.Errorf("%d stories are followed", len(r.live))
	}
	r.pass(2 * time.Hour)
	if len(r.live) != 0 {
		t.Errorf("%d stories were never forgotten", len(r.live))
	}
}

func database(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ukai.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestARestartGoesOnWithTheSameStory(t *testing.T) {
	db := database(t)
	r := newRig(Options{})
	if err := r.Load(t.Context(), db, r.now); err != nil {
		t.Fatal(err)
	}
	r.listed("own", netip.MustParsePrefix("192.0.2.1/32"), "", true, r.now)
	for range 3 {
		r.refuse("own", "google", classify.BlameIP, "gmail.com", "a.example")
	}
	r.move("own", "google", health.Suspect, health.Blocked)
	if err := r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := newRig(Options{})
	next.now = r.now
	if err := next.Load(t.Context(), db, next.now); err != nil {
		t.Fatal(err)
	}
	next.refuse("own", "google", classify.BlameIP, "gmail.com", "b.example")
	next.pass(48 * time.Hour)
	next.want(t) // the same providers, and a path that is still shut
	next.listed("own", netip.MustParsePrefix("192.0.2.1/32"), "", false, next.now)
	next.move("own", "google", health.Recovering, health.Healthy)
	next.pass(time.Hour)
	next.want(t, HasGrown, WasClosed)
	if err := next.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	past, err := next.Past(t.Context(), 10)
	if err != nil || len(past) != 1 {
		t.Fatalf("%d incidents, %v", len(past), err)
	}
	i := past[0]
	if i.Counts.Refused != 4 || i.Senders.Len() != 2 || i.State != Closed || i.Listings[0].Until.IsZero() {
		t.Errorf("%+v", i)
	}
	if _, err := next.Find(t.Context(), 7); !errors.Is(err, ErrNone) {
		t.Errorf("an incident that never was: %v", err)
	}
}

func TestALongTimelineKeepsItsBeginningAndItsEnd(t *testing.T) {
	var tl Timeline
	for n := range 1000 {
		tl.add(start.Add(time.Duration(n)*time.Second), "incident.event.opened", "n", fmt.Sprint(n))
		tl.add(start.Add(time.Duration(n)*time.Second), "incident.event.opened", "n", fmt.Sprint(n))
	}
	if len(tl.Entries) != keepFirst+keepLast || tl.Left != 800 {
		t.Fatalf("%d entries, %d left out", len(tl.Entries), tl.Left)
	}
	if first, last := tl.Entries[0], tl.Entries[keepFirst+keepLast-1]; first.Args["n"] != "0" || last.Args["n"] != "999" || last.Times != 2 {
		t.Errorf("%+v ... %+v", first, last)
	}
}

func TestTopsCountEverybodyAndNameAThousand(t *testing.T) {
	var a Tops
	for n := range 2000 {
		a.Add(fmt.Sprintf("d%04d.example", n), 1)
	}
	a.Add("d0007.example", 6)
	if a.Len() != maxTops || a.Others != 1000 {
		t.Errorf("%d names, %d others", a.Len(), a.Others)
	}
	if top := a.List()[0]; top != (Top{"d0007.example", 7}) {
		t.Errorf("%+v", top)
	}
}
