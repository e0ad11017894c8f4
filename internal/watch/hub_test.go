package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/maillog"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// gmail2019 is what Gmail said to the network of a hosting provider in April 2019.
var gmail2019 = []string{
	"[192.0.2.10      18] Our system has detected that this message is",
	"likely suspicious due to the very low reputation of the sending IP",
	"address. To best protect our users from spam, the message has been",
	"blocked. Please visit",
	"https://support.google.com/mail/answer/188131 for more information. x - gsmtp",
}

func refusal(lines ...string) mail.Reply {
	return mail.Reply{Code: 550, Status: mail.Status{Class: 5, Subject: 7, Detail: 1}, Lines: lines}
}

// house is a Hub with real rooms.
type house struct {
	*Hub
	t    *testing.T
	know Knowledge
	log  *logs
	seen []Observation // by Seen; tests that read it see from one goroutine
}

func newHouse(t *testing.T, o Options) *house {
	t.Helper()
	x := &house{t: t, log: &logs{}}
	rules, err := classify.NewLive("")
	if err != nil {
		t.Fatal(err)
	}
	x.know.Judge = rules
	if x.know.Providers, err = provider.Load(); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), database(t), journal.Options{}, x.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	x.Hub = New(Parts{
		Health: health.New(health.Options{Sources: sourcesOf(o)}, x.log.logger()), Journal: j,
		Rules: rules, Providers: x.know.Providers, Log: x.log.logger(),
		Seen: func(o *Observation) { x.seen = append(x.seen, *o) },
	}, o)
	return x
}

func sourcesOf(o Options) map[string]health.Source {
	all := make(map[string]health.Source)
	for name, addrs := range o.Egresses {
		all[name] = health.Source{Addrs: addrs}
	}
	return all
}

// told is an observation of what a server said, judged.
func (x *house) told(host, rcpt string, r mail.Reply, ago time.Duration) Observation {
	o := Observation{Source: "log", Server: "mx1.example.jp", Recipient: rcpt}
	o.Outcome = outcome.Outcome{At: time.Now().Add(-ago), Phase: outcome.EndOfData, Reply: r, Host: host}
	o.Outcome.Provider = x.know.provider(host, rcpt)
	o.Verdict = x.know.Judge.Classify(&o.Outcome)
	return o
}

// run plays n refusals of different messages.
func (x *house) refuse(n int, change func(o *Observation)) {
	for i := range n {
		o := x.told("gmail-smtp-in.l.google.com", fmt.Sprintf("u%d@gmail.com", i), refusal(gmail2019...), 0)
		o.MessageID = fmt.Sprintf("m%d@example.jp", i)
		if change != nil {
			change(&o)
		}
		x.see(o, nil)
	}
}

func (x *house) state(egress, provider string) health.State {
	p := x.Health.Path(egress, provider)
	return p.State
}

func TestWhoseEgressItWas(t *testing.T) {
	ip := netip.MustParseAddr
	s := newSetup(Options{Egresses: map[string][]netip.Addr{
		"direct": {ip("192.0.2.10"), ip("2001:db8::10")}, "second": {ip("198.51.100.7")},
	}})
	for name, c := range map[string]struct {
		o    Observation
		want string
	}{
		"it is said": {Observation{Server: "mx1", Outcome: outcome.Outcome{Egress: "second"},
			Verdict: classify.Verdict{IP: ip("192.0.2.10")}}, "second"},
		"the refusal names our address":  {Observation{Server: "mx1", Verdict: classify.Verdict{IP: ip("192.0.2.10")}}, "direct"},
		"it names our other address":     {Observation{Server: "mx1", Verdict: classify.Verdict{IP: ip("2001:db8::10")}}, "direct"},
		"in another form":                {Observation{Server: "mx1", Verdict: classify.Verdict{IP: ip("::ffff:192.0.2.10")}}, "direct"},
		"the connection came from there": {Observation{Server: "mx1", Outcome: outcome.Outcome{LocalIP: ip("198.51.100.7")}}, "second"},
		"it names a stranger's address":  {Observation{Server: "MX1.example.jp", Verdict: classify.Verdict{IP: ip("192.0.2.11")}}, "mx1.example.jp"},
		"nothing is known":               {Observation{Source: "box"}, "box"},
		"a mail names our address": {Observation{Source: "box", Server: "mx1", Hearsay: true,
			Verdict: classify.Verdict{IP: ip("192.0.2.10")}}, "mx1"},
		"a name without measure": {Observation{Server: strings.Repeat("x", 300)}, strings.Repeat("x", 64)},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.place(s, time.Now())
			if c.o.Outcome.Egress != c.want {
				t.Errorf("%q, want %q", c.o.Outcome.Egress, c.want)
			}
		})
	}
}

func TestWhoReceives(t *testing.T) {
	x := newHouse(t, Options{})
	x.known.put("customer.example", "google", time.Now())
	for name, c := range map[string]struct {
		host, rcpt string
		want       provider.ID
		asked      bool
	}{
		"by the host":                          {"gmail-smtp-in.l.google.com", "u@customer.example", "google", false},
		"by the domain, behind a host of ours": {"relay.example.net", "u@gmail.com", "google", false},
		"by the domain alone":                  {"", "u@docomo.ne.jp", "docomo", false},
		"by a host that the catalogue lacks":   {"mx3.example.co.jp", "u@other.example", "example.co.jp", false},
		"by what was asked before":             {"", "u@customer.example", "google", false},
		"by asking":                            {"", "u@unknown.example", "", true},
		"by nothing":                           {"", "", "unknown", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := Observation{Recipient: c.rcpt, Outcome: outcome.Outcome{Host: c.host}}
			if known := x.provider(&o); known == c.asked || o.Outcome.Provider != c.want {
				t.Errorf("%q, %v", o.Outcome.Provider, known)
			}
		})
	}
}

func TestAnUnknownDomainIsAskedForWithoutHoldingTheSourceUp(t *testing.T) {
	x := newHouse(t, Options{})
	asked, release := make(chan string, 10), make(chan struct{})
	x.Lookup = func(ctx context.Context, domain string) provider.ID {
		asked <- domain
		select {
		case <-release:
		case <-ctx.Done():
		}
		if domain == "customer.example" {
			return "google"
		}
		return ""
	}
	var seen atomic.Int64
	x.Seen = func(*Observation) { seen.Add(1) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	for i := range 4 {
		o := x.told("", fmt.Sprintf("u%d@customer.example", i), refusal(gmail2019...), 0)
		o.MessageID = fmt.Sprint(i)
		x.see(o, nil)
	}
	x.see(x.told("", "u@www.nobody.example", refusal(gmail2019...), 0), nil)
	<-asked
	if seen.Load() != 0 {
		t.Error("it was taken before the answer")
	}
	close(release)
	eventually(t, "answer", func() bool { return seen.Load() == 5 })
	if got := x.state("mx1.example.jp", "google"); got != health.Blocked {
		t.Errorf("google: %v", got)
	}
	if got := x.state("mx1.example.jp", "nobody.example"); got != health.Suspect {
		t.Errorf("nobody.example: %v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTooManyUnknownDomainsAreTakenByTheirName(t *testing.T) {
	x := newHouse(t, Options{}) // nobody asks: Run does not run
	for i := range maxLookups + 1 {
		x.see(x.told("", fmt.Sprintf("u@d%d.example", i), refusal(gmail2019...), 0), nil)
	}
	if len(x.seen) != 1 || x.seen[0].Outcome.Provider != fmt.Sprintf("d%d.example", maxLookups) {
		t.Errorf("%d were taken", len(x.seen))
	}
}

func TestRefusalsThatAServerMeetsBlockItsPath(t *testing.T) {
	x := newHouse(t, Options{Egresses: map[string][]netip.Addr{"direct": {netip.MustParseAddr("203.0.113.5")}}})
	x.refuse(4, nil)
	if got := x.state("mx1.example.jp", "google"); got != health.Blocked {
		t.Errorf("its path is %v", got)
	}
	if got := x.state("direct", "google"); got != health.Healthy {
		t.Errorf("ours is %v", got)
	}
}

func TestRefusalsOfAnEgressThatIsSharedBlockIt(t *testing.T) {
	x := newHouse(t, Options{Egresses: map[string][]netip.Addr{"direct": {netip.MustParseAddr("192.0.2.10")}}})
	x.refuse(4, nil)
	if got := x.state("direct", "google"); got != health.Blocked {
		t.Errorf("it is %v", got)
	}
}

func TestWhatIsOldMovesNoPath(t *testing.T) {
	for name, change := range map[string]func(o *Observation){
		"told late by the source":   func(o *Observation) { o.Late = true },
		"older than the limit":      func(o *Observation) { o.Outcome.At = time.Now().Add(-11 * time.Minute) },
		"a delivery of another day": func(o *Observation) { o.Outcome.At = time.Now().AddDate(0, 0, -2) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newHouse(t, Options{})
			x.refuse(10, change)
			if got := x.state("mx1.example.jp", "google"); got != health.Healthy {
				t.Errorf("it is %v", got)
			}
			if len(x.seen) != 10 || !x.seen[0].Late {
				t.Errorf("%d observations are handed on", len(x.seen))
			}
		})
	}
	x := newHouse(t, Options{})
	x.refuse(4, nil)
	for range 10 { // a delivery from before the block does not open it
		x.see(x.told("gmail-smtp-in.l.google.com", "u@gmail.com", mail.Reply{Code: 250}, time.Hour), nil)
	}
	if got := x.state("mx1.example.jp", "google"); got != health.Blocked {
		t.Errorf("an old delivery made it %v", got)
	}
}

func TestAClockThatGoesAheadFreezesNothing(t *testing.T) {
	x := newHouse(t, Options{})
	x.refuse(4, func(o *Observation) { o.Outcome.At = time.Now().Add(9 * time.Hour) })
	for _, info := range x.Health.List(time.Now()) {
		if info.State != health.Blocked || info.Since.After(time.Now()) {
			t.Errorf("%+v", info)
		}
	}
}

func TestTheSameRefusalToldTwiceCountsOnce(t *testing.T) {
	twice := func(change func(first, second *Observation)) int {
		x := newHouse(t, Options{})
		first := x.told("gmail-smtp-in.l.google.com", "u@gmail.com", refusal(gmail2019...), 0)
		second := x.told("", "U@gmail.com", refusal(strings.Join(gmail2019, " ")), 0)
		second.Source = "box"
		change(&first, &second)
		x.see(first, nil)
		x.see(second, nil)
		return len(x.seen)
	}
	for name, c := range map[string]struct {
		change func(first, second *Observation)
		want   int
	}{
		"by the same words":      {func(_, _ *Observation) {}, 1},
		"of the same message":    {func(a, b *Observation) { a.MessageID, b.MessageID = "m@x", "m@x"; b.Outcome.Reply.Lines = nil }, 1},
		"for another recipient":  {func(_, b *Observation) { b.Recipient = "v@gmail.com" }, 2},
		"by the same source":     {func(_, b *Observation) { b.Source = "log" }, 2},
		"with other words":       {func(_, b *Observation) { b.Outcome.Reply = refusal("Message rejected for another reason altogether") }, 2},
		"a refusal and delivery": {func(_, b *Observation) { b.Verdict.Action = classify.Deliver }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := twice(c.change); got != c.want {
				t.Errorf("%d counted, want %d", got, c.want)
			}
		})
	}
}

func TestTheMemoryOfRepetitionsIsBounded(t *testing.T) {
	var r repeats
	o := Observation{Source: "log", MessageID: "m@x", Verdict: classify.Verdict{Action: classify.Fail}}
	for i := range 3 * maxRepeats {
		o.Recipient = fmt.Sprintf("u%d@example.com", i)
		r.seen(&o, time.Now())
	}
	if len(r.now) > maxRepeats || len(r.old) > maxRepeats {
		t.Errorf("%d and %d", len(r.now), len(r.old))
	}
	o.Source = "box"
	if !r.seen(&o, time.Now()) {
		t.Error("the last one is forgotten")
	}
	if r.seen(&o, time.Now().Add(3*keepRepeats)) && r.seen(&o, time.Now().Add(6*keepRepeats)) {
		t.Error("it is remembered for ever")
	}
}

func TestWhatAMailSaysOfNoMessageOfOursReachesNoEgressOfOurs(t *testing.T) {
	own := map[string][]netip.Addr{"direct": {netip.MustParseAddr("192.0.2.10")}}
	x := newHouse(t, Options{Egresses: own})
	x.refuse(10, func(o *Observation) {
		o.Hearsay, o.Source, o.Server = true, "box", ""
		o.Verdict.Scope = classify.ScopeRange
	})
	if got := x.state("direct", "google"); got != health.Healthy {
		t.Errorf("ours is %v", got)
	}
	if got := x.state("box", "google"); got != health.Blocked {
		t.Errorf("the server's is %v", got)
	}
	for i := range 100 {
		o := x.told("mx.example.com", "u@example.com", refusal(gmail2019...), 0)
		o.Hearsay, o.Outcome.Provider = true, fmt.Sprintf("d%d.example", i)
		x.see(o, nil)
	}
	if n := len(x.Health.List(time.Now())); n != 1 {
		t.Errorf("a mail made up %d paths", n)
	}
}

func TestARangeReachesOurEgressInIt(t *testing.T) {
	own := map[string][]netip.Addr{"near": {netip.MustParseAddr("192.0.2.200")}, "far": {netip.MustParseAddr("198.51.100.1")}}
	x := newHouse(t, Options{Egresses: own})
	x.refuse(1, func(o *Observation) { o.Verdict.Scope = classify.ScopeRange })
	if near, far := x.state("near", "google"), x.state("far", "google"); near != health.Suspect || far != health.Healthy {
		t.Errorf("near %v, far %v", near, far)
	}
}

func TestWhatAServerSendsAllTheSameIsItsProbe(t *testing.T) {
	x := newHouse(t, Options{})
	x.Health.Configure(health.Thresholds{ProbeFirst: time.Nanosecond, ProbeGap: time.Nanosecond}, nil)
	x.refuse(4, nil)
	took := func() {
		x.see(x.told("gmail-smtp-in.l.google.com", "u@gmail.com", mail.Reply{Code: 250, Lines: []string{"OK"}}, 0), nil)
	}
	took()
	if got := x.state("mx1.example.jp", "google"); got != health.Probing {
		t.Errorf("after one good probe: %v", got)
	}
	took()
	if got := x.state("mx1.example.jp", "google"); got != health.Recovering {
		t.Errorf("after two: %v", got)
	}
	x.refuse(1, func(o *Observation) { o.Recipient, o.MessageID = "again@gmail.com", "again" })
	if got := x.state("mx1.example.jp", "google"); got != health.Blocked {
		t.Errorf("after a relapse: %v", got)
	}
}

func TestWhatComesBackForAMessageOfOursIsInItsStory(t *testing.T) {
	x := newHouse(t, Options{})
	var ids mail.IDs
	o := x.told("gmail-smtp-in.l.google.com", "u@gmail.com", refusal(gmail2019...), 3*time.Hour)
	o.Msg, o.Source = ids.Next(time.Now()), "box"
	x.see(o, nil)
	events, err := x.Journal.Message(t.Context(), o.Msg)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	e := events[0]
	if e.Kind != journal.Reported || e.Source != "box" || e.Code != 550 || e.Class != "ip_reputation" || !slices.Equal(e.Recipients, []string{"u@gmail.com"}) || e.Provider != "google" {
		t.Errorf("%+v", e)
	}
}

func TestWhatALogTells(t *testing.T) {
	x := newHouse(t, Options{})
	google := maillog.Event{
		At: time.Now(), Kind: maillog.Bounced, Host: "mx1", Relay: "gmail-smtp-in.l.google.com", Remote: netip.MustParseAddrPort("203.0.113.9:25"),
		To: "u@customer.example", MessageID: "m@x", From: "taro@example.jp", Phase: outcome.EndOfData, Reply: refusal(gmail2019...),
	}
	for name, c := range map[string]struct {
		change func(e *maillog.Event)
		class  string
		action classify.Action
	}{
		"a refusal":          {func(*maillog.Event) {}, "ip_reputation", classify.Fail},
		"a delivery":         {func(e *maillog.Event) { e.Kind, e.Reply = maillog.Delivered, mail.Reply{Code: 250} }, "delivered", classify.Deliver},
		"one without a code": {func(e *maillog.Event) { e.Kind, e.Reply = maillog.Delivered, mail.Reply{} }, "delivered", classify.Deliver},
		"no connection": {func(e *maillog.Event) {
			e.Kind, e.Reply, e.Text = maillog.Deferred, mail.Reply{}, "Connection refused"
			e.Phase = outcome.Connect
		}, "network_error", classify.Retry},
		"to a mailbox here":      {func(e *maillog.Event) { e.Local = true }, "", ""},
		"to a filter or ukai":    {func(e *maillog.Event) { e.Remote = netip.MustParseAddrPort("127.0.0.1:2525") }, "", ""},
		"given up for its age":   {func(e *maillog.Event) { e.Kind = maillog.Expired }, "", ""},
		"refused at our door":    {func(e *maillog.Event) { e.Kind = maillog.Rejected }, "", ""},
		"taken at our door":      {func(e *maillog.Event) { e.Kind = maillog.Accepted }, "", ""},
		"to ukai by IPv6":        {func(e *maillog.Event) { e.Remote = netip.MustParseAddrPort("[::1]:2525") }, "", ""},
		"to ukai, in IPv4 of 6":  {func(e *maillog.Event) { e.Remote = netip.MustParseAddrPort("[::ffff:127.0.0.1]:25") }, "", ""},
		"refused without a peer": {func(e *maillog.Event) { e.Remote = netip.AddrPort{} }, "ip_reputation", classify.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			e := google
			c.change(&e)
			o, ok := x.know.event(&e)
			if ok != (c.class != "") || o.Verdict.Class != c.class || o.Verdict.Action != c.action {
				t.Fatalf("%v %+v", ok, o.Verdict)
			}
			if ok && (o.Server != "mx1" || o.Recipient != "u@customer.example" || o.MessageID != "m@x" || o.Outcome.Provider != "google") {
				t.Errorf("%+v", o)
			}
		})
	}
}

// played is a Source that does what a test says.
type played struct {
	name string
	run  func(ctx context.Context, see func(Observation)) error
}

func (p *played) Name() string { return p.name }

func (p *played) Run(ctx context.Context, see func(Observation)) error { return p.run(ctx, see) }

func TestASourceThatFailsIsTriedAgainAndToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &Hub{Parts: Parts{Log: slog.New(slog.DiscardHandler)}, changed: make(chan struct{}, 1)}
		log := &logs{}
		x.Log = log.logger()
		x.Configure(Options{})
		var began []time.Time
		trouble := errors.New("the disk is gone")
		x.Set([]Entry{{Source: &played{"log", func(context.Context, func(Observation)) error {
			began = append(began, time.Now())
			switch len(began) {
			case 9:
				return nil // by itself
			case 10:
				return errors.New("another trouble")
			}
			return trouble
		}}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		time.Sleep(10*time.Minute + 500*time.Millisecond)
		synctest.Wait()
		s := x.Status()
		if len(s) != 1 || s[0].Name != "log" || s[0].Trouble == nil {
			t.Errorf("%+v", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			if got := began[i+1].Sub(began[i]); got != want*time.Second {
				t.Errorf("pause %d was %v", i, got)
			}
		}
		if n := strings.Count(log.String(), "the disk is gone"); n != 2 { // once more, after the others
			t.Errorf("told %d times:\n%s", n, log)
		}
		if len(x.Status()) != 0 {
			t.Error("after the end there are sources")
		}
	})
}

func TestOtherSettingsReplaceASourceAndLeaveTheOthersRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &Hub{Parts: Parts{Log: slog.New(slog.DiscardHandler)}, changed: make(chan struct{}, 1)}
		x.Configure(Options{})
		var running, begun [3]atomic.Int64
		source := func(i int) Source {
			return &played{fmt.Sprint("s", i), func(ctx context.Context, _ func(Observation)) error {
				if running[i].Add(1) != 1 {
					t.Errorf("s%d runs twice", i)
				}
				begun[i].Add(1)
				<-ctx.Done()
				time.Sleep(3 * time.Second) // it takes its time to end
				running[i].Add(-1)
				return nil
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		x.Set([]Entry{{source(0), "a"}, {source(1), "a"}})
		synctest.Wait()
		x.Set([]Entry{{source(1), "b"}, {source(0), "a"}, {source(2), "a"}})
		time.Sleep(10 * time.Second)
		if b := [3]int64{begun[0].Load(), begun[1].Load(), begun[2].Load()}; b != [3]int64{1, 2, 1} {
			t.Errorf("begun %v", b)
		}
		x.Set(nil)
		time.Sleep(10 * time.Second)
		for i := range running {
			if n := running[i].Load(); n != 0 {
				t.Errorf("s%d is left", i)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsUkaiItselfIsNotObserved(t *testing.T) {
	x := newHouse(t, Options{Own: []string{"Relay.example.jp"}})
	o := x.told("relay.example.jp.", "u@gmail.com", refusal(gmail2019...), 0)
	x.see(o, nil)
	if len(x.seen) != 0 {
		t.Error("it is")
	}
}
