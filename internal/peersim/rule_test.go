package peersim

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// ask judges an attempt by one script.
func ask(t *testing.T, s *script, a attempt) string {
	t.Helper()
	if !a.source.IsValid() {
		a.source = netip.MustParseAddr("127.0.0.2")
	}
	d := s.judge(&a)
	switch {
	case d.drop:
		return "drop"
	case d.reply != nil:
		return d.rule.Name
	case d.delay > 0:
		return "wait " + d.delay.String()
	}
	return "ok"
}

func to(addrs ...string) []rcpt {
	var all []rcpt
	for _, a := range addrs {
		all = append(all, rcpt{addr: a})
	}
	return all
}

func TestRulesMatch(t *testing.T) {
	refuse := func(m Match) []Rule { return []Rule{{Name: "no", Match: m, Reply: "550 no"}} }
	net1 := []netip.Prefix{netip.MustParsePrefix("127.0.1.0/24")}
	src1 := netip.MustParseAddr("127.0.1.7")
	for _, c := range []struct {
		name string
		m    Match
		a    attempt
		want string
	}{
		{"by phase", Match{Phase: Ehlo}, attempt{phase: Ehlo}, "no"},
		{"not in another phase", Match{Phase: Ehlo}, attempt{phase: MailFrom}, "ok"},
		{"by source", Match{Phase: Greeting, Sources: net1}, attempt{phase: Greeting, source: src1}, "no"},
		{"not from elsewhere", Match{Phase: Greeting, Sources: net1}, attempt{phase: Greeting}, "ok"},
		{"by the source that is shown", Match{Phase: Greeting, Sources: net1}, attempt{phase: Greeting, shown: src1}, "no"},
		{"by recipient domain, at RCPT", Match{To: []string{"Example.com"}}, attempt{phase: RcptTo, rcpts: to("a@EXAMPLE.com")}, "no"},
		{"the last recipient at RCPT", Match{To: []string{"example.com"}}, attempt{phase: RcptTo, rcpts: to("a@example.com", "a@example.net")}, "ok"},
		{"any recipient at the end", Match{Phase: EndOfData, To: []string{"example.com"}}, attempt{phase: EndOfData, rcpts: to("a@example.com", "a@example.net")}, "no"},
		{"no recipient yet", Match{Phase: EndOfData, To: []string{"example.com"}}, attempt{phase: EndOfData}, "ok"},
		{"by subdomain", Match{To: []string{"*.example.com"}}, attempt{phase: RcptTo, rcpts: to("a@b.example.com")}, "no"},
		{"the domain is no subdomain of itself", Match{To: []string{"*.example.com"}}, attempt{phase: RcptTo, rcpts: to("a@example.com")}, "ok"},
		{"by user", Match{To: []string{"nobody*@example.com"}}, attempt{phase: RcptTo, rcpts: to("Nobody7@example.com")}, "no"},
		{"another user", Match{To: []string{"nobody*@example.com"}}, attempt{phase: RcptTo, rcpts: to("some@example.com")}, "ok"},
		{"a user anywhere", Match{To: []string{"nobody@*"}}, attempt{phase: RcptTo, rcpts: to("nobody@example.net")}, "no"},
		{"everybody", Match{To: []string{"*"}}, attempt{phase: RcptTo, rcpts: to("x@example.net")}, "no"},
		{"by sender, at MAIL", Match{From: []string{"shop.example"}}, attempt{phase: MailFrom, from: "a@shop.example"}, "no"},
		{"a bounce", Match{From: []string{"<>"}}, attempt{phase: MailFrom}, "no"},
		{"no bounce", Match{From: []string{"<>"}}, attempt{phase: MailFrom, from: "a@shop.example"}, "ok"},
		{"a bounce has no domain", Match{From: []string{"shop.example"}}, attempt{phase: MailFrom}, "ok"},
		{"by content, at the end", Match{Contains: "XJS*C4JDBQ"}, attempt{phase: EndOfData, content: []byte("a XJS*C4JDBQ b")}, "no"},
		{"clean content", Match{Contains: "XJS*C4JDBQ"}, attempt{phase: EndOfData, content: []byte("a b")}, "ok"},
		{"before its time", Match{Phase: Ehlo, After: time.Minute}, attempt{phase: Ehlo, now: 59 * time.Second}, "ok"},
		{"in its time", Match{Phase: Ehlo, After: time.Minute, Until: time.Hour}, attempt{phase: Ehlo, now: time.Minute}, "no"},
		{"after its time", Match{Phase: Ehlo, After: time.Minute, Until: time.Hour}, attempt{phase: Ehlo, now: time.Hour}, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := compile(refuse(c.m), 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, s, c.a); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRulesThatCount(t *testing.T) {
	s, err := compile([]Rule{
		{Name: "first", Match: Match{Phase: Ehlo, First: 2}, Reply: "421 a"},
		{Name: "third", Match: Match{Phase: Ehlo, Every: 3}, Reply: "421 b"},
		{Name: "rate", Match: Match{Phase: MailFrom, Over: 2}, Reply: "421 c"},
		{Name: "luck", Match: Match{Phase: Data, Chance: 0.25}, Reply: "421 d"},
	}, 42)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 8 {
		got = append(got, ask(t, s, attempt{phase: Ehlo}))
	}
	if want := []string{"first", "first", "ok", "ok", "third", "ok", "ok", "third"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = nil
	for _, at := range []float64{0, 0.1, 0.2, 0.4, 0.9, 0.95, 5, 5, 5} {
		got = append(got, ask(t, s, attempt{phase: MailFrom, now: time.Duration(at * float64(time.Second))}))
	}
	if want := []string{"ok", "ok", "rate", "rate", "ok", "rate", "ok", "ok", "rate"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if r := ask(t, s, attempt{phase: MailFrom, now: 5 * time.Second, source: netip.MustParseAddr("127.0.0.3")}); r != "ok" {
		t.Errorf("the rate of one source counts for another: %s", r)
	}
	n := 0
	for range 4000 {
		if ask(t, s, attempt{phase: Data}) == "luck" {
			n++
		}
	}
	if n < 850 || n > 1150 {
		t.Errorf("one in four was %d of 4000", n)
	}
}

func TestActions(t *testing.T) {
	s, err := compile([]Rule{
		{Name: "slow", Action: Tarpit, Delay: time.Second},
		{Name: "slower", Match: Match{Phase: RcptTo}, Action: Tarpit, Delay: time.Minute},
		{Name: "friend", Match: Match{From: []string{"friend.example"}, Phase: RcptTo}, Action: Accept},
		{Name: "grey", Action: Greylist, Delay: 5 * time.Minute},
		{Name: "bye", Match: Match{Phase: Data}, Action: Drop},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a    attempt
		want string
	}{
		{attempt{phase: Greeting}, "wait 1s"},
		{attempt{phase: RcptTo, from: "a@friend.example", rcpts: to("x@example.com")}, "wait 1m1s"},
		{attempt{phase: RcptTo, from: "a@b.example", rcpts: to("x@example.com")}, "grey"},
		{attempt{phase: RcptTo, from: "a@b.example", rcpts: to("x@example.com"), now: 4 * time.Minute}, "grey"},
		{attempt{phase: RcptTo, from: "a@b.example", rcpts: to("y@example.com"), now: 5 * time.Minute}, "grey"},
		{attempt{phase: RcptTo, from: "a@b.example", rcpts: to("x@example.com"), now: 5 * time.Minute}, "wait 1m1s"},
		{attempt{phase: Data}, "drop"},
	} {
		if got := ask(t, s, c.a); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.a, got, c.want)
		}
	}
}

func TestRulesThatMakeNoSense(t *testing.T) {
	for name, r := range map[string]Rule{
		"no name":                {Match: Match{Phase: Ehlo}, Reply: "550 x"},
		"no phase":               {Name: "x", Reply: "550 x"},
		"no reply":               {Name: "x", Match: Match{Phase: Ehlo}},
		"an unknown canned one":  {Name: "x", Match: Match{Phase: Ehlo}, Reply: "gogle-ip"},
		"a reply that says yes":  {Name: "x", Match: Match{Phase: Ehlo}, Reply: "250 ok"},
		"an unknown action":      {Name: "x", Match: Match{Phase: Ehlo}, Action: "explode"},
		"an empty window":        {Name: "x", Match: Match{Phase: Ehlo, After: 2, Until: 1}, Action: Drop},
		"recipients at MAIL":     {Name: "x", Match: Match{Phase: MailFrom, To: []string{"a"}}, Action: Drop},
		"senders at EHLO":        {Name: "x", Match: Match{Phase: Ehlo, From: []string{"a"}}, Action: Drop},
		"content at RCPT":        {Name: "x", Match: Match{Phase: RcptTo, Contains: "a"}, Action: Drop},
		"an empty pattern":       {Name: "x", Match: Match{To: []string{""}}, Action: Drop},
		"a broken pattern":       {Name: "x", Match: Match{To: []string{"[@example.com"}}, Action: Drop},
		"a reply of two minds":   {Name: "x", Match: Match{Phase: Ehlo}, Reply: "5xx no"},
		"a reply with a control": {Name: "x", Match: Match{Phase: Ehlo}, Reply: "550 a\rb"},
	} {
		if _, err := compile([]Rule{r, r}, 0); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Count(err.Error(), "rule ") != 2 {
			t.Errorf("%s: both were to be reported: %v", name, err)
		}
	}
}

func TestPhaseNames(t *testing.T) {
	for p := AnyPhase; p < phases; p++ {
		text, err := p.MarshalText()
		var back Phase
		if err != nil || back.UnmarshalText(text) != nil || back != p {
			t.Errorf("%v: %s, %v", p, text, back)
		}
	}
	var p Phase
	if p.UnmarshalText([]byte("lunch")) == nil || phases.String() != "unknown" {
		t.Error("lunch is taken for a phase")
	}
}

func TestEveryCannedReplyIsWhole(t *testing.T) {
	v4, v6 := netip.MustParseAddr("153.122.1.2"), netip.MustParseAddr("2001:db8::1")
	for _, name := range Replies() {
		c, _ := Reply(name)
		if c.Phase == AnyPhase || c.Source == "" {
			t.Errorf("%s has no phase or no source", name)
		}
		r, err := parseReply(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, ip := range []netip.Addr{v4, v6} {
			got := string(r.append(nil, &values{ip: ip, from: "a@b.example", rcpt: "c@d.example", domain: "b.example", host: "mx", id: "id1"}))
			lines := strings.SplitAfter(got, "\r\n")
			for i, l := range lines[:len(lines)-1] {
				if len(l) < 5 || l[:3] != got[:3] || (l[3] == '-') != (i < len(lines)-2) || strings.ContainsAny(l, "{}") || len(l) > 512 {
					t.Errorf("%s: line %q", name, l)
				}
			}
		}
	}
	want := "550-5.7.1 [153.122.1.2      18] Our system has detected that this message is\r\n550-5.7.1 likely suspicious due to the very low reputation of the sending IP\r\n" +
		"550-5.7.1 address. To best protect our users from spam, the message has been\r\n550-5.7.1 blocked. Please visit\r\n" +
		"550 5.7.1  https://support.google.com/mail/answer/188131 for more information. id1 - gsmtp\r\n"
	r, _ := parseReply("google-ip")
	if got := string(r.append(nil, &values{ip: v4, id: "id1"})); got != want {
		t.Errorf("got %q", got)
	}
}

func TestReplyForms(t *testing.T) {
	for text, want := range map[string]string{
		"550 no":                     "550 no\r\n",
		"550":                        "550 \r\n",
		"550 a\nb\n":                 "550-a\r\n550 b\r\n",
		"550-a\r\n550 b":             "550-a\r\n550 b\r\n",
		"550 a\n550-b\n550\n550  c":  "550-a\r\n550-b\r\n550-\r\n550  c\r\n",
		"451 {rcpt} {what} {ip} at.": "451 r@x {what} 127.0.0.1 at.\r\n",
		"{ip}":                       "",
	} {
		r, err := parseReply(text)
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if got := string(r.append(nil, &values{ip: netip.MustParseAddr("127.0.0.1"), rcpt: "r@x"})); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add("550 {ip}\n550-x\ny")
	f.Add("google-ip")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReply(text)
		if err != nil {
			return
		}
		got := string(r.append(nil, &values{ip: netip.MustParseAddr("127.0.0.1")}))
		lines := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")
		for i, l := range lines {
			if !strings.HasPrefix(l, got[:3]) || (l[3] == ' ') != (i == len(lines)-1) || strings.ContainsAny(l, "\r\n") {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}

func FuzzMailPath(f *testing.F) {
	f.Add([]byte(`FROM:<a@b> SIZE=1`))
	f.Add([]byte(`FROM: <"a>b\"c"@d>`))
	f.Fuzz(func(t *testing.T, line []byte) {
		addr, args, ok := mailPath(line, "FROM:")
		if !ok && (addr != "" || args != "") || len(addr)+len(args)+7 > len(line) && ok {
			t.Fatalf("%q: %q %q %v", line, addr, args, ok)
		}
	})
}
