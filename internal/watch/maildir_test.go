package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/dsn"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/journal"
	"ukai/internal/mail"
)

// bounceMail is a report in the form of RFC 3464 of a refusal by Gmail.
func bounceMail(at time.Time, rcpt, messageID string) string {
	return strings.ReplaceAll(fmt.Sprintf(`Return-Path: <>
Date: %[1]s
From: MAILER-DAEMON@mx1.example.jp (Mail Delivery System)
To: taro@example.jp
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx1.example.jp
Arrival-Date: %[1]s

Final-Recipient: rfc822; %[2]s
Action: failed
Status: 5.7.1
Remote-MTA: dns; gmail-smtp-in.l.google.com
Diagnostic-Code: smtp; 550-5.7.1 [192.0.2.10      18] Our system has detected
 that this message is 550-5.7.1 likely suspicious due to the very low
 reputation of the sending IP 550-5.7.1 address. To best protect our users
 from spam, the message has been 550-5.7.1 blocked. Please visit 550 5.7.1
 https://support.google.com/mail/answer/188131 for more information. x - gsmtp

--b
Content-Type: text/rfc822-headers

From: taro@example.jp
To: %[2]s
Subject: Hello
Message-ID: <%[3]s>
Date: %[1]s

--b--
`, at.Format(time.RFC1123Z), rcpt, messageID), "\n", "\r\n")
}

const letter = "From: hanako@example.net\r\nTo: taro@example.jp\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"

// maildir makes a Maildir.
func maildir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Maildir")
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// names lists what lies in a part of a Maildir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// look reads a Maildir once.
func look(t *testing.T, x *house, m *Maildir) int64 {
	t.Helper()
	n, err := m.round(t.Context(), func(o Observation) { x.see(o, nil) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReportsInAMaildirAreReadOnceAndOtherMailIsLeftAlone(t *testing.T) {
	for _, move := range []bool{false, true} {
		t.Run(fmt.Sprintf("move=%v", move), func(t *testing.T) {
			x, dir, now := newHouse(t, Options{}), maildir(t), time.Now()
			for name, text := range map[string]string{
				"new/1.a.mx": bounceMail(now, "u1@gmail.com", "m1@example.jp"), "new/2.b.mx": letter, "cur/3.c.mx:2,FT": bounceMail(now, "u3@gmail.com", "m3@example.jp"),
				"cur/4.d.mx:2,S": bounceMail(now, "u4@gmail.com", "m4@example.jp"), "tmp/5.e.mx": bounceMail(now, "u5@gmail.com", "m5@example.jp"),
				"cur/6.f.mx:2,R": letter, "new/.hidden": bounceMail(now, "u7@gmail.com", "m7@example.jp"),
			} {
				put(t, filepath.Join(dir, filepath.FromSlash(name)), text)
			}
			m := NewMaildir(MaildirOptions{Name: "box", Dir: dir, Server: "mx1", Move: move}, x.Hub, x.log.logger())
			if n := look(t, x, m); n != 4 {
				t.Errorf("%d mails were read", n)
			}
			var told []string
			for _, o := range x.seen {
				told = append(told, o.Recipient)
				if o.Verdict.Class != "ip_reputation" || o.Outcome.Provider != "google" || o.Late || !o.Hearsay || o.Server != "mx1" {
					t.Errorf("%+v", o)
				}
			}
			slices.Sort(told)
			if !slices.Equal(told, []string{"u1@gmail.com", "u3@gmail.com"}) {
				t.Errorf("told of %q", told)
			}
			in := dir
			if move {
				in = filepath.Join(dir, doneFolder)
			}
			for _, want := range []string{"1.a.mx:2,S", "3.c.mx:2,FST"} {
				if !slices.Contains(names(t, filepath.Join(in, "cur")), want) {
					t.Errorf("%s is not in %q", want, names(t, filepath.Join(in, "cur")))
				}
			}
			if got := names(t, filepath.Join(dir, "new")); !slices.Equal(got, []string{".hidden", "2.b.mx"}) {
				t.Errorf("new has %q", got)
			}
			if got := names(t, filepath.Join(dir, "tmp")); !slices.Equal(got, []string{"5.e.mx"}) {
				t.Errorf("tmp has %q", got)
			}
			if n := look(t, x, m); n != 0 || len(x.seen) != 2 {
				t.Errorf("%d mails were read again", n)
			}
			rename(t, filepath.Join(dir, "tmp", "5.e.mx"), filepath.Join(dir, "new", "5.e.mx"))
			if n := look(t, x, m); n != 1 || len(x.seen) != 3 {
				t.Errorf("%d mails after one was delivered", n)
			}
		})
	}
}

func TestNoMailTakesAnothersPlace(t *testing.T) {
	x, dir := newHouse(t, Options{}), maildir(t)
	put(t, filepath.Join(dir, "cur", "1.a.mx:2,S"), "the other one")
	put(t, filepath.Join(dir, "new", "1.a.mx"), bounceMail(time.Now(), "u@gmail.com", "m@example.jp"))
	look(t, x, NewMaildir(MaildirOptions{Name: "box", Dir: dir}, x.Hub, x.log.logger()))
	if got := names(t, filepath.Join(dir, "cur")); !slices.Equal(got, []string{"1.a.mx:2,S", "1.a.mx_1:2,S"}) {
		t.Errorf("%q", got)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "cur", "1.a.mx:2,S")); err != nil || string(text) != "the other one" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestFlagsKeepTheirOrder(t *testing.T) {
	for name, want := range map[string]string{
		"1.a": "1.a:2,S", "1.a:2,": "1.a:2,S", "1.a:2,FT": "1.a:2,FST", "1.a:2,S": "1.a:2,S", "1.a:2,DFPR": "1.a:2,DFPRS", "1.a:2,Sa": "1.a:2,Sa",
		"1.a:2,a": "1.a:2,Sa",
	} {
		if got := withSeen(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestWhatIsNoMaildirIsToldAndWaitedFor(t *testing.T) {
	x, dir := newHouse(t, Options{}), filepath.Join(t.TempDir(), "Maildir")
	m := NewMaildir(MaildirOptions{Name: "box", Dir: dir, Poll: time.Millisecond}, x.Hub, x.log.logger())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, func(Observation) {}) }()
	eventually(t, "trouble", func() bool { return m.Gauge().Trouble != nil })
	var e *i18n.Error
	if err := m.Gauge().Trouble; !errors.As(err, &e) || e.Key != "watch.maildir.missing" {
		t.Errorf("%v", err)
	}
	for _, sub := range []string{"new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "new", "1"), letter)
	eventually(t, "mail", func() bool { g := m.Gauge(); return g.Read == 1 && g.Trouble == nil })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := m.cannot("new", &os.PathError{Err: os.ErrPermission}); !strings.Contains(err.Error(), "setfacl") {
		t.Error(err)
	}
}

// An old report tells what was, not what is.
func TestALateReportBlocksNothing(t *testing.T) {
	x := newHouse(t, Options{})
	hours := func(n int) time.Time { return time.Now().Add(-time.Duration(n) * time.Hour) }
	for i := range 20 {
		r := dsn.Read([]byte(bounceMail(hours(3), fmt.Sprintf("u%d@gmail.com", i), fmt.Sprintf("m%d@x", i))))
		if !x.Report(t.Context(), Mail{Source: "box", Arrived: time.Now()}, r) {
			t.Fatal("it is no report")
		}
	}
	if got := x.state("box", "google"); got != health.Healthy || len(x.seen) != 20 || !x.seen[0].Late {
		t.Errorf("%v after %d", got, len(x.seen))
	}
	for i := range 4 { // those of a clock that goes ahead count from when they arrived
		x.Report(t.Context(), Mail{Source: "box", Arrived: hours(5)}, dsn.Read([]byte(bounceMail(hours(-5), fmt.Sprintf("v%d@gmail.com", i), fmt.Sprintf("n%d@x", i)))))
	}
	if got := x.state("box", "google"); got != health.Healthy {
		t.Errorf("a clock that goes ahead: %v", got)
	}
	for i := range 4 {
		x.Report(t.Context(), Mail{Source: "box", Arrived: time.Now()}, dsn.Read([]byte(bounceMail(time.Now(), fmt.Sprintf("w%d@gmail.com", i), fmt.Sprintf("o%d@x", i)))))
	}
	if got := x.state("box", "google"); got != health.Blocked {
		t.Errorf("fresh ones: %v", got)
	}
}

func TestAReportOfAMessageOfOursFindsItAndItsPath(t *testing.T) {
	x := newHouse(t, Options{})
	var ids mail.IDs
	taken := time.Now().Add(-time.Minute)
	id := ids.Next(taken)
	x.Journal.Record(journal.Event{At: taken, Msg: id, Kind: journal.Accepted, MessageID: "m1@example.jp"})
	x.Journal.Record(journal.Event{At: taken, Msg: id, Kind: journal.Attempt, Recipients: []string{"u@customer.example"}, Egress: "direct", Provider: "google", Code: 250})
	x.Journal.Record(journal.Event{At: taken, Msg: id, Kind: journal.Attempt, Recipients: []string{"y@behind.example"}, Egress: "direct", Provider: "gateway.example", Code: 250})
	x.Journal.Record(journal.Event{At: taken, Msg: id, Kind: journal.Attempt, Recipients: []string{"v@gmail.com"}, Egress: "direct", Provider: "google", Code: 550, Text: "550 5.7.1 " + strings.Join(gmail2019, " ")})
	x.Journal.Record(journal.Event{At: taken, Msg: id, Kind: journal.Bounced, Recipients: []string{"w@gmail.com"}})
	told := func(rcpt string, m Mail) {
		t.Helper()
		m.Source, m.Arrived = "box", time.Now()
		x.Report(t.Context(), m, dsn.Read([]byte(bounceMail(time.Now(), rcpt, "m1@example.jp"))))
	}
	told("v@gmail.com", Mail{}) // ukai saw that refusal
	told("w@gmail.com", Mail{}) // ukai wrote that report
	if len(x.seen) != 0 {
		t.Fatalf("%+v", x.seen)
	}
	told("U@customer.example", Mail{})
	if len(x.seen) != 1 {
		t.Fatal("it was not taken")
	}
	o := x.seen[0]
	if o.Msg != id || o.Hearsay || o.Outcome.Egress != "direct" || o.Outcome.Provider != "google" || o.Late {
		t.Errorf("%+v", o)
	}
	if got := x.state("direct", "google"); got != health.Suspect {
		t.Errorf("the path is %v", got)
	}
	events, err := x.Journal.Message(t.Context(), id)
	if err != nil || events[len(events)-1].Kind != journal.Reported {
		t.Errorf("%+v, %v", events, err)
	}
	told("x@gmail.com", Mail{Msg: id}) // by the token; nothing is known of that recipient
	if len(x.seen) != 2 || x.seen[1].Hearsay || !x.seen[1].Late {
		t.Errorf("%+v", x.seen)
	}
	told("y@behind.example", Mail{}) // a gateway took it, sent it on, and was refused for its own address
	if len(x.seen) != 3 || !x.seen[2].Late || x.seen[2].Outcome.Egress != "direct" || x.state("direct", "gateway.example") != health.Healthy {
		t.Errorf("%+v", x.seen[2:])
	}
}

func TestMailThatReportsNothingIsNoReport(t *testing.T) {
	x := newHouse(t, Options{})
	for name, text := range map[string]string{
		"a letter": letter, "nothing": "", "an automatic answer": "From: u@example.net\r\nAuto-Submitted: auto-replied\r\nSubject: Re: Out of office\r\n\r\nI am away.\r\n",
	} {
		if x.Report(t.Context(), Mail{Source: "box"}, dsn.Read([]byte(text))) {
			t.Errorf("%s is one", name)
		}
	}
	if len(x.seen) != 0 {
		t.Errorf("%+v", x.seen)
	}
}
