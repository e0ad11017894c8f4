package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestAConnectionCarriesManyMessages(t *testing.T) {
	one := "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\n"
	p := play(t, hello("PIPELINING")+one+`S: 250 ok
		S: 550 no
		S: 554 no
		C: RSET
		`+one+`S: 250 reset
		S: 250 ok
		S: 250 ok
		S: 354 go
		D:
		S: 550 spam
		`+one+`S: 550 no
		S: 503 no
		S: 503 no
		`+one+`S: 250 ok
		S: 550 no
		S: 354 go
		C: .
		S: 250 nothing
		`+one+`S: 250 ok
		S: 250 ok
		S: 354 go
		D:
		S: 250 done`)
	c := dialPeer(t, p, Options{})
	for i, want := range []string{"rcpt 550 no", "end-of-data 550 spam", "mail 550 no", "rcpt 550 no", "end-of-data 250 done"} {
		res := c.Send(t.Context(), message(body, "b@example.org"))
		if got := tellAll(res); got != want || !res.ConnUsable || c.Sent() != i+1 {
			t.Errorf("message %d: %s, want %s; usable %v, sent %d", i+1, got, want, res.ConnUsable, c.Sent())
		}
	}
	c.Quit(t.Context())
	p.wg.Wait()
	if p.quits != 1 {
		t.Error("the server heard no QUIT")
	}
}

func TestAConnectionThatWasClosedWhileIdleIsStale(t *testing.T) {
	first := "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 done\n"
	for name, end := range map[string]string{
		"closed": "X: close", "reset": "X: reset", "after 421": "C: MAIL FROM:<a@sender.example>\nS: 421 idle for too long\nX: close",
		"at RSET": "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 554 no\nC: RSET\nX: close",
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, hello("PIPELINING")+first+end)
			c := dialPeer(t, p, Options{})
			n := 1
			if name == "at RSET" {
				n = 2
			}
			for range n {
				if res := c.Send(t.Context(), message(body, "b@example.org")); res.Stale || !res.ConnUsable {
					t.Fatal(tellAll(res))
				}
			}
			if name == "closed" || name == "reset" {
				p.wg.Wait()
			}
			res := c.Send(t.Context(), message(body, "b@example.org"))
			if !res.Stale || res.ConnUsable || res.Outcomes[0].Phase.String() != "mail" {
				t.Errorf("%s; stale %v, usable %v", tellAll(res), res.Stale, res.ConnUsable)
			}
		})
	}
}

func TestAFreshConnectionIsNeverStale(t *testing.T) {
	res := dialPeer(t, play(t, hello("PIPELINING")+"C: MAIL FROM:<a@sender.example>\nX: close"), Options{}).Send(t.Context(), message(body, "b@example.org"))
	if res.Stale {
		t.Error("a server that closes at the first MAIL would be tried for ever")
	}
}

func TestAServerThatSaysMoreThanItWasAskedIsLeft(t *testing.T) {
	p := play(t, hello("PIPELINING")+`
		C: MAIL FROM:<a@sender.example>
		C: RCPT TO:<b@example.org>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go
		D:
		S: 250 done
		S: 250 done
		X: hang`)
	c := dialPeer(t, p, Options{})
	if res := c.Send(t.Context(), message(body, "b@example.org")); tellAll(res) != "end-of-data 250 done" {
		t.Fatal(tellAll(res))
	}
	if res := c.Send(t.Context(), message(body, "b@example.org")); !res.Stale || res.ConnUsable {
		t.Errorf("%s; stale %v, usable %v", tellAll(res), res.Stale, res.ConnUsable)
	}
}

func TestManyRecipientsGoInSeveralWrites(t *testing.T) {
	var script, replies strings.Builder
	script.WriteString(hello("PIPELINING") + "C: MAIL FROM:<a@sender.example>\n")
	replies.WriteString("S: 250 ok\n")
	var rcpts []string
	for i := range 250 {
		rcpts = append(rcpts, fmt.Sprintf("r%d@example.org", i))
		fmt.Fprintf(&script, "C: RCPT TO:<r%d@example.org>\n", i)
		replies.WriteString("S: 250 ok\n")
		if i%100 == 98 { // with MAIL, a hundred commands
			script.WriteString(replies.String())
			replies.Reset()
		}
	}
	script.WriteString("C: DATA\n" + replies.String() + "S: 354 go\nD:\nS: 250 done\n")
	res := dialPeer(t, play(t, script.String()), Options{}).Send(t.Context(), message(body, rcpts...))
	for _, o := range res.Outcomes {
		if !o.OK() {
			t.Fatal(tell(o))
		}
	}
}

func TestARefusedSenderEndsTheWritingOfRecipients(t *testing.T) {
	script := hello("PIPELINING") + "C: MAIL FROM:<a@sender.example>\n"
	var rcpts []string
	for i := range 250 {
		rcpts = append(rcpts, fmt.Sprintf("r%d@example.org", i))
		if i < 99 {
			script += fmt.Sprintf("C: RCPT TO:<r%d@example.org>\n", i)
		}
	}
	res := dialPeer(t, play(t, script+"S: 550 no\n"+strings.Repeat("S: 503 no\n", 99)), Options{}).Send(t.Context(), message(body, rcpts...))
	if got := tell(res.Outcomes[249]); got != "mail 550 no" || !res.ConnUsable {
		t.Errorf("%s, usable %v", got, res.ConnUsable)
	}
}

func TestTheEndOfTheContextEndsTheTransaction(t *testing.T) {
	for name, script := range map[string]string{
		"at MAIL":           "C: MAIL FROM:<a@sender.example>\nX: signal\nX: hang",
		"at DATA":           "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nX: signal\nX: hang",
		"after the content": "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nB: 37\nX: signal\nX: hang",
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, hello("PIPELINING")+script)
			c := dialPeer(t, p, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			m := message(body, "b@example.org")
			done := make(chan Result)
			go func() { done <- c.Send(ctx, m) }()
			<-p.signal
			cancel()
			if res := <-done; !strings.Contains(tellAll(res), "cancelled (temporary)") || res.ConnUsable {
				t.Errorf("%s, usable %v", tellAll(res), res.ConnUsable)
			}
		})
	}
}

func TestReset(t *testing.T) {
	p := play(t, hello()+"C: RSET\nS: 250 ok\nC: RSET\nS: 500 what\nX: hang")
	c := dialPeer(t, p, Options{})
	if err := c.Reset(t.Context()); err != nil || !c.Usable() {
		t.Errorf("%v, usable %v", err, c.Usable())
	}
	if err := c.Reset(t.Context()); !errors.Is(err, errOutOfStep) || c.Usable() {
		t.Errorf("%v, usable %v", err, c.Usable())
	}
	if err := c.Reset(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
