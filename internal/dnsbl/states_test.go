package dnsbl

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/dns"
)

// answers is a resolver made of tables: what stands in it is said of a name, everything else does not exist.
type answers struct {
	replies map[string]dns.Reply // by name, or "name TXT"
	errors  map[string]error
	always  *dns.Reply // for everything else
	under   string     // that ends in this

	mu    sync.Mutex
	asked map[string]int
}

func (a *answers) Ask(_ context.Context, name string, qtype uint16) (dns.Reply, error) {
	if qtype == dns.TypeTXT {
		name += " TXT"
	}
	a.mu.Lock()
	if a.asked == nil {
		a.asked = make(map[string]int)
	}
	a.asked[name]++
	a.mu.Unlock()
	if err, ok := a.errors[name]; ok {
		return dns.Reply{}, err
	}
	if r, ok := a.replies[name]; ok {
		return r, nil
	}
	if a.always != nil && qtype == dns.TypeA && strings.HasSuffix(name, a.under) {
		return *a.always, nil
	}
	return dns.Reply{Rcode: dns.NXDomain, TTL: time.Minute}, nil
}

func (a *answers) count(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[name]
}

func says(addrs ...string) dns.Reply {
	r := dns.Reply{TTL: 5 * time.Minute}
	for _, s := range addrs {
		r.Addrs = append(r.Addrs, netip.MustParseAddr(s))
	}
	return r
}

// mustParse reads a catalogue.
func mustParse(t *testing.T, text string) *Catalogue {
	t.Helper()
	c, err := Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const oneList = `
[[list]]
id = "bl"
zone = "bl.example"
[list.entries]
lists = ["ip4", "ip6", "domain"]
codes = [
  { code = "127.0.0.2", meaning = "spam" },
  { code = "127.0.0.3", meaning = "a network", scope = "range" },
  { code = "127.0.0.10", meaning = "dynamic", scope = "range", severity = "policy" },
  { code = "127.0.0.14", meaning = "neutral", state = "clean" },
  { code = "127.0.1.0-100", meaning = "score", state = "clean" },
  { code = "127.0.0.99", meaning = "ask less", state = "refused", why = "quota" },
  { code = "REFUSED", meaning = "over the limit", state = "refused", why = "quota" },
]
`

// healthy is a list that passes its tests, and what it says of 192.0.2.5 besides.
func healthy(r dns.Reply) *answers {
	return &answers{replies: map[string]dns.Reply{
		"2.0.0.127.bl.example": says("127.0.0.2"),
		"5.2.0.192.bl.example": r,
	}}
}

func TestWhatAListSaysBecomesAState(t *testing.T) {
	timeout := dns.TemporaryError("ask", "x", "timeout")
	tests := []struct {
		name  string
		reply dns.Reply
		err   error
		want  State
		why   Why
		scope Scope
		code  string
	}{
		{name: "a code of the table is a listing", reply: says("127.0.0.2"), want: Listed, scope: ScopeIP, code: "127.0.0.2"},
		{name: "a code may be for a range", reply: says("127.0.0.3"), want: Listed, scope: ScopeRange, code: "127.0.0.3"},
		{name: "an accusation comes before a policy", reply: says("127.0.0.10", "127.0.0.2"), want: Listed, scope: ScopeIP, code: "127.0.0.2"},
		{name: "of two accusations the range explains the address", reply: says("127.0.0.2", "127.0.0.3"), want: Listed, scope: ScopeRange, code: "127.0.0.3"},
		{name: "no such name is clean", reply: dns.Reply{Rcode: dns.NXDomain}, want: Clean, scope: ScopeIP},
		{name: "a name without addresses is clean", reply: dns.Reply{}, want: Clean, scope: ScopeIP},
		{name: "a code that is no listing is clean", reply: says("127.0.0.14"), want: Clean, scope: ScopeIP, code: "127.0.0.14"},
		{name: "a score is clean", reply: says("127.0.1.77"), want: Clean, scope: ScopeIP, code: "127.0.1.77"},
		{name: "an unknown code is a listing where nothing else is said", reply: says("127.0.0.77"), want: Listed, scope: ScopeIP, code: "127.0.0.77"},
		{name: "127.0.0.1 is never a listing", reply: says("127.0.0.1"), want: Broken, why: WhyUndocumented, scope: ScopeIP, code: "127.0.0.1"},
		{name: "an unknown code far from the others is none either", reply: says("127.9.9.9"), want: Broken, why: WhyUndocumented, scope: ScopeIP, code: "127.9.9.9"},
		{name: "the catalogue's error is an error", reply: says("127.0.0.99"), want: Refused, why: WhyQuota, scope: ScopeIP, code: "127.0.0.99"},
		{name: "an error among listings spoils them all", reply: says("127.0.0.2", "127.255.255.255"), want: Refused, why: WhyQuota, scope: ScopeIP, code: "127.255.255.255"},
		{name: "127.255.255.252 is a wrong zone", reply: says("127.255.255.252"), want: Broken, why: WhyZone, scope: ScopeIP, code: "127.255.255.252"},
		{name: "127.255.255.254 is a public resolver", reply: says("127.255.255.254"), want: ResolverUnfit, why: WhyPublic, scope: ScopeIP, code: "127.255.255.254"},
		{name: "127.255.255.255 is too much", reply: says("127.255.255.255"), want: Refused, why: WhyQuota, scope: ScopeIP, code: "127.255.255.255"},
		{name: "127.255.255.250 is a disabled key", reply: says("127.255.255.250"), want: Refused, why: WhyKey, scope: ScopeIP, code: "127.255.255.250"},
		{name: "any other of 127.255.255.0/24 is an error, too", reply: says("127.255.255.7"), want: Refused, why: WhyError, scope: ScopeIP, code: "127.255.255.7"},
		{name: "an address outside 127/8 is no listing", reply: says("203.0.113.80"), want: Broken, why: WhyOutside, scope: ScopeIP, code: "203.0.113.80"},
		{name: "an address outside 127/8 spoils a listing", reply: says("127.0.0.2", "0.0.0.0"), want: Broken, why: WhyOutside, scope: ScopeIP, code: "0.0.0.0"},
		{name: "the list's own meaning of REFUSED", reply: dns.Reply{Rcode: dns.Refused}, want: Refused, why: WhyQuota, scope: ScopeIP},
		{name: "SERVFAIL", reply: dns.Reply{Rcode: dns.ServFail}, want: Broken, why: WhyServfail, scope: ScopeIP},
		{name: "NOTAUTH", reply: dns.Reply{Rcode: dns.NotAuth}, want: Refused, why: WhyRefused, scope: ScopeIP},
		{name: "FORMERR", reply: dns.Reply{Rcode: dns.FormErr}, want: Broken, why: WhyProtocol, scope: ScopeIP},
		{name: "a referral is lame", reply: dns.Reply{Referral: true}, want: Broken, why: WhyLame, scope: ScopeIP},
		{name: "an alias to a listing is a listing", reply: dns.Reply{Alias: true, Addrs: says("127.0.0.2").Addrs}, want: Listed, scope: ScopeIP, code: "127.0.0.2"},
		{name: "an alias to nothing is neither", reply: dns.Reply{Alias: true}, want: Broken, why: WhyAlias, scope: ScopeIP},
		{name: "an alias to a name that does not exist is neither", reply: dns.Reply{Alias: true, Rcode: dns.NXDomain}, want: Broken, why: WhyAlias, scope: ScopeIP},
		{name: "an alias to a page with advertisements is no listing", reply: dns.Reply{Alias: true, Addrs: says("198.51.100.7").Addrs}, want: Broken, why: WhyOutside, scope: ScopeIP, code: "198.51.100.7"},
		{name: "a reply that was cut off before its records says nothing", reply: dns.Reply{Truncated: true}, want: Broken, why: WhyProtocol, scope: ScopeIP},
		{name: "no reply", err: timeout, want: Timeout, why: WhyTimeout, scope: ScopeIP},
		{name: "nobody there", err: dns.TemporaryError("ask", "x", "no name server can be reached"), want: ResolverUnfit, why: WhyUnreachable, scope: ScopeIP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cat := mustParse(t, oneList)
			net := healthy(tt.reply)
			if tt.err != nil {
				net.errors = map[string]error{"5.2.0.192.bl.example": tt.err}
			}
			a := New(cat, net, Options{}).Ask(t.Context(), cat.Lists[0], Target{IP: netip.MustParseAddr("192.0.2.5")})
			code := ""
			if a.Code.IsValid() {
				code = a.Code.String()
			}
			if a.State != tt.want || a.Why != tt.why || a.Scope != tt.scope || code != tt.code {
				t.Errorf("%s %s %s %q, want %s %s %s %q", a.State, a.Why, a.Scope, code, tt.want, tt.why, tt.scope, tt.code)
			}
		})
	}
}

// Whatever the list says of the target, what it says of its test entries comes first.
func TestNoListIsBelievedThatFailsItsTest(t *testing.T) {
	world := says("127.0.0.2")
	page := says("203.0.113.80")
	tests := []struct {
		name  string
		net   *answers
		state State
		why   Why
	}{
		{"an emptied list does not say clean", &answers{}, Broken, WhyNoTestEntry},
		{"a list of the world does not say listed", &answers{always: &world, under: ".bl.example"}, Broken, WhyWorld},
		{"a list of the world that left the test entry out is found out", &answers{always: &world, under: ".bl.example", replies: map[string]dns.Reply{"1.0.0.127.bl.example": {Rcode: dns.NXDomain}}}, Broken, WhyWorld},
		{"a parked zone", &answers{always: &page}, ResolverUnfit, WhyRewritten},
		{"a parked zone behind a sound resolver", &answers{replies: map[string]dns.Reply{"2.0.0.127.bl.example": page, "1.0.0.127.bl.example": page, "5.2.0.192.bl.example": page}}, Broken, WhyOutside},
		{"a list that refuses", &answers{replies: map[string]dns.Reply{"2.0.0.127.bl.example": says("127.255.255.254")}}, ResolverUnfit, WhyPublic},
		{"a list that does not answer", &answers{errors: map[string]error{"2.0.0.127.bl.example": dns.TemporaryError("ask", "", "timeout")}}, Timeout, WhyTimeout},
		{"a list that answers the test and nothing else", &answers{replies: map[string]dns.Reply{"2.0.0.127.bl.example": says("127.0.0.2")}, errors: map[string]error{"1.0.0.127.bl.example": dns.TemporaryError("ask", "", "timeout")}}, Timeout, WhyTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cat := mustParse(t, oneList)
			a := New(cat, tt.net, Options{}).Ask(t.Context(), cat.Lists[0], Target{IP: netip.MustParseAddr("192.0.2.5")})
			if a.State != tt.state || a.Why != tt.why {
				t.Errorf("%s %s, want %s %s", a.State, a.Why, tt.state, tt.why)
			}
		})
	}
}

func TestEachKindOfTargetHasItsOwnTestEntries(t *testing.T) {
	cat := mustParse(t, oneList)
	v6 := "2.0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20) + "bl.example"
	net := &answers{replies: map[string]dns.Reply{
		v6: says("127.0.0.2"),
		"5.0.0.0." + strings.Repeat("0.", 20) + "8.b.d.0.1.0.0.2.bl.example": says("127.0.0.2"),
		"test.bl.example":        says("127.0.0.2"),
		"example.com.bl.example": says("127.0.0.3"),
	}}
	e := New(cat, net, Options{})
	for target, want := range map[string]State{"2001:db8::5": Listed, "2001:db8::6": Clean, "www.example.com": Listed, "example.net": Clean, "192.0.2.1": Broken} {
		tg, err := ParseTarget(target)
		if err != nil {
			t.Fatal(err)
		}
		if a := e.Ask(t.Context(), cat.Lists[0], tg); a.State != want {
			t.Errorf("%s: %s %s, want %s", target, a.State, a.Why, want)
		}
	}
	if a := e.Ask(t.Context(), cat.Lists[0], Target{Domain: "example.com"}); a.Scope != ScopeDomain {
		t.Errorf("a domain has scope %s", a.Scope)
	}
}

func TestAListIsTestedAgainWhenItsTestIsOld(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	cat := mustParse(t, oneList)
	net := healthy(says("127.0.0.2"))
	e := New(cat, net, Options{Now: func() time.Time { return now }})
	target := Target{IP: netip.MustParseAddr("192.0.2.5")}
	ask := func() State { return e.Ask(t.Context(), cat.Lists[0], target).State }
	for range 2 {
		if ask() != Listed {
			t.Fatal("not listed")
		}
	}
	if n := net.count("2.0.0.127.bl.example"); n != 1 {
		t.Errorf("tested %d times", n)
	}
	if n := net.count("5.2.0.192.bl.example"); n != 1 {
		t.Errorf("asked %d times: the TTL was not kept", n)
	}
	delete(net.replies, "2.0.0.127.bl.example") // the list is emptied
	delete(net.replies, "5.2.0.192.bl.example")
	now = now.Add(6 * time.Minute)
	if got := ask(); got != Clean { // within the hour it is still believed
		t.Errorf("%s", got)
	}
	now = now.Add(time.Hour)
	if got := ask(); got != Broken {
		t.Errorf("%s after the list was emptied", got)
	}
}

func TestARefusalStopsTheQuestionsToAList(t *testing.T) {
	cat := mustParse(t, oneList)
	net := healthy(says("127.255.255.255"))
	e := New(cat, net, Options{})
	for _, ip := range []string{"192.0.2.5", "192.0.2.6", "192.0.2.7"} {
		if a := e.Ask(t.Context(), cat.Lists[0], Target{IP: netip.MustParseAddr(ip)}); a.State != Refused {
			t.Errorf("%s: %s", ip, a.State)
		}
	}
	if net.count("6.2.0.192.bl.example")+net.count("7.2.0.192.bl.example") != 0 {
		t.Error("a list that refuses was asked on")
	}
}

func TestTheDailyBudgetEndsTheQuestions(t *testing.T) {
	cat := mustParse(t, strings.Replace(oneList, "[list.entries]", "[list.use]\ndaily = 5\n[list.entries]", 1))
	e := New(cat, healthy(dns.Reply{Rcode: dns.NXDomain}), Options{})
	states := map[State]int{}
	for i := range 10 {
		a := e.Ask(t.Context(), cat.Lists[0], Target{IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 10)})})
		states[a.State]++
		if a.State == Refused && a.Why != WhyBudget {
			t.Errorf("why %s", a.Why)
		}
	}
	if states[Clean] != 3 || states[Refused] != 7 { // two questions went into the test
		t.Errorf("%v", states)
	}
}

func TestTheKeyIsNeverShown(t *testing.T) {
	cat := mustParse(t, `
[[list]]
id = "spamhaus-zen"
zone = "zen.example"
keyed_zone = "{key}.zen.example.net"
[list.entries]
lists = ["ip4"]
[keys]
spamhaus = "sesame123"
`)
	l := cat.Lists[0]
	net := &answers{replies: map[string]dns.Reply{
		"2.0.0.127.sesame123.zen.example.net":     says("127.0.0.2"),
		"5.2.0.192.sesame123.zen.example.net":     says("127.0.0.2"),
		"5.2.0.192.sesame123.zen.example.net TXT": {Texts: []string{"see https://example.net/q/5.2.0.192.sesame123.zen"}},
	}}
	a := New(cat, net, Options{}).Ask(t.Context(), l, Target{IP: netip.MustParseAddr("192.0.2.5")})
	if a.State != Listed || l.Shown() != "***.zen.example.net" {
		t.Errorf("%s %s", a.State, l.Shown())
	}
	if a.Reason != "see https://example.net/q/5.2.0.192.***.zen" {
		t.Errorf("reason %q", a.Reason)
	}
}

func TestTheReasonIsFitForATerminal(t *testing.T) {
	cat := mustParse(t, oneList)
	net := healthy(says("127.0.0.2"))
	net.replies["5.2.0.192.bl.example TXT"] = dns.Reply{Texts: []string{"a\x1b[31mb\xff\n", strings.Repeat("é", 600)}}
	a := New(cat, net, Options{}).Ask(t.Context(), cat.Lists[0], Target{IP: netip.MustParseAddr("192.0.2.5")})
	if !strings.HasPrefix(a.Reason, "a [31mb?") || len([]rune(a.Reason)) != maxReason+1 || strings.ContainsAny(a.Reason, "\x1b\n") {
		t.Errorf("%q", a.Reason)
	}
}

func TestTheResolverIsTested(t *testing.T) {
	page := says("203.0.113.80")
	refused := dns.Reply{Rcode: dns.Refused}
	for name, tt := range map[string]struct {
		net  *answers
		want Fitness
	}{
		"a sound one":         {&answers{}, Fitness{State: Clean}},
		"one that rewrites":   {&answers{always: &page}, Fitness{State: ResolverUnfit, Why: WhyRewritten, Rewrites: true, With: netip.MustParseAddr("203.0.113.80")}},
		"one that refuses us": {&answers{always: &refused}, Fitness{State: ResolverUnfit, Why: WhyRefused}},
	} {
		now := time.Unix(1, 0)
		got := New(mustParse(t, oneList), tt.net, Options{Now: func() time.Time { return now }}).Resolver(t.Context())
		tt.want.At = now
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
