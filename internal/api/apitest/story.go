package apitest

import (
	"net/netip"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/queue"
)

// Refusal is what Google said to thousands of innocent servers in April 2019.
const Refusal = "[192.0.2.25] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address."

// Told are the messages of the story.
type Told struct {
	Detoured mail.ID // refused by Google over direct, delivered by relay: not in the queue any more
	Deferred mail.ID // greylisted twice
	Waiting  mail.ID // for any way to Google
	Held     mail.ID // by an admin; two recipient domains
}

// Tell fills an inside with a story: Google refuses the address of direct, a message takes the detour, three others stay.
func Tell(t testing.TB, x *Inside) Told {
	t.Helper()
	tellSuppressed(t, x)
	tellUnclassified(t, x)
	tellServers(t, x)
	var s Told
	x.At(0)
	s.Detoured = detoured(t, x)
	x.At(4 * time.Minute)
	s.Deferred = deferred(t, x)
	at := x.At(5 * time.Minute)
	e := x.Enqueue(t, mail.Envelope{From: "news@example.jp", Account: "shop", MessageID: "news@example.jp", Class: mail.Bulk,
		Recipients: to("hanako@gmail.com")}, "Subject: News\r\n\r\nNews\r\n")
	s.Waiting = e.ID
	x.Settle(t, e.ID, &queue.DeliveryState{Due: at.Add(time.Hour), Tag: "path:google", Last: "no way to google is open"})
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Held, Recipients: []string{"hanako@gmail.com"}, Domain: "gmail.com", Provider: "google",
		Why: "route.why.hold_blocked", Until: at.Add(time.Hour)})

	x.At(6 * time.Minute)
	e = x.Enqueue(t, mail.Envelope{From: "taro@example.jp", MessageID: "two@example.jp", Recipients: to("a@example.net", "b@example.net", "c@example.org")},
		"Subject: Two\r\n\r\nTwo domains\r\n")
	s.Held = e.ID
	at = x.At(7 * time.Minute)
	if _, err := x.Queue.Change(t.Context(), queue.Filter{IDs: []mail.ID{e.ID}}, queue.HoldOrder, at); err != nil {
		t.Fatal(err)
	}
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Ordered, Why: "journal.order.hold"})
	x.At(Now.Sub(Start))
	x.Look(t)
	return s
}

func to(addrs ...string) []mail.Recipient {
	list := make([]mail.Recipient, len(addrs))
	for i, a := range addrs {
		list[i].Addr = a
	}
	return list
}

// detoured takes a message in that Google refuses over direct and takes over relay, after two others that it refused.
func detoured(t testing.TB, x *Inside) mail.ID {
	t.Helper()
	e := x.Enqueue(t, mail.Envelope{From: "taro@example.jp", MessageID: "hello@example.jp", Recipients: to("hanako@gmail.com", "jiro@gmail.com")},
		"Subject: Hello\r\n\r\nHello\r\n")
	rcpts := []string{"hanako@gmail.com", "jiro@gmail.com"}
	verdict := classify.Verdict{Class: "ip_reputation", Blame: classify.BlameIP, Scope: classify.ScopeIP, Action: classify.Retry, Detour: true,
		Reputation: true, Rule: "google.low-ip-reputation"}
	refused := outcome.Outcome{Phase: outcome.EndOfData, Egress: "direct", Provider: "google", Host: "gmail-smtp-in.l.google.com",
		Remote: netip.MustParseAddrPort("192.0.2.99:25"), Duration: 420 * time.Millisecond, Reply: mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, Refusal)}
	for i := range 3 {
		refused.At = x.At(time.Duration(i+1) * time.Second)
		x.Health.Observe(health.Evidence{At: refused.At, Key: health.Key{Egress: "direct", Provider: "google"}, Verdict: verdict, Outcome: refused, MsgID: (e.ID - mail.ID(2-i)).String()})
		x.Incidents.Refused(incident.Refusal{Outcome: &refused, Verdict: &verdict, Domain: "gmail.com", Sender: "example.jp", Recipients: 2})
	}
	x.Metrics.OnOutcome(&refused, &verdict, 2)
	x.Incidents.Passed(incident.Passage{At: refused.At, Provider: "google", Preferred: "direct", Domain: "gmail.com", Sender: "example.jp", Detour: true, Delivered: 2})
	at := refused.At
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Attempt, Recipients: rcpts, Egress: "direct", Provider: "google",
		Host: refused.Host, Phase: refused.Phase.String(), Code: 550, Text: refused.Text(), Class: verdict.Class, Rule: verdict.Rule, Took: refused.Duration})
	x.Journal.Record(journal.Event{At: at.Add(time.Millisecond), Msg: e.ID, Kind: journal.Decided, Egress: "relay", Preferred: "direct", Provider: "google", Detour: true,
		Why: "route.why.detour_refused"})
	at = x.At(3200 * time.Millisecond)
	taken := outcome.Outcome{At: at, Phase: outcome.EndOfData, Egress: "relay", Provider: "google", Host: "smtp.relay.example", Duration: 120 * time.Millisecond,
		Reply: mail.NewReply(250, mail.Status{Class: 2}, "Ok: queued as 4XYZ")}
	delivered := classify.Verdict{Class: classify.Delivered, Action: classify.Deliver}
	x.Health.Observe(health.Evidence{At: at, Key: health.Key{Egress: "relay", Provider: "google"}, Outcome: taken, Verdict: delivered})
	x.Metrics.OnOutcome(&taken, &delivered, 2)
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Attempt, Recipients: rcpts, Egress: "relay", Provider: "google", Detour: true,
		Host: taken.Host, Phase: taken.Phase.String(), Code: 250, Text: taken.Text(), Class: delivered.Class, Took: taken.Duration})
	x.Settle(t, e.ID, nil)
	return e.ID
}

// deferred takes a message in that a greylisting server puts off.
func deferred(t testing.TB, x *Inside) mail.ID {
	t.Helper()
	const reply = "450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.net.html"
	e := x.Enqueue(t, mail.Envelope{From: "taro@example.jp", Account: "shop", Client: netip.MustParseAddr("192.0.2.7"), MessageID: "grey@example.jp",
		Recipients: to("bob@example.net")}, "Subject: Grey\r\n\r\nHello\r\n")
	at := x.Clock()
	due := Now.Add(10 * time.Minute)
	x.Settle(t, e.ID, &queue.DeliveryState{Attempts: 2, Due: due, Last: reply})
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Attempt, Recipients: []string{"bob@example.net"}, Egress: "direct", Provider: "example.net",
		Host: "mx.example.net", Phase: "rcpt", Code: 450, Text: reply, Class: "greylisted", Took: 80 * time.Millisecond})
	x.Journal.Record(journal.Event{At: at, Msg: e.ID, Kind: journal.Deferred, Recipients: []string{"bob@example.net"}, Until: due})
	return e.ID
}
