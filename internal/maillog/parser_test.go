package maillog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drain reads lines and counts events.
func drain(t *testing.T, p *Parser, lines ...string) (events int) {
	t.Helper()
	for _, l := range lines {
		if err := p.Line([]byte(l), func(*Event) error { events++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestStateIsBounded(t *testing.T) {
	p := NewParser(Options{Now: storyTime, Location: time.UTC, Remember: 1000})
	long := strings.Repeat("x", 900)
	for i := range 6000 { // messages that never end, each with a long ID and recipients that are deferred
		id := fmt.Sprintf("ABC%07d", i)
		drain(t, p,
			"Nov 22 10:00:00 mail postfix/smtpd[1]: "+id+": client=a[192.0.2.1]",
			"Nov 22 10:00:00 mail postfix/cleanup[1]: "+id+": message-id=<"+long+">",
			"Nov 22 10:00:00 mail postfix/smtp[1]: "+id+": to=<a@example.com>, relay=none, delay=1, status=deferred (connect to "+long+")",
			fmt.Sprintf("Nov 22 10:00:00 mail qmail: starting delivery %d: msg %d to remote a@example.com", i, i),
			fmt.Sprintf("Nov 22 10:00:00 mail exim[%d]: [1/9] %s", i, long),
		)
	}
	if n := len(p.table.at); n > 1000 {
		t.Errorf("%d messages are known, 1000 were allowed", n)
	}
	if len(p.table.slots) > 1001 || p.table.cost > maxText || p.table.cost < 0 {
		t.Errorf("%d places, %d octets", len(p.table.slots), p.table.cost)
	}
	if len(p.qmail) > maxAttempts || len(p.halves) > 64 {
		t.Errorf("%d attempts, %d halves", len(p.qmail), len(p.halves))
	}
	p.Forget(storyTime.Add(time.Hour))
	if len(p.table.at) != 0 || p.table.cost != 0 {
		t.Errorf("%d messages, %d octets are left after all was forgotten", len(p.table.at), p.table.cost)
	}
}

func TestTheTextsOfATableAreBounded(t *testing.T) {
	p := NewParser(Options{Now: storyTime, Remember: 1 << 20})
	long := strings.Repeat("x", 900)
	for i := range 9000 {
		drain(t, p, fmt.Sprintf("Nov 22 10:00:00 mail postfix/cleanup[1]: ABC%07d: message-id=<%s>", i, long))
	}
	if p.table.cost > maxText || len(p.table.at) < 5000 {
		t.Errorf("%d octets of %d messages", p.table.cost, len(p.table.at))
	}
}

// model is what a table promises, as simple as can be.
func TestATableKeepsWhatWasUsedLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 8
		p := NewParser(Options{Remember: limit})
		var order []string // last used first
		use := func(id string) {
			for i, o := range order {
				if o == id {
					order = append(order[:i], order[i+1:]...)
					break
				}
			}
			order = append([]string{id}, order...)
			order = order[:min(len(order), limit)]
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "id"))
			if rapid.Bool().Draw(t, "begin") {
				p.table.begin(0, []byte(id), 1)
			} else {
				p.table.get(0, []byte(id), 1)
			}
			use(id)
			for n := range 13 {
				name := fmt.Sprint(n)
				i, ok := p.table.at[p.table.key(0, []byte(name))]
				if known := contain(order, name); ok != known || ok && p.table.slots[i].id != name {
					t.Fatalf("%s: known %v, want %v", name, ok, known)
				}
			}
		}
	})
}

func contain(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

func TestLinesAllocateLittle(t *testing.T) {
	p := NewParser(Options{Now: storyTime, Location: time.UTC})
	quiet := []byte("Nov 22 10:00:00 mail postfix/smtpd[1]: connect from app.example.org[192.0.2.10]")
	told := []byte("Nov 22 10:00:00 mail postfix/smtp[1]: ABCDEF1: to=<a@example.com>, relay=mx.example.com[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)")
	emit := func(*Event) error { return nil }
	for name, c := range map[string]struct {
		line []byte
		most float64
	}{"a line that tells nothing": {quiet, 0}, "a delivery: its text and the line of its reply": {told, 2}} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(1000, func() { _ = p.Line(c.line, emit) }); n > c.most {
				t.Errorf("%v allocations, at most %v were expected", n, c.most)
			}
		})
	}
}

func TestTheErrorOfTheReceiverEndsALine(t *testing.T) {
	p := NewParser(Options{Now: storyTime})
	enough, n := errors.New("enough"), 0
	err := p.Line([]byte("Nov 22 10:00:00 mail sendmail[1]: 5AMA00aB000100: to=<a@example.com>,<b@example.com>, relay=mx. [192.0.2.1], dsn=2.0.0, stat=Sent"),
		func(*Event) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v after %d events", err, n)
	}
}

func TestABinaryFieldOfTheJournalIsPutTogether(t *testing.T) {
	// A length of 10 is a line end itself, and so are two octets of the message.
	for _, message := range []string{"ABCDEF1: to=<a@example.com>, relay=none, delay=1, status=bounced (550 one\n\ntwo)", "ABCDEF1: x", "0123456\n\n\n"} {
		size := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
		export := "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795341600000000\n_HOSTNAME=mail\nSYSLOG_IDENTIFIER=postfix/smtp\nMESSAGE\n" + string(size) + message + "\n_UID=0\n"
		p := NewParser(Options{})
		for _, l := range strings.Split(export, "\n") {
			if err := p.Line([]byte(l), func(e *Event) error {
				if e.Text != "550 one  two" {
					t.Errorf("text %q", e.Text)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(p.journal.message); got != message || p.stats.Mail != 1 {
			t.Errorf("message %q, want %q; %+v", got, message, p.stats)
		}
	}
}

func TestTheLastEntryOfAJournalNeedsNoEmptyLine(t *testing.T) {
	path := write(t, t.TempDir(), "journal", []byte("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795341600000000\n_HOSTNAME=mail\nSYSLOG_IDENTIFIER=postfix/smtp\nMESSAGE=ABCDEF1: to=<a@example.com>, relay=none, delay=1, status=bounced (no)\n"))
	if ids, _, _ := readSet(t, path); len(ids) != 1 {
		t.Errorf("%d events", len(ids))
	}
}

func TestARepetitionIsBounded(t *testing.T) {
	p := NewParser(Options{Now: storyTime})
	n := drain(t, p,
		"Nov 22 10:00:00 mail postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 no; from=<> to=<a@example.org> proto=ESMTP helo=<x>",
		"Nov 22 10:00:00 mail last message repeated 999999999 times")
	if n != 1+maxRepeat {
		t.Errorf("%d events", n)
	}
}

func TestNoNamePlaysWithATerminal(t *testing.T) {
	p := NewParser(Options{Now: storyTime})
	if err := p.Line([]byte("Nov 22 10:00:00 ma\x1bil postfix/smtp[1]: ABCDEF1: to=<a\x1b[2J@example.com>, relay=m\x07x[192.0.2.1]:25, delay=1, status=bounced (550 \x1b[31mred)"), func(e *Event) error {
		for _, s := range []string{e.Host, e.To, e.Relay, e.Text, e.Reply.Lines[0]} {
			if strings.ContainsAny(s, "\x1b\x07") {
				t.Errorf("%q", s)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestARepetitionOfNothingTellsNothing(t *testing.T) {
	for _, line := range []string{
		"Nov 22 10:00:00 last message repeated 2 times",
		"Nov 22 10:00:00 mail postfix/smtpd[1]: message repeated 2 times",
		"Nov 22 10:00:00 mail postfix/smtpd[1]: message repeated 2 times: [ ]",
	} {
		if n := drain(t, NewParser(Options{Now: storyTime}), line); n != 0 {
			t.Errorf("%q: %d events", line, n)
		}
	}
}

func TestNamesOfAMegabyteAreCut(t *testing.T) {
	p := NewParser(Options{Now: storyTime})
	huge := strings.Repeat("x", 400<<10)
	for i := range 200 {
		for _, l := range []string{
			fmt.Sprintf("Nov 22 10:00:00 mail postfix/smtpd[1]: ABC%07d: client=%s[192.0.2.1], sasl_username=%s", i, huge, huge),
			fmt.Sprintf("Nov 22 10:00:00 mail postfix/qmgr[1]: ABC%07d: from=<%s>, size=1, nrcpt=1 (queue active)", i, huge),
			fmt.Sprintf("Nov 22 10:00:00 mail postfix/smtp[1]: ABC%07d: to=<%s>, relay=none, delay=1, status=deferred (%s)", i, huge, huge),
			fmt.Sprintf("Nov 22 10:00:00 mail qmail: starting delivery %d: msg %d to remote %s", i, i, huge),
		} {
			if err := p.Line([]byte(l), func(e *Event) error {
				if n := len(e.From) + len(e.To) + len(e.ClientName) + len(e.Account); n > 5000 {
					t.Errorf("names of %d octets", n)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.table.cost > maxText || len(p.table.at) < 200 {
		t.Errorf("%d octets for %d messages", p.table.cost, len(p.table.at))
	}
	held := 0
	for _, a := range p.qmail {
		held += len(a.to)
	}
	if held > len(p.qmail)*4*maxName {
		t.Errorf("%d octets for %d deliveries", held, len(p.qmail))
	}
}
