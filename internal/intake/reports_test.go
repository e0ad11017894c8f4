package intake

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ukai/internal/classify"
	"ukai/internal/dkim"
	"ukai/internal/dsn"
	"ukai/internal/guard"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/smtpserver"
	"ukai/internal/suppress"
	"ukai/internal/verp"
)

const stranger = "192.0.2.1:25"

// bounceRig is a rig with a listener for reports, and one message that was sent with a token.
type bounceRig struct {
	*rig
	t     *testing.T
	desk  *Reports
	sent  *mail.Envelope
	token string // the address with the token
	heard []*Report
}

func newBounceRig(t *testing.T) *bounceRig {
	t.Helper()
	r := &bounceRig{rig: newRig(t), t: t}
	ring, err := verp.OpenRing(t.TempDir(), verp.Lives{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.desk = &Reports{
		Returns: &verp.Returns{Ring: ring, Address: verp.Address{Name: "bounce", Domain: "mail.shop.example", Delimiter: '+'}, Senders: []string{"*"}},
		Read:    func([]byte) *dsn.Reading { return &dsn.Reading{Kind: dsn.Bounce} },
		Heard:   func(_ context.Context, rep *Report) { r.heard = append(r.heard, rep) },
	}
	r.SetReports(r.desk)
	own, err := guard.NewRelay(prefixes("10.0.0.0/8"))
	if err != nil {
		t.Fatal(err)
	}
	r.Configure(map[string]Policy{"mx": {Reports: true}, "both": {Relay: own, Reports: true}, "relay": {Relay: own}, "submission": {Accounts: true, Reports: true}}, nil)
	r.sent = r.send("a@shop.example", "x@y.example", "z@y.example")
	r.token = r.desk.Returns.For(r.sent, 0, time.Now())
	return r
}

// send takes a message in from an own network.
func (r *bounceRig) send(from string, to ...string) *mail.Envelope {
	r.t.Helper()
	env := &mail.Envelope{From: from}
	for _, a := range to {
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: a})
	}
	c, reply := r.Begin(r.t.Context(), session("relay", "10.1.2.3:4", ""), env)
	if reply != nil {
		r.t.Fatal(reply)
	}
	if _, err := io.WriteString(c, message); err != nil {
		r.t.Fatal(err)
	}
	if reply := c.Commit(r.t.Context()); reply.Code != 250 {
		r.t.Fatal(reply)
	}
	return env
}

const bounceText = "From: MAILER-DAEMON@y.example\r\nTo: whoever\r\nSubject: Undelivered\r\nMessage-ID: <d1@y.example>\r\n\r\n<x@y.example>: 550 5.1.1 no such user\r\n"

// report hands a mail in as a stranger's server does, and returns the reply to the first command that was refused or else the last.
func (r *bounceRig) report(listener, rcpt, content string) mail.Reply {
	r.t.Helper()
	s, env, ctx := session(listener, stranger, ""), &mail.Envelope{}, r.t.Context()
	if reply := r.Mail(ctx, s, env); reply != nil {
		return *reply
	}
	to := mail.Recipient{Addr: rcpt}
	if reply := r.Rcpt(ctx, s, env, to); reply != nil {
		return *reply
	}
	env.Recipients = append(env.Recipients, to)
	c, reply := r.Begin(ctx, s, env)
	if reply != nil {
		return *reply
	}
	if _, err := io.WriteString(c, content); err != nil {
		r.t.Fatal(err)
	}
	return c.Commit(ctx)
}

// copies returns the messages in the queue that went on as reports.
func (r *bounceRig) copies() (envs []*mail.Envelope, contents []string) {
	r.t.Helper()
	list, err := r.queue.List(r.t.Context(), queue.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range list {
		if m.Envelope.From != "" {
			continue
		}
		rc, err := r.queue.Open(m.Envelope.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			r.t.Fatal(err)
		}
		rc.Close()
		envs, contents = append(envs, m.Envelope), append(contents, string(b))
	}
	return envs, contents
}

// told returns why of the last Reported event of the message that was sent.
func (r *bounceRig) told() string {
	r.t.Helper()
	events, err := r.journal.Message(r.t.Context(), r.sent.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Kind == journal.Reported {
			return events[i].Why
		}
	}
	return ""
}

func TestAReportUnderATokenGoesOnToTheSenderAsItCame(t *testing.T) {
	r := newBounceRig(t)
	if reply := r.report("mx", strings.ToLower(r.token), bounceText); reply.Code != 250 {
		t.Fatal(reply)
	}
	envs, contents := r.copies()
	if len(envs) != 1 || envs[0].From != "" || len(envs[0].Recipients) != 1 || envs[0].Recipients[0].Addr != "a@shop.example" || envs[0].Recipients[0].Notify != mail.NotifyNever {
		t.Fatalf("%+v", envs)
	}
	if head, found := strings.CutSuffix(contents[0], bounceText); !found || !strings.HasPrefix(head, "Received: from web.example ([192.0.2.1])") || strings.Count(head, "\r\n") != 4 {
		t.Errorf("the copy is not as it came, behind one trace field: %q", contents[0])
	}
	if len(r.heard) != 1 {
		t.Fatalf("heard %d times", len(r.heard))
	}
	h := r.heard[0]
	if h.Msg != r.sent.ID || !h.Known || h.Sender != "a@shop.example" || len(h.Recipients) != 2 || h.Reading.Kind != dsn.Bounce {
		t.Errorf("%+v", h)
	}
	if why := r.told(); why != "intake.report.forwarded" {
		t.Errorf("journal: %q", why)
	}
}

func TestTheSenderIsKnownFromTheJournalWhenTheQueueHasNothingLeft(t *testing.T) {
	r := newBounceRig(t)
	if _, err := r.queue.Change(t.Context(), queue.Filter{IDs: []mail.ID{r.sent.ID}}, queue.DeleteOrder, time.Now()); err != nil {
		t.Fatal(err)
	}
	if reply := r.report("mx", r.token, bounceText); reply.Code != 250 {
		t.Fatal(reply)
	}
	if envs, _ := r.copies(); len(envs) != 1 || envs[0].Recipients[0].Addr != "a@shop.example" || !r.heard[0].Known {
		t.Errorf("%+v", envs)
	}
}

func TestWhatIsNoTokenGetsOneAndTheSameAnswer(t *testing.T) {
	r := newBounceRig(t)
	expired := r.desk.Returns.For(r.sent, 0, time.Now().Add(-60*24*time.Hour))
	other, err := verp.OpenRing(t.TempDir(), verp.Lives{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	foreign := &verp.Returns{Ring: other, Address: r.desk.Returns.Address, Senders: []string{"*"}}
	for name, addr := range map[string]string{
		"an old token": expired, "a token of another key": foreign.For(r.sent, 0, time.Now()), "a guess": "bounce+sales@mail.shop.example",
		"nothing behind the delimiter": "bounce+@mail.shop.example", "the plain address": "bounce@mail.shop.example",
	} {
		if got := r.report("mx", addr, bounceText); got.String() != noSuchToken.String() {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAListenerForReportsIsNoOpenRelay(t *testing.T) {
	r := newBounceRig(t)
	local, _, _ := strings.Cut(r.token, "@")
	for _, listener := range []string{"mx", "both", "submission", "relay", "unknown"} {
		for _, rcpt := range []string{
			"victim@example.net", "bounce@example.net", local + "@example.net", "postmaster@mail.shop.example", "postmaster", "abuse@mail.shop.example", "a@shop.example",
			"victim%example.net@mail.shop.example", local + "%example.net@mail.shop.example", `"` + r.token + `"@example.net`, r.token + "@example.net",
			"example.net!victim@mail.shop.example", "@mail.shop.example", "", "bounce",
		} {
			if reply := r.report(listener, rcpt, bounceText); reply.Code != 550 && reply.Code != 530 {
				t.Errorf("%s takes mail of a stranger for %q: %v", listener, rcpt, reply)
			}
		}
	}
	if reply := r.report("relay", r.token, bounceText); reply.Code != 550 {
		t.Errorf("a listener without reports takes one: %v", reply)
	}
	rapid.Check(t, func(t *rapid.T) {
		rcpt := rapid.OneOf(rapid.String(), rapid.StringMatching(`(bounce[+=-]?[0-9a-zA-Z]{0,40}|[a-z"%!@:.]{1,20})@(mail\.)?shop\.example`)).Draw(t, "rcpt")
		if reply := r.Rcpt(context.Background(), session("mx", stranger, ""), &mail.Envelope{}, mail.Recipient{Addr: rcpt}); reply == nil {
			t.Fatalf("%q is taken", rcpt)
		}
	})
	if envs, _ := r.copies(); len(envs) != 0 {
		t.Errorf("%d went on", len(envs))
	}
}

func TestAReportSharesItsTransactionWithNothing(t *testing.T) {
	r := newBounceRig(t)
	s, env := session("both", "10.1.2.3:4", ""), &mail.Envelope{From: "a@shop.example"}
	add := func(addr string) int {
		reply := r.Rcpt(t.Context(), s, env, mail.Recipient{Addr: addr})
		if reply != nil {
			return reply.Code
		}
		env.Recipients = append(env.Recipients, mail.Recipient{Addr: addr})
		return 250
	}
	for _, c := range []struct {
		addr string
		want int
	}{{r.token, 250}, {"x@y.example", 452}, {r.token, 452}} {
		if got := add(c.addr); got != c.want {
			t.Errorf("a report first, then %s: %d", c.addr, got)
		}
	}
	env.Recipients = nil
	if add("x@y.example") != 250 || add(r.token) != 452 || add("z@y.example") != 250 {
		t.Error("mail first, then a report")
	}
}

func TestWithoutASenderThePostmasterGetsItOrNobody(t *testing.T) {
	for name, c := range map[string]struct {
		from, postmaster, want, why string
	}{
		"a sender":                       {"a@shop.example", "pm@shop.example", "a@shop.example", "intake.report.forwarded"},
		"our own address, a postmaster":  {"bounce+x@mail.shop.example", "pm@shop.example", "pm@shop.example", "intake.report.postmaster"},
		"our own address, no postmaster": {"bounce@mail.shop.example", "", "", "intake.report.dropped"},
		"no sender, a postmaster":        {"", "pm@shop.example", "pm@shop.example", "intake.report.postmaster"},
		"no sender, no postmaster":       {"", "", "", "intake.report.dropped"},
		"a sender without a domain":      {"root", "", "", "intake.report.dropped"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newBounceRig(t)
			r.desk.Postmaster = c.postmaster
			r.sent = r.send(c.from, "x@y.example")
			fake := *r.sent
			fake.From = "a@shop.example" // else there would be no token
			if reply := r.report("mx", r.desk.Returns.For(&fake, 0, time.Now()), bounceText); reply.Code != 250 {
				t.Fatal(reply)
			}
			var got string
			envs, _ := r.copies()
			for _, e := range envs {
				if e.ID != r.sent.ID {
					got = e.Recipients[0].Addr
				}
			}
			if got != c.want || r.told() != c.why || len(r.heard) != 1 {
				t.Errorf("goes to %q, journal %q, heard %d", got, r.told(), len(r.heard))
			}
		})
	}
}

func TestMailWithoutATokenGoesToThePostmasterWhereThatIsWanted(t *testing.T) {
	r := newBounceRig(t)
	r.desk.Postmaster = "pm@shop.example"
	for addr, want := range map[string]int{"postmaster@mail.shop.example": 250, "Postmaster": 250, "bounce@mail.shop.example": 550, "postmaster@example.net": 550} {
		if reply := r.report("mx", addr, bounceText); reply.Code != want {
			t.Errorf("%s: %v", addr, reply)
		}
	}
	r.desk.Plain = true
	if reply := r.report("mx", "bounce@mail.shop.example", bounceText); reply.Code != 250 {
		t.Error(reply)
	}
	envs, _ := r.copies()
	if len(envs) != 3 || envs[0].Recipients[0].Addr != "pm@shop.example" {
		t.Errorf("%d copies", len(envs))
	}
	if len(r.heard) != 0 {
		t.Error("what anybody may have written counts as a report")
	}
}

func TestAReportIsNeverSigned(t *testing.T) {
	r := newBounceRig(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dkim.NewSigner([]dkim.Key{{Domain: "shop.example", Selector: "s", Private: key}})
	if err != nil {
		t.Fatal(err)
	}
	r.Configure(map[string]Policy{"mx": {Reports: true, Submission: true}}, signer)
	if reply := r.report("mx", r.token, "From: boss@shop.example\r\nSubject: pay me\r\n\r\nnow\r\n"); reply.Code != 250 {
		t.Fatal(reply)
	}
	if _, contents := r.copies(); len(contents) != 1 || strings.Contains(contents[0], "DKIM-Signature") || strings.Contains(contents[0], "Date:") {
		t.Errorf("%q", contents)
	}
}

func TestAReportThatGoesRoundIsRefused(t *testing.T) {
	r := newBounceRig(t)
	if reply := r.report("mx", r.token, strings.Repeat("Received: by x; now\r\n", 50)+bounceText); reply.Code != 554 {
		t.Error(reply)
	}
	if envs, _ := r.copies(); len(envs) != 0 || len(r.heard) != 0 {
		t.Errorf("%d copies, heard %d", len(envs), len(r.heard))
	}
}

func TestATokenDoesNotOpenTheSendersMailboxToAFlood(t *testing.T) {
	r := newBounceRig(t)
	refused := 0
	for range 40 {
		if reply := r.report("mx", r.token, bounceText); reply.Code == 450 {
			refused++
		}
	}
	if refused != 40-(20+2*2) {
		t.Errorf("%d refused", refused)
	}
}

// unsynced is a Store whose drafts do not become durable.
type unsynced struct{ queue.Store }

func (u *unsynced) Create(env *mail.Envelope) (queue.Draft, error) {
	d, err := u.Store.Create(env)
	return &lostDraft{d}, err
}

type lostDraft struct{ queue.Draft }

func (*lostDraft) Commit(context.Context, []byte) error { return queue.ErrBroken }

func TestAReportIsTakenOnlyWhenItsCopyIsSafe(t *testing.T) {
	r := newBounceRig(t)
	r.store = &unsynced{r.queue}
	if reply := r.report("mx", r.token, bounceText); reply.Code != 451 {
		t.Error(reply)
	}
	if len(r.heard) != 0 || r.told() != "" {
		t.Error("it counts although it comes again")
	}
	r.store = &failing{Store: r.queue, create: queue.ErrFull}
	if reply := r.report("mx", r.token, bounceText); reply.Code != 452 {
		t.Error(reply)
	}
}

func TestOnlyTheBeginningOfALargeReportIsRead(t *testing.T) {
	r := newBounceRig(t)
	size := 0
	r.desk.Read = func(b []byte) *dsn.Reading { size = len(b); return &dsn.Reading{} }
	long := bounceText + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2*maxReport/72)
	if reply := r.report("mx", r.token, long); reply.Code != 250 {
		t.Fatal(reply)
	}
	if _, contents := r.copies(); size != maxReport || !strings.HasSuffix(contents[0], long) {
		t.Errorf("%d octets read, %d went on", size, len(contents[0]))
	}
}

func TestASuppressedRecipientIsRefusedAtTheDoor(t *testing.T) {
	r := newBounceRig(t)
	book, err := suppress.Open(t.Context(), r.db, suppress.Options{Apart: time.Nanosecond}, r.log)
	if err != nil {
		t.Fatal(err)
	}
	r.suppress = book
	for i := range 2 {
		n := suppress.Notice{At: time.Now(), Recipient: "gone@y.example", Msg: mail.ID(i + 1), Text: "550 5.1.1 no such user",
			Verdict: classify.Verdict{Class: "user_unknown", Blame: classify.BlameRecipient, Scope: classify.ScopeRecipient, Action: classify.Fail}}
		if err := book.Note(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
	}
	s, env := session("relay", "10.1.2.3:4", ""), &mail.Envelope{From: "a@shop.example"}
	reply := r.Rcpt(t.Context(), s, env, mail.Recipient{Addr: "Gone@Y.example"})
	if reply == nil || reply.Code != 550 || reply.Status.String() != "5.1.1" || !strings.Contains(reply.Text(), "its server said: 550 5.1.1 no such user") || !strings.Contains(reply.Text(), "suppressed since 20") {
		t.Errorf("%v", reply)
	}
	if reply := r.Rcpt(t.Context(), s, env, mail.Recipient{Addr: "here@y.example"}); reply != nil {
		t.Errorf("%v", reply)
	}
	if reply := r.Rcpt(t.Context(), session("relay", stranger, ""), env, mail.Recipient{Addr: "gone@y.example"}); reply == nil || strings.Contains(reply.Text(), "suppressed") {
		t.Errorf("a stranger is told about recipients: %v", reply)
	}
}

var _ smtpserver.Content = (*report)(nil)

func TestAReportSpeaksOnlyOfTheRecipientsOfItsMessage(t *testing.T) {
	many := []string{"a@one.example", "b@two.example", "c@two.example", "d@three.example"}
	for name, c := range map[string]struct {
		group            int
		recipient, given string
		want             string
	}{
		"a recipient of the message":                         {1, "B@Two.example", "", "B@Two.example"},
		"one that was forwarded, with the original":          {1, "else@example.net", "c@two.example", "c@two.example"},
		"one that was forwarded, the only one of its domain": {2, "else@example.net", "", "d@three.example"},
		"nobody, the only one of its domain":                 {0, "", "", "a@one.example"},
		"nobody, one of two":                                 {1, "", "", ""},
		"a stranger, one of two":                             {1, "victim@example.net", "", ""},
		"a delivery that the message never had":              {9, "victim@example.net", "", ""},
	} {
		r := &Report{Recipients: many, Group: c.group, Reading: &dsn.Reading{Results: []dsn.Result{{Recipient: c.recipient, Given: c.given}}}}
		if r.attribute(); r.Reading.Results[0].Recipient != c.want {
			t.Errorf("%s: %q", name, r.Reading.Results[0].Recipient)
		}
	}
	(&Report{}).attribute() // nothing was read
}

func TestDeliveriesAreNumberedAsTheQueueDoes(t *testing.T) {
	r := newBounceRig(t)
	env := r.send("a@shop.example", "a@One.example", "b@two.example", "c@one.example", "d@three.example")
	m, err := r.queue.Get(t.Context(), env.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Deliveries {
		rep := &Report{Group: d.N}
		for _, x := range env.Recipients {
			rep.Recipients = append(rep.Recipients, x.Addr)
		}
		want := ""
		if len(d.Recipients) == 1 {
			want = env.Recipients[d.Recipients[0]].Addr
		}
		if got := rep.sole(); got != want {
			t.Errorf("delivery %d: %q, want %q", d.N, got, want)
		}
	}
}
