package suppress

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/store"
)

var start = time.Date(2026, 4, 15, 9, 0, 0, 0, time.UTC)

const dayLong = 24 * time.Hour

// rig is a Book on a real database, with a way to tell it stories.
type rig struct {
	*Book
	t    *testing.T
	dir  string
	logs *bytes.Buffer
	msg  mail.ID
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), logs: &bytes.Buffer{}}
	r.Book = r.open(o)
	return r
}

func (r *rig) open(o Options) *Book {
	r.t.Helper()
	db, err := store.Open(filepath.Join(r.dir, "ukai.db"), false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { db.Close() })
	b, err := Open(r.t.Context(), db, o, slog.New(slog.NewTextHandler(r.logs, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// classOf is a verdict of a class as package classify gives it for a 5xx.
func classOf(t *testing.T, name string) classify.Verdict {
	t.Helper()
	classes, err := classify.Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range classes {
		if c.Name == name {
			return classify.Verdict{Class: c.Name, Blame: c.Blame, Scope: c.Scope, Action: c.Permanent, Detour: c.Detour, Reputation: c.Reputation}
		}
	}
	t.Fatalf("no class %q", name)
	return classify.Verdict{}
}

// saw notes what became of a fresh message to addr.
func (r *rig) saw(after time.Duration, addr, class string, late ...bool) mail.ID {
	r.t.Helper()
	r.msg++
	r.sawOf(r.msg, after, addr, class, len(late) > 0)
	return r.msg
}

func (r *rig) sawOf(msg mail.ID, after time.Duration, addr, class string, late bool) {
	r.t.Helper()
	v := classOf(r.t, class)
	err := r.Note(r.t.Context(), &Notice{At: start.Add(after), Recipient: addr, Msg: msg, Verdict: v, Text: "550 5.1.1 no such user", Host: "mx.example.com", Late: late})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) admits(after time.Duration, addr string) bool {
	r.t.Helper()
	e, err := r.Admit(r.t.Context(), addr, start.Add(after))
	if err != nil {
		r.t.Fatal(err)
	}
	return e == nil
}

func TestARecipientIsSuppressedAfterASecondMessageADayLater(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "Gone@Example.com", "user_unknown")
	if !r.admits(time.Minute, "gone@example.com") {
		t.Error("one refusal is enough")
	}
	r.saw(time.Hour, "gone@example.com", "user_unknown")
	if !r.admits(2*time.Hour, "gone@example.com") {
		t.Error("two refusals within an hour are enough")
	}
	r.saw(25*time.Hour, "gone@example.com", "user_unknown")
	e, err := r.Admit(t.Context(), "GONE@example.com", start.Add(26*time.Hour))
	if err != nil || e == nil {
		t.Fatalf("%v %v", e, err)
	}
	if !e.Since.Equal(start.Add(25*time.Hour)) || !e.Until.Equal(start.Add(25*time.Hour+30*dayLong)) || len(e.Seen) != 2 || e.Last().Host != "mx.example.com" {
		t.Errorf("%+v", e)
	}
	if !r.admits(26*time.Hour, "other@example.com") {
		t.Error("another recipient is suppressed")
	}
	if !strings.Contains(r.logs.String(), "recipient suppressed") {
		t.Error("no word in the log")
	}
}

func TestTheSameMessageCountsOnce(t *testing.T) {
	r := newRig(t, Options{})
	for i := range 5 {
		r.sawOf(1, time.Duration(i)*dayLong, "gone@example.com", "user_unknown", false)
	}
	if !r.admits(6*dayLong, "gone@example.com") {
		t.Error("one message, refused five times, is enough")
	}
}

func TestOnlyARecipientThatDoesNotExistIsEverSuppressed(t *testing.T) {
	classes, err := classify.Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range classes {
		t.Run(c.Name, func(t *testing.T) {
			r := newRig(t, Options{})
			for i := range 4 {
				r.saw(time.Duration(2*i)*dayLong, "a@example.com", c.Name)
			}
			if got := !r.admits(8*dayLong, "a@example.com"); got != gone[c.Name] {
				t.Errorf("suppressed: %v", got)
			}
			if gone[c.Name] && (c.Blame != classify.BlameRecipient || c.Scope != classify.ScopeRecipient || c.Detour || c.Reputation || c.Permanent != classify.Fail) {
				t.Errorf("a class that does not blame the recipient alone: %+v", c)
			}
		})
	}
	for name := range known {
		classOf(t, name) // it is there
	}
	soft := classOf(t, "user_unknown")
	soft.Action = classify.Retry
	if Gone(&soft) {
		t.Error("a temporary refusal counts")
	}
	ip := classOf(t, "user_unknown")
	ip.Blame = classify.BlameIP
	if Gone(&ip) {
		t.Error("a refusal that blames the address counts")
	}
}

func TestADeliveryClears(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "a@example.com", "user_unknown")
	r.saw(dayLong, "a@example.com", "delivered")
	r.saw(2*dayLong, "a@example.com", "user_unknown")
	if !r.admits(3*dayLong, "a@example.com") {
		t.Error("a refusal before a delivery still counts")
	}
	if e, err := r.Get(t.Context(), "a@example.com"); err != nil || len(e.Seen) != 1 {
		t.Errorf("%+v %v", e, err)
	}
}

func TestARefusalOfLastMonthDoesNotConfirm(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "a@example.com", "user_unknown")
	r.saw(31*dayLong, "a@example.com", "user_unknown")
	if !r.admits(31*dayLong+time.Hour, "a@example.com") {
		t.Error("suppressed")
	}
}

func TestReportsThatComeAfterwardsCountAndTakingProvesNothing(t *testing.T) {
	r := newRig(t, Options{})
	for day := range 2 {
		at := time.Duration(2*day) * dayLong
		id := r.saw(at, "a@example.com", "delivered")
		r.sawOf(id, at+time.Minute, "a@example.com", "user_unknown", true)
	}
	if r.admits(3*dayLong, "a@example.com") {
		t.Error("two reports are not enough")
	}
	r = newRig(t, Options{})
	r.saw(0, "b@example.com", "user_unknown", true)
	r.saw(dayLong, "b@example.com", "delivered")
	r.saw(3*dayLong, "b@example.com", "delivered") // no report came about the one before
	if e, err := r.Get(t.Context(), "b@example.com"); e != nil || err != nil {
		t.Errorf("what was delivered without a report does not clear: %+v %v", e, err)
	}
}

func TestWhenItsTimeIsOverOneMessageMayTry(t *testing.T) {
	r := newRig(t, Options{Keep: 10 * dayLong})
	r.saw(0, "a@example.com", "user_unknown")
	r.saw(dayLong, "a@example.com", "user_unknown")
	over := 11*dayLong + time.Minute
	if r.admits(over-time.Hour, "a@example.com") {
		t.Error("admitted before the time is over")
	}
	if !r.admits(over, "a@example.com") || r.admits(over+time.Minute, "a@example.com") {
		t.Error("not just one message may try")
	}
	if e, err := r.Barred(t.Context(), "a@example.com", start.Add(over)); e != nil || err != nil {
		t.Errorf("the one that tries is held back in the queue: %+v %v", e, err)
	}
	if !r.admits(over+2*time.Hour, "a@example.com") {
		t.Error("the message that tried was never heard of again, and nobody else may")
	}
	r.saw(over+3*time.Hour, "a@example.com", "user_unknown")
	if r.admits(over+4*time.Hour, "a@example.com") || r.admits(over+9*dayLong, "a@example.com") {
		t.Error("the refused trial does not suppress again")
	}
	over += 3*time.Hour + 10*dayLong
	if !r.admits(over, "a@example.com") {
		t.Fatal("no second trial")
	}
	r.saw(over, "a@example.com", "delivered")
	if !r.admits(over+time.Minute, "a@example.com") || !r.admits(over+2*time.Minute, "a@example.com") {
		t.Error("a trial that was delivered does not clear")
	}
}

func TestADomainThatCallsEverybodyUnknownIsNotBelieved(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "first@example.com", "user_unknown")
	for i := range 10 {
		r.saw(time.Duration(i)*time.Minute, fmt.Sprintf("user%d@example.com", i), "user_unknown")
	}
	for i := range 10 {
		r.saw(26*time.Hour+time.Duration(i)*time.Minute, fmt.Sprintf("user%d@example.com", i), "user_unknown")
	}
	for i := range 10 {
		if !r.admits(27*time.Hour, fmt.Sprintf("user%d@example.com", i)) {
			t.Errorf("user%d is suppressed", i)
		}
	}
	if e, err := r.Get(t.Context(), "first@example.com"); e != nil || err != nil {
		t.Errorf("what was learned before the doubt stays: %+v %v", e, err)
	}
	if n := strings.Count(r.logs.String(), "calls nearly all its recipients unknown"); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
}

func TestADomainWithAFewDeadAddressesIsBelieved(t *testing.T) {
	r := newRig(t, Options{})
	for day := range 2 {
		at := time.Duration(day) * 25 * time.Hour
		for i := range 10 {
			r.saw(at, fmt.Sprintf("full%d@example.com", i), "mailbox_full")
			r.saw(at, fmt.Sprintf("live%d@example.com", i), "delivered")
			r.saw(at, fmt.Sprintf("dead%d@example.com", i), "user_unknown")
		}
	}
	for i := range 10 {
		if r.admits(26*time.Hour, fmt.Sprintf("dead%d@example.com", i)) {
			t.Errorf("dead%d is not suppressed", i)
		}
	}
}

func TestTheDoubtEndsWithTheTrouble(t *testing.T) {
	r := newRig(t, Options{})
	for i := range 10 {
		r.saw(0, fmt.Sprintf("user%d@example.com", i), "user_unknown")
	}
	for _, at := range []time.Duration{5 * dayLong, 7 * dayLong} {
		for i := range 10 {
			r.saw(at, fmt.Sprintf("user%d@example.com", i), "delivered")
		}
		r.saw(at, "dead@example.com", "user_unknown")
	}
	if r.admits(8*dayLong, "dead@example.com") {
		t.Error("not suppressed")
	}
}

func TestEntriesAreThereAfterARestart(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "a@example.com", "user_unknown")
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Book = r.open(Options{})
	r.saw(25*time.Hour, "a@example.com", "user_unknown")
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Book = r.open(Options{})
	if r.admits(26*time.Hour, "a@example.com") {
		t.Error("forgotten")
	}
}

func TestAnAdminAddsAndRemoves(t *testing.T) {
	r := newRig(t, Options{})
	if err := r.Add(t.Context(), Entry{Addr: "Boss@Example.com", Since: start, Until: Forever, By: "root", Why: "asked to"}); err != nil {
		t.Fatal(err)
	}
	r.saw(0, "boss@example.com", "delivered")
	r.saw(time.Hour, "gone@example.com", "user_unknown")
	if r.admits(900*dayLong, "boss@example.com") {
		t.Error("an order of the admin ends by itself")
	}
	list, err := r.List(t.Context(), Query{})
	if err != nil || len(list) != 1 || list[0].Addr != "boss@example.com" || list[0].Why != "asked to" {
		t.Errorf("%+v %v", list, err)
	}
	for _, c := range []struct {
		q    Query
		want int
	}{{Query{All: true}, 2}, {Query{All: true, Limit: 1}, 1}, {Query{All: true, After: "boss@example.com"}, 1}, {Query{Domain: "EXAMPLE.com"}, 1}, {Query{Domain: "example.net"}, 0}} {
		if list, err := r.List(t.Context(), c.q); err != nil || len(list) != c.want {
			t.Errorf("%+v: %d, %v", c.q, len(list), err)
		}
	}
	for want := range 2 {
		if there, err := r.Remove(t.Context(), "BOSS@example.com"); err != nil || there != (want == 0) {
			t.Errorf("remove %d: %v %v", want, there, err)
		}
	}
	if !r.admits(time.Hour, "boss@example.com") {
		t.Error("removed and still suppressed")
	}
}

func TestWhatIsOverIsForgottenAndTheNumberIsBounded(t *testing.T) {
	r := newRig(t, Options{MaxEntries: 3})
	r.saw(0, "old@example.com", "user_unknown")
	if err := r.Prune(t.Context(), start.Add(31*dayLong)); err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(t.Context(), Query{All: true}); err != nil || len(list) != 0 {
		t.Fatalf("%v %v", list, err)
	}
	for i := range 10 {
		r.saw(time.Duration(i)*time.Hour, fmt.Sprintf("a@d%d.example", i), "user_unknown")
	}
	if err := r.Prune(t.Context(), start.Add(11*time.Hour)); err != nil {
		t.Fatal(err)
	}
	list, err := r.List(t.Context(), Query{All: true})
	if err != nil || len(list) != 3 || list[0].Addr != "a@d7.example" {
		t.Errorf("%v %v", list, err)
	}
}

func TestManyAtOnceLoseNoSighting(t *testing.T) {
	r := newRig(t, Options{Confirmations: 8, Apart: time.Nanosecond})
	v := classOf(t, "user_unknown")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			n := Notice{At: start.Add(time.Duration(i) * time.Hour), Recipient: "a@example.com", Msg: mail.ID(i + 1), Verdict: v}
			if err := r.Note(t.Context(), &n); err != nil {
				t.Error(err)
			}
			if err := r.Sync(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if e, err := r.Get(t.Context(), "a@example.com"); err != nil || e == nil || len(e.Seen) != 8 || e.Until.IsZero() {
		t.Errorf("%+v %v", e, err)
	}
}

func TestWhoIsSparedWhenItIsOffOrOnlyObserved(t *testing.T) {
	r := newRig(t, Options{Passive: true})
	r.saw(0, "a@example.com", "user_unknown")
	r.saw(dayLong, "a@example.com", "user_unknown")
	if err := r.Add(t.Context(), Entry{Addr: "b@example.com", Since: start, Until: Forever}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
		a, b bool
	}{{"observed", Options{Passive: true}, true, true}, {"off", Options{Off: true}, true, false}, {"on", Options{}, false, false}} {
		r.SetOptions(c.o)
		if a, b := r.admits(2*dayLong, "a@example.com"), r.admits(2*dayLong, "b@example.com"); a != c.a || b != c.b {
			t.Errorf("%s: learned %v, by hand %v", c.name, a, b)
		}
	}
	r.SetOptions(Options{Off: true})
	r.saw(0, "c@example.com", "user_unknown")
	if e, err := r.Get(t.Context(), "c@example.com"); e != nil || err != nil {
		t.Errorf("learned while off: %+v %v", e, err)
	}
}

func TestAnAddressWithoutADomainIsNobodys(t *testing.T) {
	r := newRig(t, Options{})
	r.saw(0, "postmaster", "user_unknown")
	if e, err := r.Get(t.Context(), "postmaster"); e != nil || err != nil {
		t.Errorf("%+v %v", e, err)
	}
}

func TestTheDomainsWatchedAreBounded(t *testing.T) {
	var c crowds
	for i := range 2 * crowdDomains {
		c.count(fmt.Sprintf("a@d%d.example", i), true, start)
	}
	if c.order.Len() != crowdDomains || len(c.byName) != crowdDomains {
		t.Errorf("%d, %d", c.order.Len(), len(c.byName))
	}
}

func TestTheFilterSeldomAsksForNothing(t *testing.T) {
	var f filter
	if f.has(hash("a@example.com")) {
		t.Error("an empty filter holds something")
	}
	for i := range 200_000 {
		f.add(hash(fmt.Sprintf("in%d@example.com", i)))
	}
	wrong := 0
	for i := range 200_000 {
		if !f.has(hash(fmt.Sprintf("in%d@example.com", i))) {
			t.Fatal("it has lost an address")
		}
		if f.has(hash(fmt.Sprintf("out%d@example.com", i))) {
			wrong++
		}
	}
	if wrong > 200 { // one in a thousand; expected one in a million or so
		t.Errorf("%d wrong in 200,000", wrong)
	}
}

func BenchmarkDelivered(b *testing.B) {
	db, err := store.Open(filepath.Join(b.TempDir(), "ukai.db"), false)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	book, err := Open(b.Context(), db, Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	n := Notice{At: start, Recipient: "hanako@example.com", Verdict: classify.Verdict{Class: "delivered", Action: classify.Deliver}}
	b.ReportAllocs()
	for b.Loop() {
		if err := book.Note(b.Context(), &n); err != nil {
			b.Fatal(err)
		}
	}
}
