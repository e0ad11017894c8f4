package guard

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ukai/internal/account"
	"ukai/internal/mail"
)

var (
	start  = time.Unix(1_700_000_000, 0)
	client = netip.MustParseAddr("192.0.2.7")
)

func TestCheck(t *testing.T) {
	a := &account.Account{Name: "a", Domains: []string{"a.test", "*.b.test"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	suspended := &account.Account{Name: "s", Domains: []string{"*"}, Suspended: start, Reason: "secret"}
	for name, c := range map[string]struct {
		r    Request
		want Reason
	}{
		"a network may send for any domain":      {Request{nil, client, "x@anything.test"}, Allowed},
		"an account may send for its domain":     {Request{a, client, "x@A.test"}, Allowed},
		"an account may send below its wildcard": {Request{a, client, "x@y.b.test"}, Allowed},
		"an account may bounce":                  {Request{a, client, ""}, Allowed},
		"an account may not send for another":    {Request{a, client, "x@c.test"}, ForeignSender},
		"an account may not send for no domain":  {Request{a, client, "root"}, ForeignSender},
		"an account may not send from elsewhere": {Request{a, netip.MustParseAddr("198.51.100.1"), "x@a.test"}, ForeignNetwork},
		"a suspended account may not send":       {Request{suspended, client, "x@a.test"}, Suspended},
		"a suspended account may not bounce":     {Request{suspended, client, ""}, Suspended},
	} {
		d := New(Options{}).Check(start, c.r)
		if d.Reason != c.want || d.OK() != (c.want == Allowed) || (d.Reply() == nil) != (c.want == Allowed) {
			t.Errorf("%s: %v", name, d.Reason)
		}
		if r := d.Reply(); r != nil && (r.Code != 550 || strings.Contains(r.Text(), "secret")) {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestEveryReasonHasANameAndAReply(t *testing.T) {
	for r := NoRelay; r <= TooManyRecipients; r++ {
		d := Decision{Reason: r}
		reply := d.Reply()
		wantCode := 550
		if r >= TooManyMessages {
			wantCode = 450
		}
		if reply == nil || reply.Code != wantCode || reply.Status != (mail.Status{Class: wantCode / 100, Subject: 7, Detail: 1}) || r.String() == "unknown" {
			t.Errorf("%d: %v, %v", r, r, reply)
		}
	}
	if b, err := json.Marshal(ForeignSender); string(b) != `"foreign-sender"` || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	if (Decision{Reason: 99}).Reply() != nil || Reason(99).String() != "unknown" {
		t.Error("a reason that is none")
	}
}

func TestABudgetIsABurstThatRefillsEvenly(t *testing.T) {
	a := &account.Account{Name: "a", Domains: []string{"*"}, Limits: account.Limits{MessagesPerHour: 4, RecipientsPerDay: 2}}
	r := Request{a, client, "x@a.test"}
	g := New(Options{})
	now := start
	for i := range 4 {
		if d := g.Check(now, r); !d.OK() {
			t.Fatalf("message %d: %v", i, d.Reason)
		}
	}
	d := g.Check(now, r)
	if d.Reason != TooManyMessages || d.RetryAfter != 15*time.Minute || d.Reply().Code != 450 {
		t.Errorf("%+v", d)
	}
	now = now.Add(d.RetryAfter)
	if d := g.Check(now, r); !d.OK() {
		t.Errorf("after the time it was told: %+v", d)
	}
	if d := g.Check(now, r); d.OK() {
		t.Error("two for one interval")
	}
	for i := range 2 {
		if d := g.Recipient(now, r); !d.OK() {
			t.Fatalf("recipient %d: %v", i, d.Reason)
		}
	}
	if d := g.Recipient(now, r); d.Reason != TooManyRecipients || d.RetryAfter != 12*time.Hour {
		t.Errorf("%+v", d)
	}
	if d := g.Check(now.Add(-48*time.Hour), r); !d.OK() {
		t.Errorf("the clock was set back: %+v", d)
	}
}

func TestWhoHasABudgetOfItsOwn(t *testing.T) {
	g := New(Options{Network: account.Limits{MessagesPerHour: 1}})
	from := func(addr string) Request { return Request{Client: netip.MustParseAddr(addr), Sender: "x@a.test"} }
	one := account.Limits{MessagesPerHour: 1}
	for _, c := range []struct {
		who  string
		r    Request
		want bool
	}{
		{"a client", from("192.0.2.1"), true},
		{"the same client", from("192.0.2.1"), false},
		{"the same client in IPv6 form", from("::ffff:192.0.2.1"), false},
		{"its neighbour", from("192.0.2.2"), true},
		{"an IPv6 client", from("2001:db8::1"), true},
		{"one of the same /64", from("2001:db8::2"), false},
		{"one of the next /64", from("2001:db8:0:1::2"), true},
		{"a Unix socket", Request{}, true},
		{"a Unix socket again", Request{}, false},
		{"an account", Request{Account: &account.Account{Name: "a", Limits: one}}, true},
		{"the same account from elsewhere", Request{Account: &account.Account{Name: "a", Limits: one}, Client: client}, false},
		{"another account", Request{Account: &account.Account{Name: "b", Limits: one}}, true},
		{"an account without limits", Request{Account: &account.Account{Name: "a"}}, true},
	} {
		if d := g.Check(start, c.r); d.OK() != c.want {
			t.Errorf("%s: %v", c.who, d.Reason)
		}
	}
	g.SetOptions(Options{})
	if d := g.Check(start, from("192.0.2.1")); !d.OK() {
		t.Errorf("after the limit was taken away: %v", d.Reason)
	}
}

func TestWholeBudgetsAreForgotten(t *testing.T) {
	g := New(Options{Network: account.Limits{MessagesPerHour: 10, RecipientsPerDay: 10}})
	addr := client
	for range 100 {
		addr = addr.Next()
		g.Check(start, Request{Client: addr})
	}
	g.Recipient(start, Request{Client: addr}) // this one's day is not over
	g.Check(start.Add(2*hour), Request{Client: client})
	if n := len(g.budgets); n != 2 {
		t.Errorf("%d budgets are kept", n)
	}
}

func TestInNoPeriodMoreThanTwiceTheLimitPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "limit")
		g := New(Options{Network: account.Limits{MessagesPerHour: n}})
		now := start
		var passed []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "tries") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "pause")))
			if d := g.Check(now, Request{Client: client}); d.OK() {
				passed = append(passed, now)
			} else if d.RetryAfter <= 0 || d.RetryAfter > hour {
				t.Fatalf("try again in %v", d.RetryAfter)
			}
		}
		for i, from := range passed {
			in := 0
			for _, at := range passed[i:] {
				if at.Sub(from) < hour {
					in++
				}
			}
			if in > 2*n {
				t.Fatalf("%d within an hour, limit %d", in, n)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	g := New(Options{Network: account.Limits{MessagesPerHour: 1 << 30}})
	r := Request{Client: client, Sender: "x@a.test"}
	b.ReportAllocs()
	now := start
	for b.Loop() {
		now = now.Add(time.Second)
		if d := g.Check(now, r); !d.OK() {
			b.Fatal(d.Reason)
		}
	}
}
