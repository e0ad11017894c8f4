package explain

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"ukai/internal/classify"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// load makes an Explainer of the built-in knowledge.
func load(t testing.TB) *Explainer {
	t.Helper()
	rules, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	providers, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	return New(rules, providers)
}

const gmail = "550-5.7.1 [192.0.2.18      18] Our system has detected that this message is\n" +
	"550-5.7.1 likely suspicious due to the very low reputation of the sending IP\n" +
	"550-5.7.1 address. To best protect our users from spam, the message has been\n" +
	"550-5.7.1 blocked. Please visit\n" +
	"550 5.7.1  https://support.google.com/mail/answer/188131 for more information. x - gsmtp\n"

var spaced = regexp.MustCompile(`(?m)^`)

func TestAnyFindsOutWhatATextIs(t *testing.T) {
	x := load(t)
	for name, c := range map[string]struct {
		text      string
		kind      Kind
		class     string
		provider  string
		recipient string
		phase     string
		inbound   bool
	}{
		"a reply of several lines":               {text: gmail, kind: Reply, class: "ip_reputation", provider: "google"},
		"a reply that a mail program has quoted": {text: spaced.ReplaceAllString(strings.TrimSpace(gmail), "> "), kind: Reply, class: "ip_reputation", provider: "google"},
		"a reply whose lines have lost their codes": {text: "Our system has detected that this message is likely suspicious\n due to the very low reputation of the\nsending IP address. - gsmtp",
			kind: Reply, class: "ip_reputation", provider: "google"},
		"a reply with Windows line ends and a byte order mark": {text: "\xef\xbb\xbf550 5.1.1 <x@example.com>: Recipient address rejected: User unknown\r\n", kind: Reply, class: "user_unknown", recipient: "x@example.com"},
		"an address of our own is not the receiver":            {text: "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net", kind: Reply, class: "dnsbl_listed"},
		"a reply in UTF-16": {text: "\xff\xfe5\x005\x000\x00 \x005\x00.\x001\x00.\x001\x00 \x00U\x00s\x00e\x00r\x00 \x00u\x00n\x00k\x00n\x00o\x00w\x00n\x00", kind: Reply, class: "user_unknown"},
		"a transcript of Sendmail": {text: "... while talking to mx.example.net.:\n>>> RCPT To:<x@example.net>\n<<< 550 5.1.1 <x@example.net>... User unknown\n",
			kind: Reply, class: "user_unknown", provider: "example.net", recipient: "x@example.net", phase: "rcpt"},
		"a session of swaks that ends politely": {text: "<-  220 mx.example.net ESMTP\n -> EHLO client.example.com\n<-  250 mx.example.net\n -> MAIL FROM:<a@example.com>\n<-  250 ok\n -> RCPT TO:<x@example.net>\n<** 550 5.7.1 Service unavailable; client [192.0.2.9] blocked using zen.spamhaus.org\n -> QUIT\n<-  221 bye\n",
			kind: Reply, class: "dnsbl_listed", recipient: "x@example.net", phase: "rcpt"},
		"a session that went well":               {text: "250 2.0.0 OK: queued as 4XyZ12\n", kind: Reply, class: "delivered"},
		"a provider known by the recipient":      {text: "host mx.example.org[192.0.2.1] said: 550 no such user (in reply to RCPT TO:<x@docomo.ne.jp>)", kind: Reply, class: "user_unknown", provider: "docomo", recipient: "x@docomo.ne.jp"},
		"a line of Postfix":                      {text: "Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<x@gmail.com>, relay=gmail-smtp-in.l.google.com[192.0.2.77]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host gmail-smtp-in.l.google.com[192.0.2.77] said: 550 5.1.1 The email account that you tried to reach does not exist (in reply to RCPT TO command))", kind: LogLine, class: "user_unknown", provider: "google", recipient: "x@gmail.com", phase: "rcpt"},
		"a line of Postfix without its stamp":    {text: "to=<x@gmail.com>, relay=none, delay=27077, dsn=4.4.1, status=deferred (connect to gmail-smtp-in.l.google.com[192.0.2.77]:25: Connection timed out)", kind: LogLine, class: "network_error", provider: "google", recipient: "x@gmail.com"},
		"a line that our own server refused":     {text: "Apr 15 09:12:33 mx postfix/smtpd[12]: NOQUEUE: reject: RCPT from mail.example.org[192.0.2.5]: 554 5.7.1 Service unavailable; Client host [192.0.2.5] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.5; from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<mail.example.org>", kind: LogLine, class: "dnsbl_listed", recipient: "b@example.com", inbound: true, phase: "rcpt"},
		"a line that only says that it is there": {text: "Apr 15 09:12:33 mx postfix/qmgr[12]: 4XyZ12abcd: removed", kind: LogLine, class: "unclassified"},
		"a line of a delivery":                   {text: "Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<x@example.net>, relay=mx.example.net[192.0.2.77]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)", kind: LogLine, class: "delivered", provider: "example.net", recipient: "x@example.net", phase: "end-of-data"},
		"a log whose refusal matters most": {text: "Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<x@example.net>, relay=mx.example.net[192.0.2.77]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n" +
			"Apr 15 09:12:33 mx postfix/qmgr[12]: 4XyZ12abcd: removed\n" +
			"Apr 15 09:12:34 mx postfix/smtp[123]: 4XyZ12abce: to=<y@example.net>, relay=mx.example.net[192.0.2.77]:25, delay=1, delays=0/0/0/1, dsn=5.2.2, status=bounced (host mx.example.net[192.0.2.77] said: 552 5.2.2 Mailbox full (in reply to end of DATA command))",
			kind: LogLine, class: "mailbox_full", provider: "example.net", recipient: "y@example.net", phase: "end-of-data"},
		"a mail out of an mbox file": {text: "From MAILER-DAEMON Mon Apr 15 09:12:33 2019\nFrom: Hanako <hanako@example.com>\nTo: taro@example.com\nSubject: lunch\n\nAt noon?\n", kind: Ordinary, class: "not_bounce"},
		"fields of a report":         {text: "Final-Recipient: rfc822; x@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n", kind: Report, class: "user_unknown", recipient: "x@example.net"},
		"noise":                      {text: "\x00\x01\x02\xff\xfe\x80", kind: Reply, class: "unclassified"},
	} {
		t.Run(name, func(t *testing.T) {
			found := x.Any([]byte(c.text))
			if len(found) == 0 {
				t.Fatal("nothing was found")
			}
			f := found[0]
			if f.Kind != c.kind || f.Verdict.Class != c.class || f.Inbound != c.inbound {
				t.Errorf("kind %q, class %q (%s), inbound %t; want %q, %q, %t", f.Kind, f.Verdict.Class, f.Verdict.Rule, f.Inbound, c.kind, c.class, c.inbound)
			}
			if f.Provider != c.provider || f.Recipient != c.recipient || f.Phase != c.phase {
				t.Errorf("provider %q, recipient %q, phase %q; want %q, %q, %q", f.Provider, f.Recipient, f.Phase, c.provider, c.recipient, c.phase)
			}
		})
	}
}

func TestAnEmptyTextMeansNothing(t *testing.T) {
	x := load(t)
	for _, text := range []string{"", " \r\n\t\n", "\xef\xbb\xbf", "\xff\xfe"} {
		if found := x.Any([]byte(text)); len(found) != 0 {
			t.Errorf("%q: %v", text, found)
		}
	}
}

func TestTheCallersWordOnTheProviderCounts(t *testing.T) {
	x := load(t)
	f := x.AnyFrom("icloud", []byte("550 5.7.1 no"))[0]
	if f.Provider != "icloud" || f.ProviderName != "Apple iCloud Mail" {
		t.Errorf("%q, %q", f.Provider, f.ProviderName)
	}
}

func TestProgramsGetEveryFieldOfAVerdict(t *testing.T) {
	b, err := json.Marshal(load(t).Any([]byte("550 no"))[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("class blame scope detour_helps retry provider list ip url rule code kind text") {
		if _, ok := got[name]; !ok {
			t.Errorf("no %q in %s", name, b)
		}
	}
}

// all are Findings of every class with every action, with all values known and with none.
func all(t *testing.T) []Finding {
	t.Helper()
	classes, err := classify.Classes()
	if err != nil {
		t.Fatal(err)
	}
	var out []Finding
	for _, c := range classes {
		for _, a := range []classify.Action{c.Temporary, c.Permanent} {
			v := classify.Verdict{Class: c.Name, Blame: c.Blame, Scope: c.Scope, Action: a, Detour: c.Detour, Reputation: c.Reputation}
			f := Finding{Kind: Reply, Verdict: v}
			out = append(out, f)
			f.Inbound = true
			out = append(out, f)
			f = Finding{Kind: Report, Sender: "a@example.com", Recipient: "x@example.net", Host: "mx.example.net", Provider: "google", ProviderName: "Gmail", Verdict: v}
			f.Verdict.IP, f.Verdict.URL, f.Verdict.List = ip("192.0.2.1"), "https://www.example.org/q?ip=192.0.2.1", "spamhaus-zen"
			out = append(out, f)
			if c.Detour {
				f.Verdict.Blame, f.Verdict.Scope = classify.BlameRange, classify.ScopeRange
				out = append(out, f)
				f.Verdict.List = ""
				out = append(out, f)
			}
		}
	}
	return out
}

var (
	hole    = regexp.MustCompile(`\{[a-z_]+\}|\bexplain\.[a-z]+\.`)
	code    = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b|\b[45][0-5]\d\b`)
	doubled = regexp.MustCompile(`\.\.( |$)|。。|  |（|）|[\p{Han}\p{Hiragana}\p{Katakana}ー] [\p{Han}\p{Hiragana}\p{Katakana}]`)
)

func TestEveryClassIsExplainedInFourPartsInBothLanguages(t *testing.T) {
	x := load(t)
	classes, err := classify.Classes()
	if err != nil {
		t.Fatal(err)
	}
	found := all(t)
	for i := range found {
		f := &found[i]
		for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
			w := x.Say(l, f)
			parts := append([]string{w.Head, w.What, w.Fault, w.Ukai}, w.You...)
			for n, p := range parts {
				if p == "" {
					t.Errorf("%s, %s: part %d is empty", f.Verdict.Class, l, n)
				}
				if hole.MatchString(p) || doubled.MatchString(p) || code.MatchString(strings.ReplaceAll(p, "192.0.2.1", "")) {
					t.Errorf("%s, %s: a hole, a doubled sign or an unexplained code in %q", f.Verdict.Class, l, p)
				}
				for _, c := range classes {
					if strings.Contains(c.Name, "_") && strings.Contains(p, c.Name) {
						t.Errorf("%s, %s: the name of a class in %q", f.Verdict.Class, l, p)
					}
				}
				if r := []rune(p)[0]; l == i18n.EN && r >= 'a' && r <= 'z' && !strings.HasPrefix(p, "ukai ") && !strings.Contains(strings.Fields(p)[0], ".") {
					t.Errorf("%s: a sentence begins small: %q", f.Verdict.Class, p)
				}
			}
		}
	}
}

func TestOfALongLogTheBeginningIsReadAndThatIsSaid(t *testing.T) {
	line := "Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<x@example.net>, relay=none, delay=1, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.77]:25: Connection timed out)\n"
	found := load(t).Any([]byte(strings.Repeat(line, maxLines+1)))
	if len(found) != maxLines || len(found[0].Skipped) != 1 || len(found[1].Skipped) != 0 {
		t.Errorf("%d findings, skipped %q", len(found), found[0].Skipped)
	}
	if found := load(t).Any([]byte(strings.Repeat(line, 3))); len(found) != 3 || len(found[0].Skipped) != 0 {
		t.Errorf("%d findings, skipped %q", len(found), found[0].Skipped)
	}
}
