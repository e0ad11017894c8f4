package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/route"
	"ukai/internal/suppress"
)

// More replies that decide stories.
const (
	badDomain = "550 5.7.1 Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain."
	badAuth   = "550 5.7.26 This message does not pass authentication checks (SPF and DKIM both do not pass)."
	tooFast   = "450 4.7.1 Too many messages, slow down"
	full      = "452 4.2.2 The email account that you tried to reach is over quota"
	strange5  = "550 wombat quux"
	strange4  = "451 wombat quux"
)

// at once makes one refusal after the other count, as if a day lay between them.
var quick = suppress.Options{Apart: time.Nanosecond}

func (w *world) known(addr string) *suppress.Entry {
	w.t.Helper()
	e, err := w.spare.Get(w.t.Context(), addr)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) tried() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.tries
	w.tries = nil
	return got
}

func TestOnlyAnUnknownRecipientIsEverRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		say  string
		want bool
	}{
		"an unknown user": {unknown, true}, "an IP block": {badIP, false}, "a domain block": {badDomain, false}, "content": {badContent, false},
		"authentication": {badAuth, false}, "greylisting": {greylist, false}, "a rate limit": {tooFast, false}, "a full mailbox": {full, false},
		"a reply that nobody knows": {strange5, false}, "a later one": {strange4, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{mode: route.Act, egresses: []string{"direct"}, spare: quick, script: script{{"", "@other.example", c.say}}})
			for range 3 {
				w.post("", to("x@other.example")...)
				w.settled(1)
			}
			if e := w.known("x@other.example"); (e != nil) != c.want {
				t.Errorf("remembered: %+v", e)
			}
		})
	}
}

func TestARecipientThatWasSuppressedIsNotTriedAndItsSenderIsTold(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, spare: quick, script: script{{"", "gone@other.example", unknown}}})
	for range 2 {
		w.post("", to("gone@other.example")...)
		w.settled(1)
	}
	w.tried()
	id := w.post("a@example.org", to("gone@other.example", "here@other.example")...)
	if s := w.settled(2); s.Bounced != 1 || s.Delivered != 2 {
		t.Errorf("%+v", s)
	}
	if got := w.tried(); slices.Contains(got, "direct gone@other.example") || !slices.Contains(got, "direct here@other.example") {
		t.Errorf("tried %q", got)
	}
	w.mu.Lock()
	report := strings.ReplaceAll(w.body["a@example.org"], "\r\n ", " ")
	w.mu.Unlock()
	for _, want := range []string{"Final-Recipient: rfc822; gone@other.example", "Status: 5.1.1", "recipient suppressed since", "The email account that you tried"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report has no %q:\n%s", want, report)
		}
	}
	events, err := w.journal.Message(t.Context(), id)
	if err != nil || !slices.ContainsFunc(events, func(e journal.Event) bool { return e.Kind == journal.Bounced && e.Class == "suppressed" }) {
		t.Errorf("journal: %+v %v", events, err)
	}
}

func TestAReplyToTheContentOfSeveralSpeaksOfNobodyInParticular(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, spare: quick, script: script{{"", "@other.example", unknown}}})
	w.post("", to("a@other.example", "b@other.example")...) // the fake answers after the content
	w.settled(1)
	if w.known("a@other.example") != nil || w.known("b@other.example") != nil {
		t.Error("both are remembered for a reply that may mean one of them")
	}
}

func TestGreylistingComesBackByTheWayThatAskedForIt(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", badIP}, {"relay", "", greylist}},
		schedule: queue.Schedule{Steps: []time.Duration{20 * time.Millisecond}, Jitter: -1}})
	w.health.Block(health.Key{Egress: "direct", Provider: "other.example"}, health.Pin{At: time.Now()})
	id := w.post("a@example.jp", to("x@other.example")...)
	if s := w.settled(1); s.Deferred != 1 {
		t.Fatalf("%+v", s)
	}
	w.health.Clear(health.Key{Egress: "direct", Provider: "other.example"}, time.Now())
	w.setScript(nil)
	for w.settled(1).Delivered == 0 { // one that was already on its way when the script changed
	}
	w.expect("relay x@other.example")
	if got := w.tried(); slices.Contains(got, "direct x@other.example") {
		t.Errorf("tried %q", got)
	}
	events, err := w.journal.Message(t.Context(), id)
	if err != nil || !slices.ContainsFunc(events, func(e journal.Event) bool { return e.Kind == journal.Decided && e.Why == string(route.Staying) }) {
		t.Errorf("the journal does not say why: %+v %v", events, err)
	}
}

func TestAWayThatIsShutIsNotKeptForGreylisting(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", greylist}},
		schedule: queue.Schedule{Steps: []time.Duration{20 * time.Millisecond}, Jitter: -1}})
	w.post("a@example.jp", to("x@other.example")...)
	w.settled(1)
	w.health.Block(health.Key{Egress: "direct", Provider: "other.example"}, health.Pin{At: time.Now()})
	for w.settled(1).Delivered == 0 {
	}
	w.expect("relay x@other.example")
}

func TestARateLimitSlowsThePathAndTakesNoDetour(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", tooFast}}})
	w.post("a@example.jp", to("x@gmail.com")...)
	if s := w.settled(1); s.Deferred != 1 || s.Detour {
		t.Fatalf("%+v", s)
	}
	w.post("a@example.jp", to("y@one.example")...) // the same provider: it waits for the pause, without being tried
	if s := w.settled(1); s.Held != 1 || s.Detour {
		t.Fatalf("%+v", s)
	}
	if got := w.tried(); !slices.Equal(got, []string{"direct x@gmail.com"}) {
		t.Errorf("tried %q", got)
	}
	if p := w.health.Path("direct", "google"); p.State != health.Healthy || !p.Slow.After(time.Now()) {
		t.Errorf("%+v", p)
	}
}

func TestWhatADetourCannotMendIsNeverDetoured(t *testing.T) {
	for name, say := range map[string]string{"domain": badDomain, "content": badContent, "authentication": badAuth, "unknown user": unknown} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "@gmail.com", say}}})
			for range 6 {
				w.post("", to("x@gmail.com")...)
				if s := w.settled(1); s.Bounced != 1 || s.Detour {
					t.Fatalf("%+v", s)
				}
			}
			for _, try := range w.tried() {
				if try != "direct x@gmail.com" {
					t.Errorf("tried %q", try)
				}
			}
			if st := w.health.Path("direct", "google").State; st != health.Healthy {
				t.Errorf("path is %v", st)
			}
		})
	}
}

func TestAFullMailboxIsTriedAgain(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, spare: quick, script: script{{"", "", full}},
		schedule: queue.Schedule{Steps: []time.Duration{10 * time.Millisecond}, Jitter: -1}})
	w.post("a@example.org", to("x@other.example")...)
	for range 3 {
		if s := w.settled(1); s.Deferred != 1 || s.Detour {
			t.Fatalf("%+v", s)
		}
	}
	if e := w.known("x@other.example"); e != nil {
		t.Errorf("%+v", e)
	}
}

func TestFiveRecipientsFiveVerdicts(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, spare: quick, script: script{
		{"direct", "ip@gmail.com", badIP}, {"", "gone@gmail.com", unknown}, {"", "later@gmail.com", greylist}, {"", "full@gmail.com", full},
	}})
	id := w.post("a@example.org", to("ip@gmail.com", "gone@gmail.com", "later@gmail.com", "full@gmail.com", "ok@gmail.com")...)
	if s := w.settled(2); s.Delivered != 3 || s.Bounced != 1 || s.Deferred != 2 {
		t.Errorf("%+v", s)
	}
	w.expect("direct ok@gmail.com", "relay ip@gmail.com", "direct a@example.org")
	m, err := w.store.Get(t.Context(), id)
	if err != nil || len(m.Deliveries) != 1 || !slices.Equal(m.Deliveries[0].Recipients, []int{2, 3}) {
		t.Fatalf("left: %+v, %v", m, err)
	}
	for addr, want := range map[string]bool{"ip": false, "gone": true, "later": false, "full": false, "ok": false} {
		if got := w.known(addr+"@gmail.com") != nil; got != want {
			t.Errorf("%s is remembered: %v", addr, got)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if report := w.body["a@example.org"]; strings.Count(report, "Final-Recipient:") != 1 || !strings.Contains(report, "rfc822; gone@gmail.com") {
		t.Errorf("the report:\n%s", report)
	}
}

func TestAReplyThatNobodyKnowsIsJudgedByItsCodeAloneAndMovesNoPath(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "five@gmail.com", strange5}, {"", "four@gmail.com", strange4}}})
	for range 6 {
		w.post("", to("five@gmail.com", "four@gmail.com")...)
		if s := w.settled(1); s.Bounced != 1 || s.Deferred != 1 || s.Detour {
			t.Fatalf("%+v", s)
		}
	}
	if p := w.health.Path("direct", "google"); p.State != health.Healthy || p.Slow.After(time.Now()) {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsGivenUpForItsAgeAloneIsCalledExpired(t *testing.T) {
	// Never tried: its only path was shut all the time.
	w := newWorld(t, setting{mode: route.Act, egresses: []string{"direct"}, schedule: queue.Schedule{Steps: []time.Duration{10 * time.Millisecond}, Jitter: -1, Lifetime: time.Nanosecond}})
	w.health.Block(health.Key{Egress: "direct", Provider: "other.example"}, health.Pin{At: time.Now()})
	id := w.post("", to("x@other.example")...)
	if s := w.settled(1); s.Bounced != 1 {
		t.Fatalf("%+v", s)
	}
	events, err := w.journal.Message(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	classes, err := classify.Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Class != "" && !slices.ContainsFunc(classes, func(c classify.Class) bool { return c.Name == e.Class }) {
			t.Errorf("%s with class %q, which has no words", e.Kind, e.Class)
		}
	}
	if last := events[len(events)-1]; last.Kind != journal.Bounced || last.Class != "delivery_expired" {
		t.Errorf("%+v", last)
	}
}

func TestTheReturnPathIsReplacedOnTheWireOnly(t *testing.T) {
	path := func(env *mail.Envelope, n int) string {
		if env.From == "" {
			t.Error("asked for the null reverse-path")
		}
		return fmt.Sprintf("bounce+%s-%d@mail.example.jp", env.ID, n)
	}
	w := newWorld(t, setting{mode: route.Act, egresses: both, path: path, script: script{{"", "@two.example", unknown}}})
	id := w.post("a@example.org", to("x@other.example", "y@two.example")...)
	w.settled(3)
	w.mu.Lock()
	got := []string{w.from["x@other.example"], w.from["y@two.example"], w.from["a@example.org"]}
	w.mu.Unlock()
	if want := []string{fmt.Sprintf("bounce+%s-0@mail.example.jp", id), fmt.Sprintf("bounce+%s-1@mail.example.jp", id), ""}; !slices.Equal(got, want) {
		t.Errorf("sent from %q, want %q; the report of our own goes to the sender", got, want)
	}
}

func TestAnEgressForSomeSendersKeepsTheSendersOwnReturnPath(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: []string{"direct"}, domains: []string{"example.org"}, path: func(*mail.Envelope, int) string { return "bounce@mail.example.jp" }})
	w.post("a@example.org", to("x@other.example")...)
	w.settled(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.from["x@other.example"]; got != "a@example.org" {
		t.Errorf("sent from %q", got)
	}
}
