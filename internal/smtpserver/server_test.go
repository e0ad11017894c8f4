package smtpserver

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/mail"
	"ukai/internal/sasl"
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

func TestDrainTellsIdleSessionsAtOnceAndBusyOnesAfterTheirMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		idle, busy := r.dial(), r.dial()
		for _, p := range []*peer{idle, busy} {
			p.want("220*")
			p.send("HELO c\r\n")
			p.want("250*")
		}
		busy.send("MAIL FROM:<a@test>\r\n")
		busy.want("250*")
		synctest.Wait()
		done := make(chan error)
		go func() { done <- r.srv.Shutdown(context.Background()) }()
		idle.want("421 4.3.2*", "<closed>")
		busy.send("RCPT TO:<b@test>\r\nDATA\r\n")
		busy.want("250*", "354*")
		time.Sleep(time.Minute)
		busy.send("hello\r\n.\r\n")
		busy.want("250 2.0.0 Taken", "421 4.3.2*", "<closed>")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(r.box.delivered) != 1 {
			t.Errorf("delivered %v", r.box.delivered)
		}
		// A second Shutdown finds nothing to do, and nothing can be served any more.
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := r.srv.Serve(context.Background(), &pipes{done: make(chan struct{})}, ListenerOptions{}); !errors.Is(err, ErrShutdown) {
			t.Errorf("Serve after Shutdown: %v", err)
		}
	})
}

func TestDrainWithoutPatienceCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{}, nil)
		p := r.dial()
		p.want("220*")
		p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "250*", "354*")
		p.send("hel")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		p.want("<closed>")
		if len(r.box.delivered) != 0 || r.box.aborted != 1 {
			t.Errorf("delivered %d, aborted %d", len(r.box.delivered), r.box.aborted)
		}
	})
}

func TestDrainReachesAClientInTheMiddleOfALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Auth: AuthPlain}, &box{}, book{})
		login, penitent := r.dial(), r.dial()
		for _, p := range []*peer{login, penitent} {
			p.want("220*")
			p.hello()
		}
		login.send("AUTH LOGIN\r\n")
		login.want("334*")
		penitent.send("AUTH PLAIN AHUAeA==\r\n")
		synctest.Wait()
		start := time.Now()
		go r.srv.Shutdown(context.Background())
		login.want("421 4.3.2*", "<closed>")
		penitent.want("535*", "421 4.3.2*", "<closed>")
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

func TestWrongPasswordsWaitLongerEachTimeOverAllSessionsOfAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Auth: AuthPlain}, &box{}, book{})
		for _, seconds := range []int{1, 2, 4, 8, 16, 16} {
			p := r.dial()
			p.want("220*")
			p.hello()
			start := time.Now()
			p.send("AUTH PLAIN AHUAeA==\r\n")
			p.want("535 5.7.8*")
			if d := time.Since(start); d != time.Duration(seconds)*time.Second {
				t.Errorf("waited %v, want %d s", d, seconds)
			}
			p.conn.Close()
		}
		other := newPeer(t, r.raw("192.0.2.8:1"))
		other.want("220*")
		other.hello()
		start := time.Now()
		other.send("AUTH PLAIN AHUAeA==\r\n")
		other.want("535*")
		if d := time.Since(start); d != time.Second {
			t.Errorf("another client waited %v", d)
		}
		if n := r.srv.Counters().AuthFailed.Load(); n != 7 {
			t.Errorf("%d failures counted", n)
		}
	})
}

func TestTroubleWithTheAccountsIsTemporary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Auth: AuthPlain}, &box{}, book{trouble: errors.New("database gone")})
		p := r.dial()
		p.want("220*")
		p.hello()
		p.send("AUTH PLAIN AHUAcA==\r\n")
		p.want("454 4.7.0*")
	})
}

func TestScramLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{TLS: withTLS}, &box{}, book{})
		p := r.dial()
		p.want("220*")
		p.hello()
		p.send("STARTTLS\r\n")
		p.want("220*")
		p = p.overTLS(nil)
		p.hello()
		client, err := sasl.NewClient([]string{"SCRAM-SHA-256"}, "u", "p", false)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := client.Start()
		p.send("AUTH SCRAM-SHA-256 " + base64.StdEncoding.EncodeToString(first) + "\r\n")
		line := p.line()
		for strings.HasPrefix(line, "334 ") {
			challenge, _ := base64.StdEncoding.DecodeString(line[4:])
			answer, err := client.Next(challenge)
			if err != nil {
				t.Fatal(err)
			}
			p.send(base64.StdEncoding.EncodeToString(answer) + "\r\n")
			line = p.line()
		}
		if line != "235 2.7.0 Authenticated" || sasl.Complete(client) != nil {
			t.Fatalf("%q, %v", line, sasl.Complete(client))
		}
		p.message()
		if d := r.box.delivered[0]; d.session.Account != "acc" || d.env.Account != "acc" || d.session.Protocol(false) != "ESMTPSA" {
			t.Errorf("%+v", d.session)
		}
	})
}

func TestAClientCertificateIsAnAccount(t *testing.T) {
	cert := certificate()
	for _, implicit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{}, ListenerOptions{TLS: withTLS, ClientCerts: true, Implicit: implicit}, &box{}, book{})
			p := r.dial()
			if !implicit {
				p.want("220*")
				p.hello()
				p.send("STARTTLS\r\n")
				p.want("220*")
			}
			p = p.overTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
			if implicit {
				p.want("220*")
			}
			if l := strings.Join(p.hello(), "\n"); !strings.Contains(l, "AUTH SCRAM-SHA-256 PLAIN LOGIN EXTERNAL\n") {
				t.Errorf("EHLO: %s", l)
			}
			p.message()
			p.send("AUTH EXTERNAL bm9uZQ==\r\n")
			p.want("535*")
			p.send("AUTH EXTERNAL =\r\n")
			p.want("235*")
			p.message()
			if d := r.box.delivered; len(d) != 2 || d[0].env.Account != "cert-acc" || d[1].env.Account != "cert-acc" {
				t.Errorf("delivered %+v", d)
			}
		})
	}
}

func TestAClientCertificateIsAnAccountWhereNobodyLogsInByPassword(t *testing.T) {
	cert := certificate()
	own := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
	for name, conf := range map[string]*tls.Config{"asked for by us": serverTLS, "asked for by the configuration": own} {
		synctest.Test(t, func(t *testing.T) {
			lo := ListenerOptions{TLS: func() *tls.Config { return conf }, ClientCerts: true, Implicit: true, Auth: AuthNone}
			r := newRig(t, Options{}, lo, &box{}, book{})
			p := r.dial().overTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
			p.want("220*")
			if l := strings.Join(p.hello(), "\n"); strings.Contains(l, "AUTH") {
				t.Errorf("%s: EHLO: %s", name, l)
			}
			p.message()
			if a := r.box.delivered[0].env.Account; a != "cert-acc" {
				t.Errorf("%s: account %q", name, a)
			}
		})
	}
}

func TestWithoutClientCertsNoneIsAskedFor(t *testing.T) {
	cert := certificate()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{TLS: withTLS, Implicit: true}, &box{}, book{})
		p := r.dial().overTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
		p.want("220*")
		if l := strings.Join(p.hello(), "\n"); strings.Contains(l, "EXTERNAL") || !strings.Contains(l, "REQUIRETLS") {
			t.Errorf("EHLO: %s", l)
		}
		p.message()
		if a := r.box.delivered[0].env.Account; a != "" {
			t.Errorf("account %q", a)
		}
	})
}

func TestAHandshakeThatFailsEndsTheSessionWithoutAWordInTheClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{TLS: withTLS, Implicit: true}, &box{}, nil)
		conn := r.raw("192.0.2.7:1")
		conn.Write([]byte("EHLO in the clear\r\n"))
		got, _ := io.ReadAll(conn)
		if strings.Contains(string(got), "220") || strings.Contains(string(got), "421") {
			t.Errorf("got %q", got)
		}
		synctest.Wait()
		if n := r.srv.Counters().TLSFailed.Load(); n != 1 {
			t.Errorf("%d failed handshakes counted", n)
		}
		// A client that says nothing at all.
		start := time.Now()
		silent := r.raw("192.0.2.7:1")
		io.ReadAll(silent)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("waited %v for a handshake", d)
		}
	})
}

func TestImplicitTLSWithoutACertificateCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Implicit: true}, &box{}, nil)
		r.dial().want("<closed>")
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

func TestOneClientCannotTakeAllPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := netip.MustParsePrefix("10.0.0.0/8")
		r := newRig(t, Options{Clients: ClientLimits{Total: 5, Connections: 2, PerMinute: 4, Exempt: []netip.Prefix{ours}}}, ListenerOptions{}, &box{}, nil)
		from := func(addr string, want ...string) *peer {
			t.Helper()
			p := newPeer(t, r.raw(addr))
			p.want(want...)
			return p
		}
		a, b := from("[2001:db8::1]:1", "220*"), from("[2001:db8::2]:1", "220*")
		from("[2001:db8::3]:1", "421 4.7.0 Too many connections from your address*", "<closed>")
		from("[2001:db8:0:1::3]:1", "220*") // the next network
		for _, p := range []*peer{a, b} {
			p.conn.Close()
		}
		synctest.Wait()
		for range 2 {
			from("[2001:db8::1]:1", "220*").conn.Close()
			synctest.Wait()
		}
		from("[2001:db8::1]:1", "421 4.7.0 Too many connections per minute*", "<closed>")
		time.Sleep(15 * time.Second)
		from("[2001:db8::1]:1", "220*").conn.Close()
		synctest.Wait()

		for range 4 {
			from("10.0.0.1:1", "220*") // ours: as many as there are places
		}
		from("10.0.0.1:1", "421 4.7.0 Too many connections, try again later", "<closed>")
		if n := r.srv.Counters().Turned.Load(); n != 3 {
			t.Errorf("%d turned away", n)
		}
	})
}

func TestBeyondTwiceTheSessionsNobodyIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Clients: ClientLimits{Total: 1}}, ListenerOptions{}, &box{}, nil)
		r.dial().want("220*")
		told := r.raw("192.0.2.1:1") // holds its 421 up: it does not read
		synctest.Wait()
		r.dial().want("<closed>")
		told.Close()
	})
}

func TestImplicitTLSOverTheLimitIsClosedWithoutWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Clients: ClientLimits{Total: 1}}, ListenerOptions{Implicit: true, TLS: withTLS}, &box{}, nil)
		p := r.dial().overTLS(nil)
		p.want("220*")
		r.dial().want("<closed>")
	})
}

func TestReloadChangesWhatNewSessionsSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Hostname: "old.test"}, ListenerOptions{Name: "in"}, &box{}, nil)
		old := r.dial()
		old.want("220 old.test*")
		r.srv.SetOptions(Options{Hostname: "new.test", MaxRecipients: 7})
		if !r.srv.SetListenerOptions(ListenerOptions{Name: "in", TLS: withTLS}) {
			t.Error("no such listener")
		}
		if r.srv.SetListenerOptions(ListenerOptions{Name: "out"}) {
			t.Error("a listener that is not there was changed")
		}
		if l := old.hello(); l[0] != "old.test" || strings.Contains(strings.Join(l, " "), "STARTTLS") {
			t.Errorf("the old session sees %q", l)
		}
		old.message()
		p := r.dial()
		p.want("220 new.test*")
		if l := strings.Join(p.hello(), " "); !strings.Contains(l, "STARTTLS") || !strings.Contains(l, "RCPTMAX=7") {
			t.Errorf("the new session sees %q", l)
		}
	})
}

func TestUnlimitedOptionsAreNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := Timeouts{Command: -1, Data: -1, Session: -1, Handshake: -1, Write: -1, MinRate: -1}
		r := newRig(t, Options{MaxSize: -1, MaxRecipients: -1, MaxLine: -1, MaxErrors: -1, Clients: ClientLimits{-1, -1, -1, nil}, Timeouts: off}, ListenerOptions{}, &box{}, nil)
		p := r.dial()
		p.want("220*")
		if l := strings.Join(p.hello(), "|"); strings.Contains(l, "LIMITS") || !strings.HasSuffix(l, "|SIZE 0") {
			t.Errorf("EHLO: %q", l)
		}
		time.Sleep(24 * time.Hour)
		p.send("MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "354*")
		p.send(strings.Repeat("x", 100000) + "\r\n")
		time.Sleep(24 * time.Hour)
		p.send(".\r\n")
		p.want("250 2.0.0 Taken")
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

func TestALongAuthResponseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Auth: AuthPlain}, &box{}, book{})
		p := r.dial()
		p.want("220*")
		p.hello()
		p.send("AUTH PLAIN\r\n")
		p.want("334*")
		p.send(strings.Repeat("A", 20000) + "\r\n")
		p.want("500 5.5.6*")
		p.send("AUTH PLAIN\r\n")
		p.want("334*")
		p.send("AHUAcA==\n")
		p.want("500 5.5.2 Bare*")
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

func TestRepliesOfTheHandlerCannotForgeOthers(t *testing.T) {
	for _, c := range []struct {
		r    mail.Reply
		want string
	}{
		{mail.Reply{Code: 550, Lines: []string{"a\r\n250 b\x7f"}}, "550 a  250 b \r\n"},
		{mail.Reply{Code: 99, Lines: []string{"a", "b"}}, "451-a\r\n451 b\r\n"},
		{mail.Reply{Code: 354, Lines: []string{"a"}}, "451 a\r\n"},
		{mail.Reply{Code: 450, Status: mail.Status{Class: 4, Subject: 2}}, "450 4.2.0\r\n"},
	} {
		if got := string(appendReply(nil, &c.r)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
	}
}

func TestAHandlerThatBeginsWithAYesInsteadOfAContentIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{}, &box{replies: map[string]*mail.Reply{"BEGIN": {Code: 250, Lines: []string{"ok"}}}}, nil)
		p := r.dial()
		p.want("220*")
		p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "250*", "451 4.3.0*")
	})
}

func TestProtocolWords(t *testing.T) {
	on := &tls.ConnectionState{}
	for _, c := range []struct {
		s    Session
		utf8 bool
		want string
	}{
		{Session{}, false, "SMTP"},
		{Session{ESMTP: true}, false, "ESMTP"},
		{Session{ESMTP: true, Account: "a"}, false, "ESMTPA"},
		{Session{ESMTP: true, TLS: on}, false, "ESMTPS"},
		{Session{ESMTP: true, TLS: on, Account: "a"}, true, "UTF8SMTPSA"},
	} {
		if got := c.s.Protocol(c.utf8); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// trouble is a listener that fails some times before it works, and for good in the end.
type trouble struct {
	pipes
	fails int
}

func (l *trouble) Accept() (net.Conn, error) {
	if l.fails--; l.fails >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.pipes.Accept()
}

func TestAcceptIsTriedAgainUntilTheListenerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &trouble{pipes: pipes{conns: make(chan net.Conn), done: make(chan struct{})}, fails: 20}
		srv := New(Options{}, &box{}, nil, slog.New(slog.DiscardHandler))
		end := make(chan error, 1)
		go func() { end <- srv.Serve(t.Context(), l, ListenerOptions{}) }()
		near, server := net.Pipe()
		l.conns <- far{server, netip.MustParseAddrPort("192.0.2.1:1")}
		newPeer(t, near).want("220 localhost*")
		near.Close()
		l.Close()
		if err := <-end; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		// While it waits to try again it can be stopped.
		for _, stop := range []string{"ctx", "drain"} {
			l = &trouble{pipes: pipes{conns: make(chan net.Conn), done: make(chan struct{})}, fails: 1000}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { end <- srv.Serve(ctx, l, ListenerOptions{}) }()
			time.Sleep(time.Minute + 300*time.Millisecond)
			if stop == "drain" {
				srv.Shutdown(t.Context())
			}
			cancel()
			if err := <-end; err != nil {
				t.Errorf("stopped by %s: %v", stop, err)
			}
		}
	})
}

func TestServeEndsWithItsContextAndLeavesTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(Options{}, &box{}, nil, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		end := make(chan error, 1)
		go func() { end <- srv.Serve(ctx, l, ListenerOptions{}) }()
		near, server := net.Pipe()
		l.conns <- far{server, netip.MustParseAddrPort("192.0.2.1:1")}
		p := newPeer(t, near)
		p.want("220*")
		cancel()
		if err := <-end; err != nil {
			t.Errorf("Serve: %v", err)
		}
		p.send("HELO c\r\n")
		p.want("250*")
		p.message()
		go srv.Shutdown(context.Background())
		p.want("421*", "<closed>")
		synctest.Wait()
	})
}
