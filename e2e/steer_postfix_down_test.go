package e2e

import (
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/mtaconf"
	"ukai/internal/peersim"
	"ukai/internal/servers"
)

// The ways in which a Postfix is steered here: with the safety net alone, by a file of routes, by lookups of a running ukai.
const (
	byNet   = "safety-net"
	byFiles = "steer by files"
	byLive  = "steer live"
)

// steeredPostfix starts a world in which Google refuses, a detour, and a Postfix that is steered around it.
func steeredPostfix(t *testing.T, how string) (*peersim.World, *detour, *mta) {
	t.Helper()
	w := steeringWorld(t)
	live := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	more := ""
	if how == byLive { // the server sends from an address of ukai's, whose paths it is steered by
		more = fmt.Sprintf("[steer]\nlisten = %q\n[[egress]]\nname = \"own\"\nsource = [%q]\nport = %d", live, serverIP, w.Port())
	}
	d := startDetour(t, w, more)
	wish := postfixWish(t, mtaconf.Steer, d.peer())
	switch how {
	case byNet:
		wish.Mode = mtaconf.SafetyNet
	case byLive:
		wish.Live = live
	}
	m, plan := debianPostfix(t, wish)
	refuseServer(t, w)
	switch how {
	case byFiles:
		m.routeGoogle(plan.Routes[0])
	case byLive:
		d.steers(m, plan)
	}
	if how != byNet {
		steered(t, w, m)
	}
	return w, d, m
}

// routeGoogle writes a file of routes with Google's domains in it.
func (m *mta) routeGoogle(r mtaconf.RouteFile) {
	m.t.Helper()
	var b strings.Builder
	for _, d := range steeringGoogle() {
		fmt.Fprintf(&b, "%s %s\n", d, strings.ReplaceAll(r.Value, "{domain}", d))
	}
	m.install(mtaconf.File{Path: r.Path, Text: []byte(b.String())})
	m.run(*r.Then)
}

// steers registers a server at the detour, and blocks the path to Google that they share.
func (d *detour) steers(m *mta, plan *mtaconf.Plan) {
	d.t.Helper()
	_, err := api.NewClient(d.data).ConnectServer(d.t.Context(), "web1", &api.ServerRequest{MTA: mtaconf.Postfix, Mode: plan.Mode,
		Place: servers.Place{Root: m.root, Dir: plan.Instance.Dir}, Egress: "own", Live: true, Answer: plan.Answer, Peer: d.peer().Address()})
	if err != nil {
		d.t.Fatal(err)
	}
	d.ask("path", "block", "own", "google", "--for", "1h", "--why", "for a test")
}

// steered waits until Postfix sends mail for each of Google's domains to the detour without asking Google.
func steered(t *testing.T, w *peersim.World, m *mta) {
	t.Helper()
	round := 0
	until(t, 40*time.Second, "mail for Google goes to the detour at once", func() bool {
		round++
		res := m.submit(steeringGoogle(), len(steeringGoogle()), fmt.Sprintf("round%d-", round))
		arriveOnce(t, w, res.Accepted, 20*time.Second)
		return !slices.ContainsFunc(res.Accepted, func(s peersim.Sent) bool {
			r, _ := w.Record(s.ID, s.Rcpt)
			return r.Refused > 0
		})
	})
	t.Logf("steered in round %d", round)
}

// slow lets the detour run for a moment every two seconds only.
func (d *detour) slow() (stop func()) {
	d.t.Helper()
	proc, done, ended := d.cmd.Process, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			_ = proc.Signal(syscall.SIGSTOP)
			select {
			case <-done:
				_ = proc.Signal(syscall.SIGCONT)
				return
			case <-time.After(1900 * time.Millisecond):
			}
			_ = proc.Signal(syscall.SIGCONT)
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	stop = func() {
		close(done)
		<-ended
	}
	return stop
}

// late is how long the slowest of these messages took.
func late(t *testing.T, w *peersim.World, sent []peersim.Sent) time.Duration {
	t.Helper()
	until(t, 90*time.Second, "all of them arrive", func() bool {
		return !slices.ContainsFunc(sent, func(s peersim.Sent) bool {
			r, _ := w.Record(s.ID, s.Rcpt)
			return r.Delivered == 0
		})
	})
	most := time.Duration(0)
	for _, s := range sent {
		r, _ := w.Record(s.ID, s.Rcpt)
		most = max(most, r.First.Sub(s.At))
	}
	return most
}

// ukai is killed, hangs, or is slow, while a Postfix is under load. Mail for the providers that take it goes on as if nothing was;
// what Google refuses waits; nothing bounces, and nothing is lost.
func TestPostfixGoesOnWhenUkaiIsKilledHangsOrIsSlow(t *testing.T) {
	for _, how := range []string{byNet, byFiles, byLive} {
		t.Run(how, func(t *testing.T) {
			w, d, m := steeredPostfix(t, how)
			usual := m.submit(steeringMix(), 150, "usual")
			_, others := split(usual.Accepted)
			base := late(t, w, others)
			for _, trouble := range []struct {
				name  string
				begin func() (end func())
			}{
				{"killed", func() func() { d.kill(); return d.again }},
				{"hung", d.hang},
				{"slow", d.slow},
			} {
				before := m.submit(steeringMix(), 50, trouble.name+"-before")
				end := trouble.begin()
				during := m.submit(steeringMix(), 150, trouble.name)
				all := append(before.Accepted, during.Accepted...)
				_, others := split(all)
				took := late(t, w, others)
				if took > base+5*time.Second {
					t.Errorf("ukai is %s: mail for others took up to %v, %v before", trouble.name, took, base)
				}
				t.Logf("ukai is %s: mail for others took up to %v, %v before", trouble.name, took, base)
				end()
				late(t, w, all)
			}
			if sum := w.Sum(); sum.Bounces > 0 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// The same thousand messages as with the safety net alone. Mail for Google does not even ask Google.
func TestPostfixThatIsSteeredSendsMailForABlockedProviderToUkaiAtOnce(t *testing.T) {
	for _, how := range []string{byFiles, byLive} {
		t.Run(how, func(t *testing.T) {
			w, _, m := steeredPostfix(t, how)
			sent := m.submit(steeringMix(), 1000, "steered")
			arriveOnce(t, w, sent.Accepted, 60*time.Second)
			google, others := split(sent.Accepted)
			refused := 0
			for _, s := range google {
				r, _ := w.Record(s.ID, s.Rcpt)
				refused += r.Refused
			}
			late := 0 // answers that do not come in time are "no change", and the safety net takes the message
			if how == byLive {
				late = len(google) / 20
			}
			if _, detoured := ways(w, google); detoured != len(google) || refused > late {
				t.Errorf("%d of %d messages to Google took the detour, %d were refused first", detoured, len(google), refused)
			}
			if direct, _ := ways(w, others); direct != len(others) {
				t.Errorf("%d of %d messages to others went directly", direct, len(others))
			}
			inOneAttempt(t, m, sent.Accepted)
			n := bounced(t, m, w, func(domain string) bool { return slices.Contains(steeringGoogle(), domain) })
			sendmailT(t, m, w, n)
		})
	}
}

// Ten thousand recipients of messages that go to Google and to others together: each copy goes its own way.
func TestPostfixSendsEachRecipientOfAMixedMessageItsOwnWay(t *testing.T) {
	const messages, domains, users = 500, 5, 4
	w, _, m := steeredPostfix(t, byFiles)
	before, all := w.Sum(), steeringMix()
	var sent []peersim.Sent
	c := m.dial()
	defer c.Close()
	for n := range messages {
		id := fmt.Sprintf("mixed%d", n)
		var rcpts []string
		for d := range domains {
			for u := range users {
				rcpts = append(rcpts, fmt.Sprintf("u%d@%s", u, all[(n*domains+d)%len(all)]))
			}
		}
		m.hand(c, id, rcpts)
		for _, r := range rcpts {
			sent = append(sent, peersim.Sent{ID: id, Rcpt: r})
		}
	}
	arriveOnce(t, w, sent, 90*time.Second)
	google, others := split(sent)
	direct1, detoured1 := ways(w, google)
	direct2, detoured2 := ways(w, others)
	if direct1 != 0 || detoured1 != len(google) || direct2 != len(others) || detoured2 != 0 {
		t.Errorf("Google: %d directly, %d by the detour; others: %d directly, %d by the detour", direct1, detoured1, direct2, detoured2)
	}
	if got := w.Sum().Refusals - before.Refusals; got > 0 {
		t.Errorf("%d were refused", got)
	}
	t.Logf("%d recipients, %d for Google", len(sent), len(google))
}

// dial opens an SMTP session with the server.
func (m *mta) dial() *textproto.Conn {
	m.t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", m.port), 5*time.Second)
	if err != nil {
		m.t.Fatal(err)
	}
	conn := textproto.NewConn(c)
	if _, _, err := conn.ReadResponse(220); err != nil {
		m.t.Fatal(err)
	}
	m.say(conn, 250, "HELO front.sender.example")
	return conn
}

func (m *mta) say(c *textproto.Conn, want int, line string) {
	m.t.Helper()
	if err := c.PrintfLine("%s", line); err != nil {
		m.t.Fatal(err)
	}
	if _, _, err := c.ReadResponse(want); err != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
}

// hand hands one message for many in.
func (m *mta) hand(c *textproto.Conn, id string, rcpts []string) {
	m.t.Helper()
	m.say(c, 250, "MAIL FROM:<r+"+id+"@sender.example>")
	for _, r := range rcpts {
		m.say(c, 250, "RCPT TO:<"+r+">")
	}
	m.say(c, 354, "DATA")
	m.say(c, 250, "From: r@sender.example\r\nX-Rehearsal-ID: "+id+"\r\nSubject: to many\r\n\r\nhello\r\n.")
}

// A provider that lets everybody wait for its greeting gets its mail directly, in one attempt, whatever state ukai is in: without
// being steered, and as the former route behind ukai.
func TestAProviderThatGreetsLateGetsItsMailDirectlyWhileUkaiIsDown(t *testing.T) {
	for _, c := range []struct {
		how, trouble string
		rcpts        []string
	}{
		{byNet, "killed", []string{"p4d0.example", "gmail.com"}},
		{byFiles, "hung", []string{"p4d0.example", "gmail.com"}},
	} {
		t.Run(c.how+", "+c.trouble, func(t *testing.T) {
			w, d, m := steeredPostfix(t, c.how)
			for _, p := range []string{"p4", "google"} {
				if err := w.SetRules(p, append(usualRules(), peersim.Rule{Name: "greets late",
					Match: peersim.Match{Phase: peersim.Greeting}, Action: peersim.Tarpit, Delay: 6 * time.Second})); err != nil {
					t.Fatal(err)
				}
			}
			if c.trouble == "killed" {
				d.kill()
			} else {
				d.hang()
			}
			sent := m.submit(c.rcpts, 4, "late").Accepted
			arriveOnce(t, w, sent, 20*time.Second)
			if direct, _ := ways(w, sent); direct != len(sent) {
				t.Errorf("%d of %d went directly", direct, len(sent))
			}
			inOneAttempt(t, m, sent)
		})
	}
}
