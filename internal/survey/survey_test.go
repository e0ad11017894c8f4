package survey

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/maillog"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

const (
	googleSays = "550-5.7.1 [192.0.2.25      18] Our system has detected that this message is 550-5.7.1 likely suspicious due to the very low reputation of the sending IP 550-5.7.1 address. To best protect our users from spam, the message has been 550-5.7.1 blocked. Please visit 550 5.7.1 https://support.google.com/mail/answer/188131 for more information. x12-20020a - gsmtp"
	nobodySays = "550 5.1.1 <nobody@customer.example>: Recipient address rejected: User unknown in virtual mailbox table"
)

// log makes events for a survey, one a second.
type log struct {
	t *testing.T
	s *Survey
	n int
}

func newLog(t *testing.T, o Options) *log {
	t.Helper()
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	return &log{t: t, s: New(rules, catalogue, o)}
}

// add fills in what every event has.
func (l *log) add(e maillog.Event) {
	l.n++
	e.At, e.Host, e.MTA, e.Sender = second(l.n), "mx1", maillog.Postfix, true
	if e.Queue == "" {
		e.Queue = "Q" + strconv.Itoa(l.n)
	}
	if e.From == "" {
		e.From = "info@sender.example"
	}
	if e.Text != "" && e.Reply.Code == 0 {
		if code, err := strconv.Atoi(e.Text[:3]); err == nil {
			st, _ := mail.ParseStatus(e.Text[4:])
			e.Reply = mail.Reply{Code: code, Status: st, Lines: []string{e.Text[4:]}}
		}
	}
	l.s.Add(&e)
}

func (l *log) sent(to, relay string) {
	l.add(maillog.Event{Kind: maillog.Delivered, To: to, Relay: relay, Delay: 2 * time.Second, Text: "250 2.0.0 OK"})
}

func (l *log) bounced(to, relay, text string) {
	l.add(maillog.Event{Kind: maillog.Bounced, To: to, Relay: relay, Phase: outcome.EndOfData, Text: text})
}

func (l *log) provider(id string) *Provider {
	l.t.Helper()
	r := l.s.Result()
	for i := range r.Providers {
		if r.Providers[i].ID == id {
			return &r.Providers[i]
		}
	}
	l.t.Fatalf("no %s in %+v", id, r.Providers)
	return nil
}

func TestGoogleAndItsCustomersAreOneProvider(t *testing.T) {
	l := newLog(t, Options{})
	for i := range 300 {
		l.sent(fmt.Sprintf("a@customer%d.example", i%5), "aspmx.l.google.com")
		l.sent("b@gmail.com", "gmail-smtp-in.l.google.com")
		l.sent("c@other.example", "mx.other.example")
	}
	since := second(l.n + 1)
	for i := range 200 {
		l.bounced(fmt.Sprintf("a@customer%d.example", i%5), "aspmx.l.google.com", googleSays)
		l.bounced("b@gmail.com", "gmail-smtp-in.l.google.com", googleSays)
		l.sent("c@other.example", "mx.other.example")
	}
	r := l.s.Result()
	p := l.provider("google")
	if r.Providers[0].ID != "google" {
		t.Errorf("%s comes first", r.Providers[0].ID)
	}
	if len(p.Trouble) != 1 || !p.Trouble[0].Since.Equal(since) || p.Refused != 400 || p.Trouble[0].Share != 1 {
		t.Errorf("%+v", p)
	}
	if c := p.Causes[0]; c.Class != "ip_reputation" || !c.Detour || c.Final != 400 || !strings.Contains(c.Example, "very low reputation") || len(c.Trouble) != 1 {
		t.Errorf("%+v", c)
	}
	if len(p.IPs) != 1 || p.IPs[0] != netip.MustParseAddr("192.0.2.25") {
		t.Errorf("our addresses: %v", p.IPs)
	}
	if other := l.provider("other.example"); len(other.Trouble) > 0 || other.Totals.Delivered != 500 {
		t.Errorf("%+v", other)
	}
	if len(r.Domains.Top) != 6 || r.Domains.Top[0].Name != "gmail.com" || r.Domains.Top[0].N != 200 || r.Senders.Top[0].N != 400 {
		t.Errorf("%+v %+v", r.Domains, r.Senders)
	}
	if r.Totals.Delivered != 1100 || r.Totals.Bounced != 400 {
		t.Errorf("%+v", r.Totals)
	}
}

func TestRetriesOfOneMessageAreOneRefusal(t *testing.T) {
	l := newLog(t, Options{})
	for range 200 {
		l.sent("b@gmail.com", "gmail-smtp-in.l.google.com")
	}
	for range 150 { // the same message, again and again
		l.add(maillog.Event{Kind: maillog.Deferred, Queue: "SAME", To: "b@gmail.com", Relay: "gmail-smtp-in.l.google.com", Phase: outcome.EndOfData,
			Text: strings.ReplaceAll(strings.ReplaceAll(googleSays, "550", "421"), "5.7.1", "4.7.0")})
	}
	p := l.provider("google")
	if p.Refused != 1 || len(p.Trouble) > 0 || p.Totals.Deferred != 1 || p.Totals.Retries != 149 {
		t.Errorf("%+v", p)
	}
	if p.Storm == nil || p.Storm.Most != 150 || p.Storm.Peak != 60 {
		t.Errorf("%+v", p.Storm)
	}
	if w := l.s.Result().Totals.Waiting; w != 1 {
		t.Errorf("%d wait", w)
	}
	l.add(maillog.Event{Kind: maillog.Expired, Queue: "SAME", To: "b@gmail.com"})
	if r := l.s.Result(); r.Totals.Expired != 1 || r.Totals.Waiting != 0 || r.Providers[0].Causes[0].Final != 1 {
		t.Errorf("%+v", r)
	}
}

func TestWhoIsFoundWhereNoHostAnswered(t *testing.T) {
	refused := "connect to aspmx.l.google.com[192.0.2.1]:25: Connection refused"
	for name, c := range map[string]struct {
		learn    func(l *log)
		to, text string
		want     string
	}{
		"the text names the host":          {nil, "a@customer.example", refused, "google"},
		"the catalogue knows the domain":   {nil, "a@gmail.com", "Connection timed out", "google"},
		"the domain's mail went there":     {func(l *log) { l.sent("a@customer.example", "aspmx.l.google.com") }, "b@customer.example", "Connection timed out", "google"},
		"nobody knows: the domain itself":  {nil, "a@mail.customer.example", "Connection timed out", "customer.example"},
		"the words are those of somebody":  {nil, "a@customer.example", googleSays, "google"},
		"a filter on this machine is down": {nil, "", "", "localhost"},
	} {
		l := newLog(t, Options{})
		if c.learn != nil {
			c.learn(l)
		}
		e := maillog.Event{Kind: maillog.Deferred, To: c.to, Text: c.text}
		if c.want == "localhost" {
			e.Relay, e.Remote, e.To, e.Text = "127.0.0.1", netip.MustParseAddrPort("127.0.0.1:10024"), "a@gmail.com", "connect to 127.0.0.1[127.0.0.1]:10024: Connection refused"
		}
		l.add(e)
		ids := []string{}
		for _, p := range l.s.Result().Providers {
			if p.Totals.Deferred == 1 {
				ids = append(ids, p.ID)
			}
		}
		if !slices.Equal(ids, []string{c.want}) {
			t.Errorf("%s: %v, want %s", name, ids, c.want)
		}
	}
}

// OpenSMTPD writes the address of a server twice where reverse DNS does not know its name.
func TestServersWithoutANameAreKnownByTheirAddress(t *testing.T) {
	l := newLog(t, Options{})
	google := maillog.Event{Kind: maillog.Delivered, To: "a@gmail.com", Relay: "192.0.2.1", Remote: netip.MustParseAddrPort("192.0.2.1:25")}
	l.add(google)
	google.To = "a@customer.example"
	l.add(google)
	other := maillog.Event{Kind: maillog.Bounced, To: "a@second.example", Relay: "192.0.2.2", Remote: netip.MustParseAddrPort("192.0.2.2:25"), Text: googleSays}
	l.add(other)
	other.Kind, other.To, other.Text = maillog.Delivered, "a@third.example", ""
	l.add(other)
	if p := l.provider("google"); p.Totals.Delivered != 3 || p.Totals.Bounced != 1 {
		t.Errorf("%+v", l.s.Result().Providers)
	}
}

func TestWhatWasNotKnownAtFirstIsPutRightInTheEnd(t *testing.T) {
	l := newLog(t, Options{})
	for i := range 10 {
		l.add(maillog.Event{Kind: maillog.Deferred, Queue: fmt.Sprint("D", i), To: "a@customer.example", Text: "Connection timed out"})
	}
	l.sent("a@customer.example", "aspmx.l.google.com")
	for range 2 { // asking changes nothing
		r := l.s.Result()
		if len(r.Providers) != 1 || r.Providers[0].ID != "google" || r.Providers[0].Totals.Deferred != 10 || r.Providers[0].Totals.Delivered != 1 {
			t.Errorf("%+v", r.Providers)
		}
	}
}

func TestAFilterThatIsDownSaysNothingOfADomain(t *testing.T) {
	l := newLog(t, Options{})
	for _, relay := range []string{"localhost", "localhost", ""} { // the third time nobody answers
		l.add(maillog.Event{Kind: maillog.Deferred, To: "a@customer.example", Relay: relay, Text: "Connection refused"})
	}
	if p := l.provider("localhost"); p.Totals.Deferred != 2 {
		t.Errorf("%+v", p)
	}
	if p := l.provider("customer.example"); p.Totals.Deferred != 1 {
		t.Errorf("%+v", p)
	}
}

func TestWhatAFilterOnThisMachineTookHasNotLeft(t *testing.T) {
	l := newLog(t, Options{})
	l.add(maillog.Event{Kind: maillog.Delivered, To: "a@gmail.com", Relay: "127.0.0.1", Remote: netip.MustParseAddrPort("127.0.0.1:10024")})
	l.sent("a@gmail.com", "gmail-smtp-in.l.google.com")
	l.add(maillog.Event{Kind: maillog.Delivered, To: "me@sender.example", Relay: "local", Local: true})
	if r := l.s.Result(); r.Totals.Delivered != 1 || r.Totals.Local != 2 || len(r.Providers) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAnUnknownUserIsNoTrouble(t *testing.T) {
	l := newLog(t, Options{})
	for range 50 {
		l.bounced("nobody@customer.example", "aspmx.l.google.com", nobodySays)
	}
	p := l.provider("google")
	if p.Refused != 0 || len(p.Trouble) > 0 || p.Causes[0].Class != "user_unknown" || p.Totals.Bounced != 50 {
		t.Errorf("%+v", p)
	}
}

func TestWhomWeLockOutAndWhetherWeWroteToThem(t *testing.T) {
	l := newLog(t, Options{})
	reject := func(from, name string) {
		l.add(maillog.Event{Kind: maillog.Rejected, From: from, To: "info@sender.example", Client: netip.MustParseAddr("198.51.100.7"), ClientName: name,
			List: "zen.spamhaus.org", Phase: outcome.RcptTo, Text: "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org"})
	}
	for range 30 {
		reject("offer@stranger.example", "")
	}
	l.sent("tanaka@partner.example", "mx.partner.example")
	reject("tanaka@Partner.example", "mx.partner.example")
	reject("tanaka@partner.example", "mx.partner.example")
	l.add(maillog.Event{Kind: maillog.Rejected, From: "x@elsewhere.example", To: "nobody@sender.example", Text: "550 5.1.1 User unknown"})
	in := l.s.Result().Inbound
	if in.Rejected != 33 || len(in.Lists) != 1 || in.Lists[0].Rejected != 32 || in.Lists[0].Known != 1 {
		t.Fatalf("%+v", in)
	}
	p := in.Lists[0].Partners
	if p[0].Domain != "partner.example" || p[0].Rejected != 2 || p[0].Written != 1 || p[0].LastWritten.IsZero() || p[1].Domain != "stranger.example" || p[1].Written != 0 {
		t.Errorf("%+v", p)
	}
	if len(in.Causes) != 2 || in.Causes[0].Name != "dnsbl_listed" || in.Causes[1].Name != "user_unknown" {
		t.Errorf("%+v", in.Causes)
	}
}

func TestOnlyWhatIsAskedForIsShown(t *testing.T) {
	for o, want := range map[Options]int64{
		{}:                            3,
		{Provider: "google"}:          2,
		{Domain: "gmail.com"}:         1,
		{Domain: "nobody.example"}:    0,
		{Provider: "microsoft-365"}:   0,
		{Domain: "CUSTOMER1.example"}: 1,
	} {
		l := newLog(t, o)
		l.sent("a@gmail.com", "gmail-smtp-in.l.google.com")
		l.sent("a@customer1.example", "aspmx.l.google.com")
		l.sent("a@other.example", "mx.other.example")
		if n := l.s.Result().Totals.Delivered; n != want {
			t.Errorf("%+v: %d, want %d", o, n, want)
		}
	}
}

func TestEachHostHasAStoryOfItsOwn(t *testing.T) {
	l := newLog(t, Options{})
	for _, host := range []string{"mx1", "mx2"} { // two logs of the same days, one after the other
		for i := range 400 {
			e := maillog.Event{Kind: maillog.Delivered, At: second(i), Host: host, Queue: fmt.Sprint(host, i), To: "a@gmail.com", Relay: "gmail-smtp-in.l.google.com"}
			if host == "mx2" && i >= 300 {
				e.Kind, e.Text, e.Phase = maillog.Bounced, googleSays, outcome.EndOfData
			}
			l.s.Add(&e)
		}
	}
	p := l.provider("google")
	if len(p.Trouble) != 1 || p.Trouble[0].Host != "mx2" || !p.Trouble[0].Since.Equal(second(300)) {
		t.Errorf("%+v", p.Trouble)
	}
}

// Spam with a sender of its own in each message, and mail to ever more domains, must not fill the memory.
func TestNothingGrowsWithoutBound(t *testing.T) {
	l := newLog(t, Options{})
	l.sent("a@friend.example", "mx.friend.example")
	for i := range 150000 {
		n := strconv.Itoa(i)
		switch i % 4 {
		case 0:
			l.add(maillog.Event{Kind: maillog.Rejected, From: "x@d" + n + ".example", List: "zen.spamhaus.org", Text: "554 5.7.1 blocked using zen.spamhaus.org"})
		case 1:
			l.sent("x@d"+n+".example", "mx.d"+n+".example")
		case 2:
			l.add(maillog.Event{Kind: maillog.Deferred, To: "x@e" + n + ".example", Text: "450 4.7.1 odd" + strings.Repeat("a", i%50) + " refusal number " + n})
		case 3:
			l.bounced("x@f"+n+".example", "mx.f"+n+".example", googleSays)
		}
	}
	l.add(maillog.Event{Kind: maillog.Rejected, From: "boss@friend.example", List: "zen.spamhaus.org", Text: "554 5.7.1 blocked using zen.spamhaus.org"})
	s := l.s
	sizes := map[string][2]int{
		"groups": {len(s.groups), maxGroups + 100}, "relays": {len(s.relays), maxRelays}, "domains": {len(s.domains), maxDomains + 1}, "open": {len(s.open), maxOpen}, "older": {len(s.older), maxOpen},
		"partners": {len(s.inbound.lists["zen.spamhaus.org"].partners), maxPartners}, "senders": {len(s.senders.rows), 2 * keptTop}, "verdicts": {len(s.judge.cache), maxVerdicts},
	}
	for what, size := range sizes {
		if size[0] > size[1] {
			t.Errorf("%s: %d, at most %d", what, size[0], size[1])
		}
	}
	r := s.Result()
	if r.Totals.Delivered != 37501 || r.Totals.Bounced != 37500 || r.Totals.Deferred != 37500 || r.Inbound.Rejected != 37501 {
		t.Errorf("%+v", r.Totals)
	}
	if p := r.Inbound.Lists[0]; p.Rejected != 37501 || p.Partners[0].Domain != "friend.example" {
		t.Errorf("%d, first %+v", p.Rejected, p.Partners[0])
	}
}

func TestATableTellsHowMuchItMayMiss(t *testing.T) {
	tb := table{keep: 10}
	for i := range 1000 {
		tb.add("often", 1, 1)
		tb.add(strconv.Itoa(i), 1, 1)
	}
	top := tb.top(1)
	if top.Top[0].Name != "often" || top.Top[0].N != 1000 || top.Missing == 0 || top.Missing > 200 {
		t.Errorf("%+v", top)
	}
}

func TestQuantilesAreWithinSevenPercent(t *testing.T) {
	d := &delays{}
	for i := range 10000 {
		d.add(time.Duration(i+1) * 37 * time.Millisecond)
	}
	for q, want := range map[float64]float64{0.5: 185, 0.95: 351.5, 0.01: 3.7} {
		if got := d.quantile(q).Seconds(); got < want*0.93 || got > want*1.07 {
			t.Errorf("p%v: %v s, want %v", q*100, got, want)
		}
	}
}

func TestTheSameTextWithOtherNumbersIsJudgedOnce(t *testing.T) {
	l := newLog(t, Options{})
	for i := range 1000 {
		l.bounced("b@gmail.com", "gmail-smtp-in.l.google.com", strings.Replace(googleSays, "x12-20020a", fmt.Sprintf("x%d-200%xb", i, i*i), 1))
	}
	if n := len(l.s.judge.cache); n != 1 {
		t.Errorf("%d texts", n)
	}
	for _, text := range []string{"550 5.7.26 no", "550 5.7.1 no", "550 S3140 no", "550 S3150 no", "550 zen.spamhaus.org", "550 bl.spamcop.net"} {
		l.bounced("b@gmail.com", "gmail-smtp-in.l.google.com", text)
	}
	if n := len(l.s.judge.cache); n != 7 {
		t.Errorf("%d texts", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	rules, err := classify.Load()
	if err != nil {
		b.Fatal(err)
	}
	catalogue, err := provider.Load()
	if err != nil {
		b.Fatal(err)
	}
	refusal := mail.Reply{Code: 550, Status: mail.Status{Class: 5, Subject: 7, Detail: 1}, Lines: []string{googleSays[4:]}}
	events := make([]maillog.Event, 1024)
	for i := range events {
		e := &events[i]
		*e = maillog.Event{Kind: maillog.Delivered, At: second(i), Host: "mx1", Queue: fmt.Sprintf("3f%dxyz", i), From: "a@sender.example", Sender: true,
			To: fmt.Sprintf("u@customer%d.example", i%100), Relay: "aspmx.l.google.com", Delay: time.Second}
		if i%3 == 0 {
			e.Kind, e.Reply, e.Text, e.Phase = maillog.Bounced, refusal, googleSays, outcome.EndOfData
		}
	}
	s := New(rules, catalogue, Options{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Add(&events[i%len(events)])
		i++
	}
}
