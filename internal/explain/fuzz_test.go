package explain

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"ukai/internal/classify"
	"ukai/internal/i18n"
)

// FuzzAny gives any octets to Any: it must come to an end, with a class that exists and words for it.
func FuzzAny(f *testing.F) {
	for _, s := range []string{
		gmail, ">>> RCPT TO:<x@example.net>\n<<< 550 5.1.1 no\n", "\xff\xfe5\x00", "From a Mon 09:12\nFrom: b\nTo: c\n\n550 no",
		"Apr 15 09:12:33 mx postfix/smtp[123]: 4XyZ12abcd: to=<x@example.net>, relay=mx.example.net[192.0.2.77]:25, dsn=5.1.1, status=bounced (host mx.example.net[192.0.2.77] said: 550 no)",
		"2019-04-15 09:12:33 1hFxyz-0001Ab-Cd ** x@example.net R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.7]: SMTP error from remote mail server after RCPT TO:<x@example.net>: 550 no",
		"@400000005cb3f0a21d3f5c2c delivery 3: failure: 192.0.2.7_does_not_like_recipient./Remote_host_said:_550_no/Giving_up_on_192.0.2.7./",
		"Final-Recipient: rfc822; x@example.net\nAction: failed\nStatus: 5.1.1\n", "This is the mail system at host mx.\n\n<x@example.net>: host mx said: 550 no\n",
		"| 450 4.2.0 greylisted\n| see http://example.org/\n", "Client host [2001:db8::1] blocked using zen.spamhaus.org", "{\"MESSAGE\":\"x\"}",
	} {
		f.Add([]byte(s))
	}
	x := load(f)
	known := make(map[string]bool)
	classes, err := classify.Classes()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range classes {
		known[c.Name] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, found := range x.Any(b) {
			if !known[found.Verdict.Class] {
				t.Fatalf("class %q", found.Verdict.Class)
			}
			if !utf8.ValidString(found.Text) || len(found.Text) > maxLine {
				t.Fatalf("text of %d octets: %q", len(found.Text), found.Text)
			}
			if _, err := json.Marshal(found); err != nil {
				t.Fatal(err)
			}
			if i > 3 {
				continue
			}
			for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
				if w := x.Say(l, &found); w.Head == "" || w.What == "" || w.Fault == "" || w.Ukai == "" || len(w.You) == 0 {
					t.Fatalf("%s: %+v", l, w)
				}
			}
		}
	})
}
