package qmail

import (
	"strings"
	"testing"
	"time"

	"ukai/internal/outcome"
	"ukai/internal/peersim"
)

var then = time.Date(2019, 4, 19, 10, 0, 0, 0, time.UTC)

func TestWhatQmailRemoteSaysBecomesAnOutcome(t *testing.T) {
	for _, c := range []struct {
		name, text string
		phase      outcome.Phase
		code       int
		status     string
		lines      int
		remote     string
	}{
		{"a reply of several lines", "192.0.2.1 failed after I sent the message.\nRemote host said: 550-5.7.1 [198.51.100.1] low reputation\n550-5.7.1 more\n550 5.7.1 end - gsmtp\n",
			outcome.EndOfData, 550, "5.7.1", 3, "192.0.2.1"},
		{"a sender who was refused", "Connected to 192.0.2.1 but sender was rejected.\nRemote host said: 421 4.7.0 [TSS04] later\n", outcome.MailFrom, 421, "4.7.0", 1, "192.0.2.1"},
		{"a greeting that was none", "Connected to 192.0.2.1 but greeting failed.\nRemote host said: 554 Blocked - see https://ipcheck.proofpoint.com/?ip=198.51.100.1\n", outcome.Greeting, 554, "", 1, "192.0.2.1"},
		{"a recipient", "2001:db8::1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n", outcome.RcptTo, 550, "5.1.1", 1, "2001:db8::1"},
		{"nobody was reached", "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", outcome.Connect, 0, "", 0, ""},
		{"the connection was lost", "Connected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)\n", outcome.EndOfData, 0, "", 0, "192.0.2.1"},
		{"a code alone", "192.0.2.1 failed on DATA command.\nRemote host said: 451\n", outcome.Data, 451, "", 1, "192.0.2.1"},
		{"no code at all", "192.0.2.1 failed on DATA command.\nRemote host said: what?\n", outcome.Data, 0, "", 0, "192.0.2.1"},
		{"a host with its address in brackets", "mx.example [192.0.2.1] accepted message.\nRemote host said: 250 ok\n", outcome.EndOfData, 250, "", 1, "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := said(c.text, "example.com", then)
			remote := ""
			if o.Remote.IsValid() {
				remote = o.Remote.Addr().String()
			}
			if o.Phase != c.phase || o.Reply.Code != c.code || o.Reply.Status.String() != c.status || len(o.Reply.Lines) != c.lines || remote != c.remote {
				t.Errorf("%+v", o)
			}
			if (o.Err != "") != (c.code == 0) {
				t.Errorf("err %q", o.Err)
			}
		})
	}
}

// How qmail-remote words a refusal in each phase.
func remoteWords(c peersim.Canned) string {
	text := strings.NewReplacer("{ip}", "198.51.100.1", "{host}", "mx.example", "{rcpt}", "a@example.net", "{domain}", "sender.example").Replace(c.Text)
	head := map[peersim.Phase]string{
		peersim.Greeting: "Connected to 192.0.2.1 but greeting failed.\n", peersim.Ehlo: "Connected to 192.0.2.1 but my name was rejected.\n",
		peersim.MailFrom: "Connected to 192.0.2.1 but sender was rejected.\n", peersim.RcptTo: "192.0.2.1 does not like recipient.\n",
		peersim.Data: "192.0.2.1 failed on DATA command.\n", peersim.EndOfData: "192.0.2.1 failed after I sent the message.\n",
	}[c.Phase]
	return head + remoteSaid + text + "\n"
}

func TestOnlyRefusalsOfTheAddressTakeTheDetour(t *testing.T) {
	detours := map[string]bool{
		"google-ip": true, "google-ip-deferred": true, "google-rate": true, // the rate of one address
		"microsoft-s3140": true, "microsoft-606": true, "microsoft-rate": true, "apple-pbl": true,
		"yahoo-tss04": true, "proofpoint-greeting": true, "spamhaus": true, "spfbl": true,
	}
	for _, name := range peersim.Replies() {
		t.Run(name, func(t *testing.T) {
			c, _ := peersim.Reply(name)
			d := &delivery{call: &call{host: "example.com"}}
			o := said(remoteWords(c), d.host, then)
			if o.Reply.Code == 0 {
				t.Fatalf("no reply in %q", remoteWords(c))
			}
			if got := d.reputation(&o); got != detours[name] {
				t.Errorf("detour %v, want %v: %s", got, detours[name], o.Text())
			}
		})
	}
}

func FuzzSaid(f *testing.F) {
	f.Add("192.0.2.1 failed after I sent the message.\nRemote host said: 550-5.7.1 a\n550 5.7.1 b\n")
	f.Add("Connected to 192.0.2.1 but greeting failed.\nRemote host said: 554 no\n")
	f.Fuzz(func(t *testing.T, text string) {
		o := said(text, "example.com", then)
		if c := o.Reply.Code; c != 0 && (c < 200 || c > 599) || len(o.Reply.Lines) > maxLines {
			t.Errorf("%+v", o)
		}
	})
}
