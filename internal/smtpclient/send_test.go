package smtpclient

import (
	"slices"
	"strings"
	"testing"

	"ukai/internal/mail"
)

const body = "Subject: hello\r\n\r\n.dot\r\n..dots\r\nbye\r\n"

// A server that does everything but CHUNKING, and the dialogue up to DATA with it.
var pipelined = hello("PIPELINING", "SIZE 1000000", "8BITMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES")

const mailLine = "C: MAIL FROM:<a@sender.example> SIZE=37\n"

func TestSend(t *testing.T) {
	rcpts := []string{"one@example.org", "two@example.org", "three@example.org"}
	batch := mailLine + "C: RCPT TO:<one@example.org>\nC: RCPT TO:<two@example.org>\nC: RCPT TO:<three@example.org>\nC: DATA\n"
	plain := hello()
	plainMail := "C: MAIL FROM:<a@sender.example>\n"
	for _, test := range []struct {
		name, script, want string
		unusable           bool
	}{
		{"every recipient is taken, in one write", pipelined + batch + `S: 250 2.1.0 ok
			S: 250 2.1.5 ok
			S: 251 2.1.5 will forward
			S: 252 2.1.5 will try
			S: 354 go on
			D:
			S: 250 2.0.0 queued as 1`, strings.Repeat("end-of-data 250 2.0.0 queued as 1\n", 3), false},
		{"one recipient is refused", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 550-5.1.1 no such user
			S: 550 5.1.1 ask somebody else
			S: 250 ok
			S: 354 go on
			D:
			S: 250 ok`, "end-of-data 250 ok\nrcpt 550 5.1.1 no such user ask somebody else\nend-of-data 250 ok\n", false},
		{"all recipients are refused and DATA too", pipelined + batch + `S: 250 ok
			S: 550 1
			S: 450 2
			S: 550 3
			S: 554 no valid recipients`, "rcpt 550 1\nrcpt 450 2\nrcpt 550 3\n", false},
		{"all recipients are refused and DATA is not", pipelined + batch + `S: 250 ok
			S: 550 1
			S: 550 2
			S: 550 3
			S: 354 go on
			C: .
			S: 554 no recipients`, "rcpt 550 1\nrcpt 550 2\nrcpt 550 3\n", false},
		{"the sender is refused", pipelined + batch + `S: 550 5.7.1 your IP is listed
			S: 503 MAIL first
			S: 503 MAIL first
			S: 503 MAIL first
			S: 503 RCPT first`, strings.Repeat("mail 550 5.7.1 your IP is listed\n", 3), false},
		{"DATA is refused", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 550 no
			S: 250 ok
			S: 451 4.3.0 not now`, "data 451 4.3.0 not now\nrcpt 550 no\ndata 451 4.3.0 not now\n", false},
		{"the content is refused", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 550 no
			S: 354 go on
			D:
			S: 550-5.7.1 [192.0.2.1] our system has detected
			S: 550 5.7.1 low reputation`, "end-of-data 550 5.7.1 [192.0.2.1] our system has detected low reputation\nend-of-data 550 5.7.1 [192.0.2.1] our system has detected low reputation\nrcpt 550 no\n", false},
		{"421 to MAIL", pipelined + batch + `S: 421 4.7.0 too busy
			X: close`, strings.Repeat("mail 421 4.7.0 too busy\n", 3), true},
		{"421 to the second RCPT", pipelined + batch + `S: 250 ok
			S: 550 no
			S: 421 bye
			X: close`, "rcpt 550 no\nrcpt 421 bye\nrcpt 421 bye\n", true},
		{"421 to DATA", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 421 bye
			X: close`, strings.Repeat("data 421 bye\n", 3), true},
		{"421 after the content", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 354 go on
			D:
			S: 421 4.3.2 shutting down
			X: close`, strings.Repeat("end-of-data 421 4.3.2 shutting down\n", 3), true},
		{"the connection is lost at RCPT", pipelined + batch + `S: 250 ok
			S: 550 no
			X: close`, "rcpt 550 no\n" + strings.Repeat("rcpt connection closed by the server (temporary)\n", 2), true},
		{"the connection is lost at DATA", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			X: close`, strings.Repeat("data connection closed by the server (temporary)\n", 3), true},
		{"the connection is lost after the content", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 354 go on
			D:
			X: close`, strings.Repeat("end-of-data lost after end of data: connection closed by the server (temporary)\n", 3), true},
		{"the server loses step at MAIL", pipelined + batch + `S: 354 what
			X: hang`, strings.Repeat("mail the server's reply does not fit the command: 354 what (temporary)\n", 3), true},
		{"the server loses step at DATA", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			X: hang`, strings.Repeat("data the server's reply does not fit the command: 250 ok (temporary)\n", 3), true},
		{"the server loses step after the content", pipelined + batch + `S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 354 go on
			D:
			S: 354 go on
			X: hang`, strings.Repeat("end-of-data lost after end of data: the server's reply does not fit the command: 354 go on (temporary)\n", 3), true},
		{"the server says what is not SMTP", pipelined + batch + `S: HTTP/1.1 400 Bad Request
			X: hang`, strings.Repeat("mail the server's reply is not SMTP: \"HTTP/1.1 400 Bad Request\\r\" (temporary)\n", 3), true},
		{"without PIPELINING each command waits", plain + plainMail + `S: 250 ok
			C: RCPT TO:<one@example.org>
			S: 250 ok
			C: RCPT TO:<two@example.org>
			S: 550 no
			C: RCPT TO:<three@example.org>
			S: 250 ok
			C: DATA
			S: 354 go on
			D:
			S: 250 done`, "end-of-data 250 done\nrcpt 550 no\nend-of-data 250 done\n", false},
		{"without PIPELINING nothing follows a refused sender", plain + plainMail + "S: 550 no", strings.Repeat("mail 550 no\n", 3), false},
		{"without PIPELINING there is no DATA for nobody", plain + plainMail + `S: 250 ok
			C: RCPT TO:<one@example.org>
			S: 550 1
			C: RCPT TO:<two@example.org>
			S: 550 2
			C: RCPT TO:<three@example.org>
			S: 550 3`, "rcpt 550 1\nrcpt 550 2\nrcpt 550 3\n", false},
		{"a server that knows only HELO", `S: 220 old
			C: EHLO me.example
			S: 500 what
			C: HELO me.example
			S: 250 old
			` + plainMail + `S: 250 ok
			C: RCPT TO:<one@example.org>
			S: 550 no
			C: RCPT TO:<two@example.org>
			S: 550 no
			C: RCPT TO:<three@example.org>
			S: 250 ok
			C: DATA
			S: 354
			D:
			S: 250`, "rcpt 550 no\nrcpt 550 no\nend-of-data 250\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(t, test.script)
			c := dialPeer(t, p, Options{})
			res := c.Send(t.Context(), message(body, rcpts...))
			if got := tellAll(res) + "\n"; got != test.want {
				t.Errorf("outcomes:\n%swant:\n%s", got, test.want)
			}
			if res.ConnUsable == test.unusable || c.Usable() == test.unusable {
				t.Errorf("usable is %v and %v", res.ConnUsable, c.Usable())
			}
			if res.Stale || res.Broken != nil {
				t.Errorf("stale %v, broken %v", res.Stale, res.Broken)
			}
			for _, got := range p.content() {
				if want := strings.NewReplacer("\r\n.", "\r\n..").Replace(body) + ".\r\n"; got != want {
					t.Errorf("content %q, want %q", got, want)
				}
			}
			o := res.Outcomes[0]
			if o.Host != "mx.example.org" || o.Remote != p.addr || o.LocalIP.String() != "127.0.0.1" || o.Egress != "direct" ||
				o.Provider != "example" || o.TLS != "" || o.At.IsZero() || o.Duration <= 0 {
				t.Errorf("the outcome lacks facts: %+v", o)
			}
		})
	}
}

func TestParameters(t *testing.T) {
	all := hello("PIPELINING", "SIZE", "8BITMIME", "DSN", "SMTPUTF8", "REQUIRETLS")
	ok := "S: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 ok\n"
	for _, test := range []struct {
		name       string
		change     func(*mail.Envelope)
		hello      string
		mail, rcpt string
	}{
		{"nothing to say", nil, hello("PIPELINING"), "MAIL FROM:<a@sender.example>", "RCPT TO:<b@example.org>"},
		{"a bounce", func(e *mail.Envelope) { e.From = "" }, all, "MAIL FROM:<> SIZE=37", "RCPT TO:<b@example.org>"},
		{"8-bit content", func(e *mail.Envelope) { e.EightBit = true }, all, "MAIL FROM:<a@sender.example> SIZE=37 BODY=8BITMIME", "RCPT TO:<b@example.org>"},
		{"8-bit content goes unannounced where it cannot be announced", func(e *mail.Envelope) { e.EightBit = true }, hello("PIPELINING"), "MAIL FROM:<a@sender.example>", "RCPT TO:<b@example.org>"},
		{"SMTPUTF8 was asked for", func(e *mail.Envelope) { e.UTF8 = true }, all, "MAIL FROM:<a@sender.example> SIZE=37 BODY=8BITMIME SMTPUTF8", "RCPT TO:<b@example.org>"},
		{"SMTPUTF8 was asked for but no address needs it", func(e *mail.Envelope) { e.UTF8 = true }, hello("PIPELINING"), "MAIL FROM:<a@sender.example>", "RCPT TO:<b@example.org>"},
		{"a Japanese recipient", func(e *mail.Envelope) { e.Recipients[0].Addr = "花子@例え.jp" }, all, "MAIL FROM:<a@sender.example> SIZE=37 SMTPUTF8", "RCPT TO:<花子@例え.jp>"},
		{"a Japanese sender", func(e *mail.Envelope) { e.From = "花子@例え.jp" }, all, "MAIL FROM:<花子@例え.jp> SIZE=37 SMTPUTF8", "RCPT TO:<b@example.org>"},
		{"Japanese domains have a name in ASCII too", func(e *mail.Envelope) { e.From, e.Recipients[0].Addr = "a@例え.jp", "b@例え.jp" }, hello("PIPELINING"), "MAIL FROM:<a@xn--r8jz45g.jp>", "RCPT TO:<b@xn--r8jz45g.jp>"},
		{"a quoted local part", func(e *mail.Envelope) { e.Recipients[0].Addr = `"a b>"@example.org` }, all, "MAIL FROM:<a@sender.example> SIZE=37", `RCPT TO:<"a b>"@example.org>`},
		{"DSN", func(e *mail.Envelope) {
			e.Ret, e.EnvID = "HDRS", "id 1+1=2"
			e.Recipients[0].Notify, e.Recipients[0].ORcpt = mail.NotifySuccess|mail.NotifyDelay, "rfc822;b+c@example.org"
		}, all, "MAIL FROM:<a@sender.example> SIZE=37 RET=HDRS ENVID=id+201+2B1+3D2", "RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org"},
		{"DSN with a Japanese original recipient", func(e *mail.Envelope) {
			e.Recipients[0].Notify, e.Recipients[0].ORcpt = mail.NotifyNever, "utf-8;花+1@example.org"
		}, all, "MAIL FROM:<a@sender.example> SIZE=37", `RCPT TO:<b@example.org> NOTIFY=NEVER ORCPT=utf-8;\x{82B1}\x{2B}1@example.org`},
		{"every notification", func(e *mail.Envelope) {
			e.Recipients[0].Notify, e.Recipients[0].ORcpt = mail.NotifySuccess|mail.NotifyFailure|mail.NotifyDelay, "no type"
		}, all, "MAIL FROM:<a@sender.example> SIZE=37", "RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE,DELAY"},
		{"DSN where it is not offered", func(e *mail.Envelope) {
			e.Ret, e.EnvID = "FULL", "id"
			e.Recipients[0].Notify, e.Recipients[0].ORcpt = mail.NotifyFailure, "rfc822;b@example.org"
		}, hello("PIPELINING"), "MAIL FROM:<a@sender.example>", "RCPT TO:<b@example.org>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(t, test.hello+"C: "+test.mail+"\nC: "+test.rcpt+"\nC: DATA\n"+ok)
			m := message(body, "b@example.org")
			if test.change != nil {
				test.change(m.Envelope)
			}
			res := dialPeer(t, p, Options{}).Send(t.Context(), m)
			if got := tellAll(res); got != "end-of-data 250 ok" {
				t.Error(got)
			}
			if res.DSN != strings.Contains(test.hello, "DSN") {
				t.Errorf("DSN is %v", res.DSN)
			}
		})
	}
}

func TestWhatTheServerCannotTakeIsNotSent(t *testing.T) {
	one := "b@example.org"
	for _, test := range []struct {
		name, hello string
		change      func(*mail.Envelope)
		rcpts       []string
		want        string
	}{
		{"a message above the server's limit", hello("SIZE 36"), nil, []string{one}, "mail 552 5.3.4 the message has 37 octets, mx.example.org takes 36 (not sent)"},
		{"a message that requires TLS, in plain text", hello("REQUIRETLS"), func(e *mail.Envelope) { e.RequireTLS = true }, []string{one},
			"mail 550 5.7.30 the message requires TLS on its whole way, and mx.example.org does not promise it (not sent)"},
		{"a sender with a line end", hello(), func(e *mail.Envelope) { e.From = "a@b>\r\nRCPT TO:<x@y" }, []string{one}, "mail 553 5.1.7 the sender's address is malformed (not sent)"},
		{"a sender in Japanese", hello(), func(e *mail.Envelope) { e.From = "花子@example.org" }, []string{one}, "mail 553 5.6.7 mx.example.org knows no SMTPUTF8, which the sender's address needs (not sent)"},
		{"recipients that cannot be named", hello(), nil, []string{"花子@example.org", "a b@example.org", "a\x00@example.org", "", "b@例 え.jp"},
			"rcpt 553 5.6.7 mx.example.org knows no SMTPUTF8, which the address needs (not sent)\nrcpt 553 5.1.3 the recipient's address is malformed (not sent)\n" +
				"rcpt 553 5.1.3 the recipient's address is malformed (not sent)\nrcpt 553 5.1.3 the recipient's address is malformed (not sent)\n" +
				"rcpt 553 5.1.3 the recipient's address is malformed (not sent)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dialPeer(t, play(t, test.hello), Options{})
			m := message(body, test.rcpts...)
			if test.change != nil {
				test.change(m.Envelope)
			}
			res := c.Send(t.Context(), m)
			if got := tellAll(res); got != test.want {
				t.Errorf("outcomes:\n%s\nwant:\n%s", got, test.want)
			}
			if !res.ConnUsable || c.Sent() != 0 {
				t.Errorf("usable %v, %d sent", res.ConnUsable, c.Sent())
			}
		})
	}
}

func TestRecipientsBeyondTheServersLimitsAreLeftForLater(t *testing.T) {
	p := play(t, hello("PIPELINING", "LIMITS MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=2 UNKNOWN=5 RCPTMAX=x")+`
		C: MAIL FROM:<a@sender.example>
		C: RCPT TO:<1@one.example>
		C: RCPT TO:<2@two.example>
		C: RCPT TO:<4@One.example>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 452 4.5.3 too many
		S: 354 go
		D:
		S: 250 ok
		C: MAIL FROM:<a@sender.example>
		C: RCPT TO:<5@one.example>
		C: DATA
		S: 250 ok
		S: 452 4.5.3 too many
		S: 554 no`)
	c := dialPeer(t, p, Options{})
	res := c.Send(t.Context(), message(body, "1@one.example", "2@two.example", "3@three.example", "4@One.example", "5@one.example"))
	want := "end-of-data 250 ok\nend-of-data 250 ok\nrcpt 452 4.5.3 mx.example.org takes 2 recipient domains at a time (not sent)\nrcpt 452 4.5.3 too many\n" +
		"rcpt 452 4.5.3 mx.example.org takes 3 recipients at a time (not sent)"
	if got := tellAll(res); got != want {
		t.Errorf("outcomes:\n%s\nwant:\n%s", got, want)
	}
	if got := res.TooMany(); !slices.Equal(got, []int{2, 3, 4}) {
		t.Errorf("left for later: %v", got)
	}
	if !res.ConnUsable {
		t.Error("unusable before MAILMAX")
	}
	res = c.Send(t.Context(), message(body, "5@one.example"))
	if got := res.TooMany(); got != nil {
		t.Errorf("with none accepted, %v are left for another transaction at once: it would go round for ever", got)
	}
	if res.ConnUsable || c.Usable() {
		t.Error("usable after MAILMAX transactions")
	}
	if res = c.Send(t.Context(), message(body, "5@one.example")); !res.Stale || res.ConnUsable || res.Outcomes[0].Phase.String() != "mail" {
		t.Errorf("a closed connection: %+v", res)
	}
}

func TestA552ThatMeansTooManyRecipientsIsLeftForLater(t *testing.T) {
	p := play(t, hello("PIPELINING")+`
		C: MAIL FROM:<a@sender.example>
		C: RCPT TO:<1@e>
		C: RCPT TO:<2@e>
		C: RCPT TO:<3@e>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 552 too many recipients
		S: 552 5.2.2 mailbox full
		S: 354 go
		D:
		S: 250 ok`)
	res := dialPeer(t, p, Options{}).Send(t.Context(), message(body, "1@e", "2@e", "3@e"))
	if got := res.TooMany(); !slices.Equal(got, []int{1}) {
		t.Errorf("left for later: %v", got)
	}
}
