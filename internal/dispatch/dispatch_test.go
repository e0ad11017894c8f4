package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/route"
)

var both = []string{"direct", "relay"}

func TestARefusalOfTheIPTakesTheDetourInTheSameAttempt(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "@gmail.com", badIP}}})
	id := w.post("a@example.jp", to("x@gmail.com")...)
	if s := w.settled(1); s.Delivered != 1 || !s.Detour || s.Bounced != 0 {
		t.Errorf("%+v", s)
	}
	w.expect("relay x@gmail.com")
	want := []journal.Kind{journal.Attempt, journal.Decided, journal.Attempt}
	if got := w.kinds(id); !slices.Equal(got, want) {
		t.Errorf("journal: %v, want %v", got, want)
	}
	events, err := w.journal.Message(t.Context(), id)
	if err != nil || len(events) != 3 || events[1].Egress != "relay" || events[1].Preferred != "direct" {
		t.Errorf("the decision does not name both ways: %+v, %v", events, err)
	}
	if w.body["x@gmail.com"] != "Received: x\r\nFrom: <a@example.jp>\r\nSubject: s\r\n\r\nhello\r\n" {
		t.Errorf("the detour changed the content: %q", w.body["x@gmail.com"])
	}
}

func TestOneRefusalByGoogleCoversWorkspaceDomainsOnceThePathIsBlocked(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", badIP}}})
	for range 6 {
		w.post("a@example.jp", to("x@gmail.com")...)
		w.settled(1)
	}
	if st := w.health.Path("direct", "google").State; st != health.Blocked {
		t.Fatalf("path is %v", st)
	}
	w.mu.Lock()
	w.tries = nil
	w.mu.Unlock()
	w.post("a@example.jp", to("y@one.example")...)
	w.settled(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.tries, []string{"relay y@one.example"}) {
		t.Errorf("tried %v", w.tries)
	}
}

func TestContentRefusalsAndUnknownUsersBounceAtOnceAndAreNeverDetoured(t *testing.T) {
	for name, say := range map[string]string{"content": badContent, "unknown user": unknown} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "@other.example", say}}})
			w.post("a@example.org", to("x@other.example")...)
			if s := w.settled(2); s.Bounced != 1 || s.Delivered != 1 || s.Detour { // the report is the second delivery
				t.Errorf("%+v", s)
			}
			w.expect("direct a@example.org")
			w.mu.Lock()
			defer w.mu.Unlock()
			report := w.body["a@example.org"]
			for _, want := range []string{"multipart/report", "Final-Recipient: rfc822; x@other.example", "Action: failed"} {
				if !strings.Contains(report, want) {
					t.Errorf("the report has no %q:\n%s", want, report)
				}
			}
		})
	}
}

func TestRecipientsOfOneTransactionEachGetTheirOwnFate(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{
		{"direct", "refused@gmail.com", badIP}, {"", "nobody@gmail.com", unknown}, {"", "later@gmail.com", greylist},
	}})
	id := w.post("a@example.org", to("refused@gmail.com", "nobody@gmail.com", "later@gmail.com", "ok@gmail.com")...)
	s := w.settled(2)
	if s.Delivered != 3 || s.Bounced != 1 || s.Deferred != 1 {
		t.Errorf("%+v", s)
	}
	w.expect("direct ok@gmail.com", "relay refused@gmail.com", "direct a@example.org")
	m, err := w.store.Get(t.Context(), id)
	if err != nil || len(m.Deliveries) != 1 || !slices.Equal(m.Deliveries[0].Recipients, []int{2}) {
		t.Fatalf("left: %+v, %v", m, err)
	}
}

func TestRecipientsBeyondTheReceiversLimitGoInAnotherTransactionAtOnce(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both})
	w.mu.Lock()
	w.room = 2
	w.mu.Unlock()
	w.post("a@example.jp", to("a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com", "e@gmail.com")...)
	if s := w.settled(1); s.Delivered != 5 || s.Deferred != 0 {
		t.Errorf("%+v", s)
	}
	w.expect("direct a@gmail.com", "direct b@gmail.com", "direct c@gmail.com", "direct d@gmail.com", "direct e@gmail.com")
}

func TestGreylistingStaysWithItsEgress(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", greylist}},
		schedule: queue.Schedule{Steps: []time.Duration{20 * time.Millisecond}, Jitter: -1}})
	w.post("a@example.jp", to("x@other.example")...)
	if s := w.settled(1); s.Deferred != 1 {
		t.Fatalf("%+v", s)
	}
	w.setScript(nil)
	w.settled(1)
	w.expect("direct x@other.example")
}

func TestWithEveryWayShutMailIsHeldAndGoesWhenOneOpens(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "@gmail.com", badIP}},
		health: health.Thresholds{ProbeFirst: 50 * time.Millisecond, ProbeMax: 100 * time.Millisecond, ProbeGap: 10 * time.Millisecond, RecoverWindow: 20 * time.Millisecond}})
	id := w.post("a@example.jp", to("x@gmail.com")...)
	if s := w.settled(1); s.Held != 1 || s.Bounced != 0 {
		t.Fatalf("%+v", s)
	}
	m, err := w.store.Get(t.Context(), id)
	if err != nil || m.Deliveries[0].State.Tag != "path:google" || m.Deliveries[0].State.Last == "" {
		t.Fatalf("%+v, %v", m, err)
	}
	w.health.Clear(health.Key{Egress: "relay", Provider: "google"}, time.Now())
	w.health.Block(health.Key{Egress: "direct", Provider: "google"}, health.Pin{At: time.Now()})
	w.setScript(script{{"direct", "", badIP}})
	if n, err := w.store.Release(t.Context(), "path:google", time.Now()); err != nil || n > 1 {
		t.Fatalf("released %d, %v", n, err)
	}
	for s := w.settled(1); s.Delivered == 0; s = w.settled(1) {
		if s.Bounced != 0 {
			t.Fatal("bounced")
		}
	}
	w.expect("relay x@gmail.com")
}

func TestObserveModeBouncesAsAPlainRelayWouldAndSaysWhatItWouldHaveDone(t *testing.T) {
	w := newWorld(t, setting{mode: route.Observe, egresses: both, script: script{{"direct", "@gmail.com", badIP}}})
	id := w.post("a@example.org", to("x@gmail.com")...)
	if s := w.settled(2); s.Bounced != 1 || s.Detour {
		t.Errorf("%+v", s)
	}
	w.expect("direct a@example.org")
	events, err := w.journal.Message(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(e journal.Event) bool {
		return e.Kind == journal.Decided && e.Would == "relay" && e.Egress == "direct"
	}) {
		t.Errorf("no word of the detour: %+v", events)
	}
}

func TestAMessageIsGivenUpAfterItsLifetimeWithTheLastReply(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "@other.example", "451 4.3.0 try later"}},
		schedule: queue.Schedule{Steps: []time.Duration{10 * time.Millisecond}, Jitter: -1, Lifetime: 60 * time.Millisecond}})
	w.post("a@example.org", to("x@other.example")...)
	for sum := (Settled{}); sum.Bounced == 0 || sum.Delivered == 0; { // the report may be delivered before the bounce is settled
		s := w.settled(1)
		sum.Bounced += s.Bounced
		sum.Delivered += s.Delivered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if report := w.body["a@example.org"]; !strings.Contains(report, "451 4.3.0 try later") {
		t.Errorf("the report does not quote the last reply:\n%s", report)
	}
}

func TestTheSenderIsWarnedOfADelayOnce(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "@other.example", greylist}},
		schedule: queue.Schedule{Steps: []time.Duration{10 * time.Millisecond}, Jitter: -1, DelayWarning: time.Nanosecond}})
	id := w.post("a@example.org", to("x@other.example")...)
	for sum := (Settled{}); sum.Deferred < 4; {
		sum.Deferred += w.settled(1).Deferred
	}
	warned := 0
	for _, k := range w.kinds(id) {
		if k == journal.Warned {
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("warned %d times", warned)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !strings.Contains(w.body["a@example.org"], "Action: delayed") {
		t.Error("the warning is no delay report")
	}
}

func TestAReportThatFailsMakesNoReport(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"", "", unknown}}})
	w.post("a@example.org", to("x@other.example")...)
	if s := w.settled(2); s.Bounced != 2 {
		t.Errorf("%+v", s)
	}
	until(t, func() bool { return w.store.Stats().Messages == 0 }, "the queue is empty")
}

func TestASuccessReportIsSentForAServerThatSendsNone(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both})
	w.post("a@example.org", mail.Recipient{Addr: "x@other.example", Notify: mail.NotifySuccess})
	w.settled(2)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !strings.Contains(w.body["a@example.org"], "Action: relayed") {
		t.Errorf("no relayed report: %q", w.body)
	}
}

func TestADomainThatDoesNotExistBouncesAndOneThatCannotBeAskedWaits(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both})
	w.post("", to("x@gone.example")...)
	if s := w.settled(1); s.Bounced != 1 {
		t.Errorf("gone: %+v", s)
	}
	w.post("", to("x@unsure.example")...)
	if s := w.settled(1); s.Deferred != 1 {
		t.Errorf("unsure: %+v", s)
	}
}

func TestASmarthostGetsMailForDomainsThatOnlyItMayKnow(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: []string{"smarthost"}})
	w.post("a@example.org", to("x@gone.example")...)
	if s := w.settled(1); s.Delivered != 1 {
		t.Errorf("%+v", s)
	}
	w.expect("smarthost x@gone.example")
}

func TestARefusalInTheGreetingIsDetouredToo(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both})
	w.mu.Lock()
	w.d.ways.Egresses[0].Carrier.(*fake).connect = "554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1"
	w.mu.Unlock()
	w.post("a@example.jp", to("x@other.example")...)
	if s := w.settled(1); s.Delivered != 1 || !s.Detour {
		t.Errorf("%+v", s)
	}
	w.expect("relay x@other.example")
}

func TestAHostThatIsDownDefersTheWholeLineAndBlocksNoPath(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both})
	w.mu.Lock()
	w.d.ways.Egresses[0].Carrier.(*fake).connect = "connection refused"
	w.mu.Unlock()
	for range 30 {
		w.post("a@example.jp", to("x@other.example")...)
	}
	if s := w.settled(30); s.Deferred != 30 {
		t.Errorf("%+v", s)
	}
	if st := w.health.Path("direct", "other.example").State; st != health.Healthy {
		t.Errorf("path is %v", st)
	}
}

func TestAReloadRoutesWhatWaitsByTheNewTable(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "", greylist}},
		schedule: queue.Schedule{Steps: []time.Duration{20 * time.Millisecond}, Jitter: -1}})
	w.post("a@example.jp", to("x@other.example")...)
	w.settled(1)
	w.d.SetWays(w.ways(setting{mode: route.Act, egresses: []string{"second"}}))
	for s := w.settled(1); s.Delivered == 0; s = w.settled(1) {
	}
	w.expect("second x@other.example")
}

func TestManyMessagesAreEachDeliveredOnce(t *testing.T) {
	w := newWorld(t, setting{mode: route.Act, egresses: both, script: script{{"direct", "@gmail.com", badIP}}})
	var want []string
	domains := []string{"gmail.com", "one.example", "two.example", "other.example"}
	for i := range 400 {
		addr := "u" + mail.ID(i).String() + "@" + domains[i%4]
		w.post("a@example.jp", to(addr)...)
		want = append(want, addr)
	}
	w.settled(400)
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, g := range w.got {
		_, addr, _ := strings.Cut(g, " ")
		got = append(got, addr)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d taken, want each of %d once", len(got), len(want))
	}
}

func until(t *testing.T, ok func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
