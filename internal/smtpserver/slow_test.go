package smtpserver

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowClientsAreSentAway(t *testing.T) {
	rcpt := "MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\n"
	for name, c := range map[string]struct {
		talk  func(p *peer)
		reply string
		after time.Duration
	}{
		"no command": {func(*peer) {}, "421 4.4.2 Timeout", 5 * time.Minute},
		"a command in crumbs": {func(p *peer) {
			for range 4 {
				p.send("N")
				time.Sleep(time.Minute)
			}
		}, "421 4.4.2 Timeout", 5 * time.Minute},
		"no command in a transaction": {func(p *peer) {
			p.send(rcpt)
			p.want("250*", "250*")
		}, "421 4.4.2 Timeout", 5 * time.Minute},
		"no content": {func(p *peer) {
			p.send(rcpt + "DATA\r\n")
			p.want("250*", "250*", "354*")
		}, "421 4.4.2 Timeout", 3 * time.Minute},
		"content in crumbs": {func(p *peer) {
			p.send(rcpt + "DATA\r\n")
			p.want("250*", "250*", "354*")
			done := make(chan struct{})
			p.t.Cleanup(func() { <-done })
			go func() { // 500 octets per second, where 1000 are asked
				defer close(done)
				for {
					if _, err := p.conn.Write([]byte(strings.Repeat("x", 498) + "\r\n")); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
		}, "421 4.4.2 Timeout", 3 * time.Minute * 2},
		"a chunk that stops": {func(p *peer) {
			p.send(rcpt + "BDAT 100\r\nabc")
			p.want("250*", "250*")
		}, "421 4.4.2 Timeout", 3 * time.Minute},
		"a session without end": {func(p *peer) {
			for range 4 {
				time.Sleep(2 * time.Minute)
				p.message()
			}
		}, "421 4.4.2 The session took too long", 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				r := newRig(t, Options{Timeouts: Timeouts{Session: 10 * time.Minute, MinRate: 1000}}, ListenerOptions{}, &box{}, nil)
				p := r.dial()
				p.want("220*")
				p.send("HELO c\r\n")
				p.want("250*")
				c.talk(p)
				p.want(c.reply, "<closed>")
				if d := time.Since(start); d < c.after-3*time.Second || d > c.after+3*time.Second {
					t.Errorf("after %v, want %v", d, c.after)
				}
				if n := r.srv.Counters().Timeouts.Load(); n != 1 {
					t.Errorf("%d timeouts counted", n)
				}
			})
		})
	}
}

func TestAContentThatKeepsUpTheRateMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		p := r.dial()
		p.want("220*")
		p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "250*", "354*")
		for range 3000 { // 50 min
			p.send(strings.Repeat(strings.Repeat("x", 498)+"\r\n", 3))
			time.Sleep(time.Second)
		}
		p.send(".\r\n")
		p.want("250 2.0.0 Taken")
	})
}

func TestAClientThatReadsNoRepliesIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		start := time.Now()
		conn := r.raw("192.0.2.7:1") // the greeting is never read: a pipe has no room
		synctest.Wait()
		if n := r.srv.Counters().Sessions.Load(); n != 1 {
			t.Fatalf("%d sessions", n)
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if n := r.srv.Counters().Sessions.Load(); n != 0 {
			t.Errorf("%d sessions after %v", n, time.Since(start))
		}
		conn.Close()
	})
}

func TestEarlyTalkersAreSentAwayAndPatientClientsGreeted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := netip.MustParsePrefix("10.0.0.0/8")
		r := newRig(t, Options{Clients: ClientLimits{Exempt: []netip.Prefix{ours}}}, ListenerOptions{GreetPause: 3 * time.Second}, &box{}, nil)
		early := r.dial()
		early.send("EHLO c\r\n")
		early.want("554 5.5.1 Wait for the greeting", "<closed>")
		for from, wait := range map[string]time.Duration{"192.0.2.8:1": 3 * time.Second, "10.0.0.1:1": 0} {
			start := time.Now()
			p := newPeer(t, r.raw(from))
			p.want("220*")
			if d := time.Since(start); d != wait {
				t.Errorf("%s waited %v, want %v", from, d, wait)
			}
			p.send("HELO c\r\n")
			p.want("250*")
			p.message()
		}
		gone := r.raw("192.0.2.9:1")
		gone.Close()
	})
}

func TestContentWithoutEndIsCutOffWithAFinalReply(t *testing.T) {
	for name, begin := range map[string]string{"DATA": "DATA\r\n", "BDAT": "BDAT 4000000\r\n", "BDAT that was refused": "RSET\r\nBDAT 4000000\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{MaxSize: 1000}, ListenerOptions{}, &box{}, nil)
				p := r.dial()
				p.want("220*")
				p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\n" + begin)
				p.want("250*", "250*", "250*")
				if name != "BDAT" {
					p.line()
				}
				go func() {
					for range 4000 {
						if _, err := p.conn.Write([]byte(strings.Repeat("x", 998) + "\r\n")); err != nil {
							return
						}
					}
				}()
				p.want("552 5.3.4*", "421 4.7.0*", "<closed>")
			})
		})
	}
}

func TestALineWithoutEndIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		p := r.dial()
		p.want("220*")
		p.send(strings.Repeat("x", 100000) + "\r\nNOOP\r\n")
		p.want("500 5.5.2 Line too long", "250*")
		p.send("NOOP " + strings.Repeat("x", 506) + "\r\nMAIL " + strings.Repeat("x", 2000) + "\r\nNOOP " + strings.Repeat("x", 505) + "\r\n")
		p.want("500 5.5.2 Line too long", "500 5.5.2 Line too long", "250*")
		p.send("NOOP" + strings.Repeat("\r", 20000) + "\n")
		p.want("500 5.5.2*")
		go p.conn.Write([]byte(strings.Repeat("x", 1<<20)))
		p.want("500 5.5.2 Line too long", "421 4.7.0 Too much input", "<closed>")
	})
}

func TestAClientThatVanishesLeavesNothing(t *testing.T) {
	for _, last := range []string{"DATA\r\nhel", "BDAT 10\r\nhel", "BDAT 5\r\nhel\r\n", "MAIL"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
			p := r.dial()
			go io.Copy(io.Discard, p.conn)
			p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\n")
			cmd, rest, _ := strings.Cut(last, "\r\n")
			p.send(cmd + "\r\n")
			synctest.Wait()
			p.send(rest)
			p.conn.Close()
			synctest.Wait()
			c := r.srv.Counters()
			if len(r.box.delivered) != 0 || r.box.aborted > 1 || (last != "MAIL") != (r.box.aborted == 1) || c.Sessions.Load() != 0 {
				t.Errorf("%q: delivered %d, aborted %d, sessions %d", last, len(r.box.delivered), r.box.aborted, c.Sessions.Load())
			}
		})
	}
}
