package route

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/mail"
)

// noon is when all cases play; the next UTC day begins 12 hours later.
var noon = time.Date(2019, 4, 16, 12, 0, 0, 0, time.UTC)

// paths is a View that is a map, by egress; every provider sees the same but where a key says "egress/provider".
type paths map[string]health.Path

func (p paths) Path(egress, provider string) health.Path {
	if path, ok := p[egress+"/"+provider]; ok {
		return path
	}
	return p[egress]
}

// worlds are the tables that the cases play in.
var worlds = map[string]struct {
	egresses []Egress
	pools    []Pool
}{
	// three ways for everybody
	"abc": {[]Egress{{Name: "a"}, {Name: "b"}, {Name: "c"}}, nil},
	// one way
	"lone": {[]Egress{{Name: "a"}}, nil},
	// limits of every kind
	"limits": {[]Egress{
		{Name: "gone", Disabled: true},
		{Name: "japan", Providers: []string{"Docomo", "softbank"}},
		{Name: "ours", SenderDomains: []string{"example.org", "*.Example.net."}},
		{Name: "any", Providers: []string{"google", "*"}},
	}, nil},
	// budgets
	"budget": {[]Egress{{Name: "a", WarmUp: 100}, {Name: "b", WarmUp: 100, BulkShare: 10}, {Name: "c", WarmUp: 10, BulkShare: 100}}, nil},
	"young":  {[]Egress{{Name: "a", WarmUp: 100}, {Name: "b"}}, nil},
	// pools by account and by sender
	"pools": {[]Egress{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "f"}, {Name: "g"}}, []Pool{
		{Name: "default", Egresses: []int{0, 1}},
		{Name: "exact", Egresses: []int{1, 0}, Senders: []string{"news.example.org"}},
		{Name: "below", Egresses: []int{2, 0}, Senders: []string{"*.example.org"}},
		{Name: "deeper", Egresses: []int{3, 0}, Senders: []string{"*.deep.example.org"}},
		{Name: "shop", Egresses: []int{4, 0}, Accounts: []string{"shop"}},
		{Name: "shop-news", Egresses: []int{5, 0}, Accounts: []string{"shop"}, Senders: []string{"news.example.org"}},
		{Name: "shop-below", Egresses: []int{6}, Accounts: []string{"shop"}, Senders: []string{"*.shop.example"}},
	}},
	// a pool whose order is not that of the egresses
	"backwards": {[]Egress{{Name: "a"}, {Name: "b"}, {Name: "c"}}, []Pool{{Name: "p", Egresses: []int{2, 0, 1}, Senders: []string{"*"}}}},
}

// choice is one line of the table.
//
//	ask  words of the request: tried=a,b unfit=c bulk noprobe dice=0.5 to=google from=example.org account=shop; mode=observe
//	view what is wrong, path by path: "a blocked probe=5m; b suspect; c slow=30s for=2m; a recovering share=1/16 next=5m; a sent=100; a pinned"
//	want "send a preferred", "probe a probe", "hold 5m hold_blocked", "slow 30s slow", "none not_fit"; in observe mode with "would=b"
type choice struct{ name, world, ask, view, want string }

var choices = []choice{
	// all is well
	{"the preferred way is used when all are open", "abc", "", "", "send a preferred"},
	{"bulk mail takes the preferred way too", "abc", "bulk", "", "send a preferred"},
	{"trouble of the detours is no matter while the preferred way is open", "abc", "", "b blocked; c suspect", "send a preferred"},
	{"a due probe of a detour is no matter while the preferred way is open", "abc", "", "b blocked probe=-1h", "send a preferred"},
	{"trouble with one provider is no trouble with another", "abc", "to=yahoo", "a/google blocked probe=5m", "send a preferred"},
	{"the pool gives the order, not the list of egresses", "backwards", "", "", "send c preferred"},
	{"the pool gives the order of the detours too", "backwards", "", "c blocked probe=5m", "send a detour_blocked"},
	{"one way is enough", "lone", "", "", "send a preferred"},

	// suspect
	{"a suspect preferred way is used", "abc", "", "a suspect", "send a suspect"},
	{"a suspect preferred way is used though a healthy detour stands ready", "abc", "bulk", "a suspect; b suspect", "send a suspect"},
	{"a healthy detour is taken before a suspect one, whatever their order", "abc", "", "a blocked probe=5m; b suspect", "send c detour_blocked"},
	{"a suspect detour is taken when there is no better one", "abc", "", "a blocked probe=5m; b suspect; c blocked probe=5m", "send b detour_blocked"},
	{"the first of two suspect detours is taken", "abc", "", "a blocked probe=5m; b suspect; c suspect", "send b detour_blocked"},

	// the same attempt
	{"a message refused by the preferred way takes the detour at once", "abc", "tried=a", "a suspect", "send b detour_refused"},
	{"refused by two ways it takes the third", "abc", "tried=a,b", "a suspect; b suspect", "send c detour_refused"},
	{"refused by a healthy way it takes the detour as well", "abc", "tried=a", "", "send b detour_refused"},
	{"refused by a detour, the preferred way being shut, it takes the next", "abc", "tried=b", "a blocked probe=5m; b suspect", "send c detour_blocked"},
	{"refused by a detour it may go back to an open preferred way", "abc", "tried=b", "", "send a preferred"},
	{"refused by every way it is kept, not bounced", "abc", "tried=a,b,c", "a suspect; b suspect; c suspect", "hold 5m hold_refused"},
	{"refused by every way it is tried again when the first probe is due", "abc", "tried=a,b,c", "a blocked probe=3m; b blocked probe=2m; c suspect", "hold 2m hold_refused"},
	{"refused by the only way it is kept", "lone", "tried=a", "a suspect", "hold 5m hold_refused"},
	{"refused by the only way, which is shut now, it waits for the probe", "lone", "tried=a", "a blocked probe=1m", "hold 1m hold_refused"},
	{"refused by all but ways that are shut, it waits for those", "abc", "tried=a", "a suspect; b blocked probe=20m; c blocked probe=10m", "hold 5m hold_blocked"},
	{"a message that was refused in this attempt is no probe", "abc", "tried=a", "a suspect; b blocked probe=-1m", "send c detour_refused"},
	{"nor is it when nothing else is left", "abc", "tried=a", "a suspect; b blocked probe=-1m; c blocked probe=10m", "hold 1m hold_blocked"},
	{"a way that must not be tried again is not the detour", "abc", "tried=b", "a blocked probe=5m", "send c detour_blocked"},

	// blocked, and probes
	{"a blocked preferred way is left alone until its probe is due", "abc", "", "a blocked probe=1s", "send b detour_blocked"},
	{"bulk mail takes a detour from a blocked way", "abc", "bulk", "a blocked probe=5m", "send b detour_blocked"},
	{"a due probe goes out over the preferred way, with the detour behind it", "abc", "", "a blocked probe=0s", "probe a probe"},
	{"an overdue probe goes out", "abc", "", "a blocked probe=-3h", "probe a probe"},
	{"a probe that was not granted leaves the detour", "abc", "noprobe", "a blocked probe=-1m", "send b detour_blocked"},
	{"a suspect detour is good enough behind a probe", "abc", "", "a blocked probe=-1m; b suspect; c blocked probe=9m", "probe a probe"},
	{"while a probe is on its way, the others take the detour", "abc", "", "a probing probe=14m", "send b detour_blocked"},
	{"the second probe goes out when it is due", "abc", "", "a probing probe=0s", "probe a probe"},
	{"a probe that was given up is followed by another", "abc", "", "a probing probe=-1s", "probe a probe"},
	{"bulk mail leaves a due probe to better mail", "abc", "bulk", "a blocked probe=-9m", "send b detour_blocked"},
	{"bulk mail probes when no better mail came for ten minutes", "abc", "bulk", "a blocked probe=-10m", "probe a probe"},
	{"no probe goes out during a pause that the provider asked for", "abc", "", "a blocked probe=-1m slow=1m for=1m", "send b detour_blocked"},
	{"a way blocked by hand is never probed", "abc", "", "a blocked pinned probe=-1m", "send b detour_blocked"},
	{"a way blocked by hand without end is never probed", "abc", "", "a blocked pinned", "send b detour_blocked"},
	{"a shut detour before the open one is probed when the preferred way is not due", "abc", "", "a blocked probe=5m; b blocked probe=-1m", "probe b probe"},
	{"the preferred way is probed before a detour", "abc", "", "a blocked probe=-1m; b blocked probe=-9m", "probe a probe"},
	{"a shut detour behind the open one is not probed", "abc", "", "a blocked probe=5m; c blocked probe=-1m", "send b detour_blocked"},

	// recovering
	{"a message in the share of a recovering way takes it", "abc", "dice=0.06", "a recovering share=1/16", "send a recovering"},
	{"a message outside the share takes the detour", "abc", "dice=0.07", "a recovering share=1/16", "send b detour_share"},
	{"half of the mail at the last step", "abc", "dice=0.49", "a recovering share=1/2", "send a recovering"},
	{"the other half", "abc", "dice=0.51", "a recovering share=1/2", "send b detour_share"},
	{"outside the share a suspect detour is better than a relapse", "abc", "dice=0.9", "a recovering share=1/16; b suspect; c blocked probe=5m", "send b detour_share"},
	{"a recovering detour carries its share", "abc", "dice=0.01", "a blocked probe=5m; b recovering share=1/16", "send b detour_blocked"},
	{"a recovering detour is passed over beyond its share", "abc", "dice=0.9", "a blocked probe=5m; b recovering share=1/16", "send c detour_blocked"},
	{"beyond its share a recovering way is better than waiting", "abc", "dice=0.9", "a recovering share=1/16 next=5m; b blocked probe=5m; c blocked probe=5m", "send a recovering_only"},
	{"a recovering detour beyond its share is better than waiting", "abc", "dice=0.9", "a blocked probe=5m; b blocked probe=5m; c recovering share=1/16 next=5m", "send c recovering_only"},
	{"a recovering way is better than a probe without a detour", "abc", "dice=0.9", "a blocked probe=-5m; b blocked probe=5m; c recovering share=1/16 next=5m", "send c recovering_only"},
	{"bulk mail beyond the share waits until it grows", "lone", "bulk dice=0", "a recovering share=0 next=8m", "hold 8m hold_share"},
	{"bulk mail beyond the share takes an open detour", "abc", "bulk dice=0.9", "a recovering share=1/16 next=5m", "send b detour_share"},
	{"bulk mail beyond the share does not wait longer than for the next probe", "abc", "bulk dice=0", "a recovering share=0 next=8m; b blocked probe=2m; c blocked probe=3m", "hold 2m hold_share"},

	// everything shut
	{"when every way is shut, mail is held until the first probe", "abc", "", "a blocked probe=5m; b blocked probe=3m; c blocked probe=4m", "hold 3m hold_blocked"},
	{"when every way is shut and a probe is due, this message is it", "abc", "", "a blocked probe=5m; b blocked probe=-3m; c blocked probe=4m", "probe b probe_alone"},
	{"the only way is probed without a detour", "lone", "", "a blocked probe=0s", "probe a probe_alone"},
	{"the only way is not probed twice at a time", "lone", "", "a probing probe=14m", "hold 1m hold_blocked"},
	{"between two probes of the only way, mail waits for the second", "lone", "", "a probing probe=10s", "hold 10s hold_blocked"},
	{"one probe is enough when every way is shut", "abc", "", "a blocked probe=-1m; b probing probe=14m; c blocked probe=9m", "hold 1m hold_blocked"},
	{"with every way shut and no grant, mail looks again soon", "abc", "noprobe", "a blocked probe=-1m; b blocked probe=20m; c blocked probe=9m", "hold 1m hold_blocked"},
	{"bulk mail is held while better mail may probe", "lone", "bulk", "a blocked probe=-5m", "hold 1m hold_blocked"},
	{"bulk mail probes alone when nobody else came", "lone", "bulk", "a blocked probe=-11m", "probe a probe_alone"},
	{"a way blocked by hand opens with its pin", "lone", "", "a blocked pinned probe=20m", "hold 20m hold_blocked"},
	{"a way blocked by hand without end is looked at every hour", "lone", "", "a blocked pinned", "hold 1h hold_blocked"},
	{"nobody is held for more than an hour at a time", "lone", "", "a blocked pinned probe=72h", "hold 1h hold_blocked"},
	{"a pin that ran out a moment ago is looked at soon", "lone", "", "a blocked pinned probe=-1s", "hold 1m hold_blocked"},
	{"with every way shut, a pause puts the probe off", "lone", "", "a blocked probe=-1m slow=4m for=4m", "hold 4m hold_blocked"},
	{"the dice spread the returns over an eighth of the wait", "lone", "dice=0.5", "a blocked probe=8m", "hold 8m30s hold_blocked"},
	{"and over two minutes at most", "lone", "dice=0.5", "a blocked pinned", "hold 1h1m hold_blocked"},

	// rate limits
	{"a pause is waited for, though a detour is open", "abc", "", "a slow=30s for=30s", "slow 30s slow"},
	{"bulk mail waits for a pause", "abc", "bulk", "a slow=30s for=30s", "slow 30s slow"},
	{"a pause that is over is no matter", "abc", "", "a slow=-1s for=15m", "send a preferred"},
	{"a pause that has grown long is dodged", "abc", "", "a slow=9m for=15m", "send b detour_slow"},
	{"a long pause is dodged to its end", "abc", "", "a slow=1s for=10m", "send b detour_slow"},
	{"bulk mail does not dodge even a long pause", "abc", "bulk", "a slow=9m for=15m", "slow 9m slow"},
	{"a long pause is waited for where there is no detour", "lone", "", "a slow=9m for=15m", "slow 9m slow"},
	{"a paced suspect way waits", "abc", "", "a suspect slow=1m for=1m", "slow 1m slow"},
	{"a paced recovering way waits", "abc", "", "a recovering share=1/16 slow=1m for=1m", "slow 1m slow"},
	{"a paced detour is passed over", "abc", "", "a blocked probe=5m; b slow=1m for=1m", "send c detour_blocked"},
	{"the only open way being a paced detour, mail waits for it", "abc", "", "a blocked probe=5m; b slow=1m for=1m; c blocked probe=5m", "slow 1m slow"},
	{"refused by the preferred way, it waits for a paced detour", "abc", "tried=a", "a suspect; b slow=1m for=1m; c slow=2m for=2m", "slow 1m slow"},
	{"a due probe is better than waiting for a paced detour", "abc", "", "a blocked probe=-1m; b slow=1m for=1m; c slow=1m for=1m", "probe a probe_alone"},
	{"the dice spread a pause too", "abc", "dice=0.5", "a slow=80s for=80s", "slow 1m25s slow"},

	// warm-up budgets
	{"a budget with room is no matter", "budget", "", "a sent=99", "send a preferred"},
	{"a budget used up sends mail to the next", "budget", "", "a sent=100", "send b detour_warm_up"},
	{"bulk mail may use half of a budget", "budget", "bulk", "a sent=49", "send a preferred"},
	{"bulk mail beyond half takes the next way", "budget", "bulk", "a sent=50", "send b detour_warm_up"},
	{"other mail uses the rest", "budget", "", "a sent=50", "send a preferred"},
	{"the share of bulk mail can be set", "budget", "bulk", "a sent=50; b sent=10", "send c detour_warm_up"},
	{"the share of bulk mail can be everything", "budget", "bulk", "a sent=50; b sent=10; c sent=9", "send c detour_warm_up"},
	{"with all budgets used up mail waits for the next day", "budget", "", "a sent=100; b sent=100; c sent=10", "slow 12h warm_up"},
	{"bulk mail waits for the next day where other mail goes", "budget", "bulk", "a sent=50; b sent=10; c sent=10", "slow 12h warm_up"},
	{"a blocked way is not forgotten while budgets are used up", "young", "bulk", "a sent=50; b blocked probe=7m", "slow 7m warm_up"},
	{"the budget of a detour is spared for better mail", "budget", "bulk", "a blocked probe=3m; b sent=10; c sent=10", "slow 3m warm_up"},
	{"better mail takes what bulk mail left", "budget", "", "a blocked probe=3m; b sent=10; c sent=10", "send b detour_blocked"},
	{"a probe needs no budget", "budget", "", "a blocked probe=-1m sent=100", "probe a probe"},
	{"an egress without a budget has no end", "young", "bulk", "a sent=50; b sent=1000000", "send b detour_warm_up"},

	// who may use what
	{"a disabled egress is never used", "limits", "from=example.com", "any blocked probe=5m", "hold 5m hold_blocked"},
	{"the first eligible egress is the preferred one, not a detour", "limits", "from=example.com", "", "send any preferred"},
	{"an egress for some providers is for those", "limits", "to=docomo", "", "send japan preferred"},
	{"an egress for some providers is for no others", "limits", "to=google from=example.org", "", "send ours preferred"},
	{"an egress for a sender domain is not for its subdomains", "limits", "from=mail.example.org", "", "send any preferred"},
	{"an egress for subdomains is for those", "limits", "from=a.b.example.net", "", "send ours preferred"},
	{"an egress for subdomains is not for the domain itself", "limits", "from=example.net", "", "send any preferred"},
	{"an egress for subdomains is not for a longer name", "limits", "from=badexample.net", "", "send any preferred"},
	{"a bounce without a From domain takes what is for everybody", "limits", "from=", "", "send any preferred"},
	{"a star among providers means all", "limits", "to=somebody.example from=example.com", "", "send any preferred"},
	{"an egress that would fail authentication is passed over", "abc", "unfit=a", "", "send b preferred"},
	{"a detour that would fail authentication is passed over", "abc", "unfit=b", "a blocked probe=5m", "send c detour_blocked"},
	{"mail that fits nowhere is not sent", "abc", "unfit=a,b,c", "", "none not_fit"},
	{"mail whose fitting ways are shut waits, rather than fail authentication", "abc", "unfit=b,c", "a blocked probe=5m", "hold 5m hold_blocked"},
	{"a probe needs no fitting detour when nothing else fits", "abc", "unfit=b,c", "a blocked probe=-5m", "probe a probe_alone"},
	{"mail that no egress accepts is not sent", "limits", "unfit=any from=example.com", "", "none not_fit"},

	// pools
	{"an unknown sender uses the default pool", "pools", "from=example.com", "", "send a preferred"},
	{"the domain itself is not below itself", "pools", "from=example.org", "", "send a preferred"},
	{"a whole domain goes before a pattern", "pools", "from=news.example.org", "", "send b preferred"},
	{"a pattern covers subdomains", "pools", "from=x.example.org", "", "send c preferred"},
	{"a pattern covers subdomains of subdomains", "pools", "from=y.x.example.org", "", "send c preferred"},
	{"a longer pattern goes before a shorter one", "pools", "from=x.deep.example.org", "", "send d preferred"},
	{"what is only similar is not below", "pools", "from=badexample.org", "", "send a preferred"},
	{"an account has its pool", "pools", "account=shop from=example.com", "", "send e preferred"},
	{"an account goes before a sender", "pools", "account=shop from=x.example.org", "", "send e preferred"},
	{"an account with a sender goes before the account alone", "pools", "account=shop from=news.example.org", "", "send f preferred"},
	{"an account with a pattern goes before the account alone", "pools", "account=shop from=x.shop.example", "", "send g preferred"},
	{"another account uses what is for the sender", "pools", "account=other from=news.example.org", "", "send b preferred"},
	{"ways outside the pool are no detours", "pools", "account=shop from=x.shop.example", "g blocked probe=5m", "hold 5m hold_blocked"},
	{"a pool with a star is for everybody", "backwards", "account=x from=y.example", "", "send c preferred"},

	// observe mode
	{"observe: the preferred way, as in act mode", "abc", "mode=observe", "", "send a preferred would=a"},
	{"observe: a blocked way is used, and the detour recorded", "abc", "mode=observe", "a blocked probe=5m", "send a detour_blocked would=b"},
	{"observe: a due probe is a probe, for the message goes there anyway", "abc", "mode=observe", "a blocked probe=-1m", "probe a probe would=a"},
	{"observe: a due probe of the only way too", "lone", "mode=observe", "a blocked probe=-1m", "probe a probe_alone would=a"},
	{"observe: the probe of another way is only recorded", "abc", "mode=observe", "a blocked probe=5m; b blocked probe=-1m", "send a probe would=b"},
	{"observe: nothing is held", "abc", "mode=observe", "a blocked probe=5m; b blocked probe=5m; c blocked probe=5m", "send a hold_blocked would=-"},
	{"observe: a refused message is left to its verdict", "abc", "mode=observe tried=a", "a suspect", "none observe would=b"},
	{"observe: refused by the only way", "lone", "mode=observe tried=a", "a suspect", "none observe would=-"},
	{"observe: a share is not kept", "abc", "mode=observe dice=0.9", "a recovering share=1/16", "send a detour_share would=b"},
	{"observe: a budget is not kept", "young", "mode=observe", "a sent=1000", "send a detour_warm_up would=b"},
	{"observe: a pause is kept, as by any mail server", "abc", "mode=observe", "a slow=30s for=30s", "slow 30s slow would=-"},
	{"observe: a long pause is not dodged", "abc", "mode=observe", "a slow=9m for=15m", "send a detour_slow would=b"},
	{"observe: the first eligible way is the preferred one", "abc", "mode=observe unfit=a", "b blocked probe=5m", "send b detour_blocked would=c"},
	{"observe: mail that fits nowhere is not sent", "abc", "mode=observe unfit=a,b,c", "", "none not_fit would=-"},
}

func TestChoose(t *testing.T) {
	if len(choices) < 80 {
		t.Fatalf("%d cases", len(choices))
	}
	names := make(map[string]bool)
	for _, c := range choices {
		if names[c.name] {
			t.Fatalf("two cases are named %q", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			table, req := c.setup(t)
			d := table.Choose(req, parseView(t, c.view), noon)
			if got := render(table, &d); got != c.want {
				t.Errorf("\nworld %s, ask %q, view %q:\ngot  %s\nwant %s", c.world, c.ask, c.view, got, c.want)
			}
			checkDecision(t, table, req, &d)
		})
	}
}

// render writes a decision as the table does.
func render(table *Table, d *Decision) string {
	name := func(i int) string {
		if i < 0 {
			return "-"
		}
		return table.Egresses[i].Name
	}
	out := d.Kind.String()
	switch {
	case d.Probe:
		out = "probe " + name(d.Egress)
	case d.Kind == Send:
		out += " " + name(d.Egress)
	case d.Kind != None:
		out += " " + short(d.Until.Sub(noon))
	}
	out += " " + strings.TrimPrefix(string(d.Reason), "route.why.")
	if table.Mode == Observe {
		out += " would=" + name(d.Would)
	}
	return out
}

func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// checkDecision holds for every decision.
func checkDecision(t failer, table *Table, req *Request, d *Decision) {
	t.Helper()
	switch {
	case (d.Kind == Send) != (d.Egress >= 0):
		t.Errorf("%s with egress %d", d.Kind, d.Egress)
	case (d.Kind == Hold || d.Kind == Slow) != !d.Until.IsZero():
		t.Errorf("%s until %v", d.Kind, d.Until)
	case d.Kind != Send && (d.Probe || d.Detour):
		t.Errorf("%s, probe %v, detour %v", d.Kind, d.Probe, d.Detour)
	case d.Kind == Send && d.Detour != (d.Egress != d.Preferred):
		t.Errorf("egress %d, preferred %d, detour %v", d.Egress, d.Preferred, d.Detour)
	case table.Mode == Act && d.Would != d.Egress:
		t.Errorf("egress %d, would %d in act mode", d.Egress, d.Would)
	case table.Mode == Observe && d.Detour:
		t.Errorf("a detour in observe mode")
	case d.Egress >= 0 && (req.Tried|req.Unfit)&(1<<d.Egress) != 0:
		t.Errorf("egress %d, tried %b, unfit %b", d.Egress, req.Tried, req.Unfit)
	case !d.Until.IsZero() && !d.Until.After(noon):
		t.Errorf("until %v, which has passed", d.Until)
	case d.Reason == "":
		t.Errorf("no reason")
	}
}

func (c *choice) setup(t testing.TB) (*Table, *Request) {
	t.Helper()
	w, ok := worlds[c.world]
	if !ok {
		t.Fatalf("no world %q", c.world)
	}
	o := Options{Mode: Act}
	req := &Request{Provider: "google", Sender: "example.org"}
	bits := func(v string) (b uint64) {
		for name := range strings.SplitSeq(v, ",") {
			found := false
			for i := range w.egresses {
				if w.egresses[i].Name == name {
					b |= 1 << i
					found = true
				}
			}
			if !found {
				t.Fatalf("no egress %q in %q", name, c.ask)
			}
		}
		return b
	}
	for word := range strings.FieldsSeq(c.ask) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "tried":
			req.Tried = bits(value)
		case "unfit":
			req.Unfit = bits(value)
		case "bulk":
			req.Class = mail.Bulk
		case "noprobe":
			req.NoProbe = true
		case "dice":
			req.Dice = uint32(number(t, value) * (1 << 32))
		case "to":
			req.Provider = value
		case "from":
			req.Sender = value
		case "account":
			req.Account = value
		case "mode":
			o.Mode = Observe
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	table, err := NewTable(w.egresses, w.pools, o)
	if err != nil {
		t.Fatal(err)
	}
	return table, req
}

func number(t testing.TB, s string) float64 {
	t.Helper()
	above, below, quotient := strings.Cut(s, "/")
	x, err := strconv.ParseFloat(above, 64)
	if err == nil && quotient {
		var y float64
		y, err = strconv.ParseFloat(below, 64)
		x /= y
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func parseView(t testing.TB, text string) paths {
	t.Helper()
	all := make(paths)
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		var p health.Path
		for _, word := range words[1:] {
			parseWord(t, &p, word)
		}
		all[words[0]] = p
	}
	return all
}

func parseWord(t testing.TB, p *health.Path, word string) {
	t.Helper()
	key, value, given := strings.Cut(word, "=")
	if !given && key != "pinned" {
		if err := p.State.UnmarshalText([]byte(key)); err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		return
	}
	moment := func() time.Duration {
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	switch key {
	case "pinned":
		p.Pinned = true
	case "probe":
		p.ProbeAt = noon.Add(moment())
	case "slow":
		p.Slow = noon.Add(moment())
	case "for":
		p.SlowFor = moment()
	case "next":
		p.ShareAt = noon.Add(moment())
	case "share":
		p.Share = uint32(number(t, value) * (1 << 32))
	case "sent":
		p.Sent = int(number(t, value))
	default:
		t.Fatalf("unknown word %q", word)
	}
}

func TestTheLimitsOfATableCanBeSet(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		view string
		want string
	}{
		"long pauses are never dodged":          {Options{SlowDetour: -1}, "a slow=1m for=15h", "slow 1m slow"},
		"every pause is dodged":                 {Options{SlowDetour: time.Nanosecond}, "a slow=1m for=1m", "send b detour_slow"},
		"held mail is looked at every minute":   {Options{HoldMax: time.Minute}, "a blocked probe=5m; b blocked probe=5m", "hold 1m hold_blocked"},
		"the pace of a provider is not held up": {Options{HoldMax: time.Second}, "a slow=1m for=1m", "slow 1m slow"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Mode = Act
			table, err := NewTable([]Egress{{Name: "a"}, {Name: "b"}}, nil, c.o)
			if err != nil {
				t.Fatal(err)
			}
			d := table.Choose(&Request{Provider: "google"}, parseView(t, c.view), noon)
			if got := render(table, &d); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	table, err := NewTable([]Egress{{Name: "a"}}, nil, Options{Mode: Act, Retry: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if d := table.Choose(&Request{Tried: 1}, paths{}, noon); !d.Until.Equal(noon.Add(time.Second)) {
		t.Errorf("retry at %v", d.Until.Sub(noon))
	}
}

func TestAViewThatIsBehindNeverMakesMailWaitForThePast(t *testing.T) {
	for _, view := range []string{"a recovering share=0 next=-1m", "a blocked pinned probe=-5m", "a blocked probe=-1h"} {
		table, err := NewTable([]Egress{{Name: "a"}}, nil, Options{Mode: Act})
		if err != nil {
			t.Fatal(err)
		}
		d := table.Choose(&Request{Class: mail.Bulk, NoProbe: true, Dice: 1<<32 - 1}, parseView(t, view), noon)
		if wait := d.Until.Sub(noon); d.Kind != Hold || wait < time.Minute || wait > 2*time.Minute {
			t.Errorf("%s: %s for %v", view, d.Kind, wait)
		}
	}
}

func TestKindsAndModesHaveNames(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{"send": Send, "hold": Hold, "slow": Slow, "none": None, "unknown": Kind(9), "act": Act, "observe": Observe} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if b, err := Slow.MarshalText(); err != nil || string(b) != "slow" {
		t.Errorf("%s, %v", b, err)
	}
}
