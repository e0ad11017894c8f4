package smtpclient

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"ukai/internal/outcome"
)

func TestDial(t *testing.T) {
	tls := hello("STARTTLS", "PIPELINING") + "C: STARTTLS\nS: 220 go\nX: tls\n"
	again := "C: EHLO me.example\nS: 250-mx\nS: 250 DSN\n"
	for _, test := range []struct {
		name    string
		scripts []string // one for each connection
		opts    Options
		host    string
		want    string // the outcome, or the TLS version and "DSN" or "PIPELINING", whatever the last EHLO offered
	}{
		{"the greeting is a refusal", []string{"S: 554-5.7.1 go away\nS: 554 listed"}, Options{}, "", "greeting 554 5.7.1 go away listed"},
		{"the greeting is a delay", []string{"S: 421 4.3.2 too many connections\nX: hang"}, Options{}, "", "greeting 421 4.3.2 too many connections"},
		{"no greeting", []string{"X: close"}, Options{}, "", "greeting connection closed by the server (temporary)"},
		{"a greeting of another protocol", []string{"S: +OK POP3 ready\nX: hang"}, Options{}, "", `greeting the server's reply is not SMTP: "+OK POP3 ready\r" (temporary)`},
		{"EHLO is refused, HELO too", []string{"S: 220 hi\nC: EHLO me.example\nS: 550 5.7.1 listed\nC: HELO me.example\nS: 502 what"}, Options{}, "", "ehlo 550 5.7.1 listed"},
		{"EHLO is refused and the server closes", []string{"S: 220 hi\nC: EHLO me.example\nS: 550 5.7.1 listed\nC: HELO me.example\nX: close"}, Options{}, "", "ehlo 550 5.7.1 listed"},
		{"EHLO is refused for now", []string{"S: 220 hi\nC: EHLO me.example\nS: 451 later"}, Options{}, "", "ehlo 451 later"},
		{"the connection is lost at EHLO", []string{"S: 220 hi\nC: EHLO me.example\nX: close"}, Options{}, "", "ehlo connection closed by the server (temporary)"},
		{"HELO is of no use where TLS is needed", []string{"S: 220 hi\nC: EHLO me.example\nS: 502 what"}, Options{TLS: Required}, "", "ehlo 502 what"},
		{"a server that says more than it was asked", []string{"S: 220 hi\nC: EHLO me.example\nS: 250 mx\nS: 250 mx\nX: hang"}, Options{}, "", "ehlo the server says more than it was asked for (temporary)"},

		{"opportunistic TLS", []string{tls + again}, Options{}, "", "TLS1.3 DSN"},
		{"opportunistic TLS does not look at the certificate", []string{tls + again}, Options{}, "other.example", "TLS1.3 DSN"},
		{"opportunistic TLS that is not offered", []string{hello("PIPELINING")}, Options{}, "", " PIPELINING"},
		{"opportunistic TLS that is refused", []string{hello("STARTTLS", "PIPELINING") + "C: STARTTLS\nS: 454 4.7.0 no certificate today"}, Options{}, "", " PIPELINING"},
		{"opportunistic TLS that fails is followed by plain text", []string{
			hello("STARTTLS", "PIPELINING") + "C: STARTTLS\nS: 220 go\nB: 5\nR: \"no TLS here, sorry\"\nX: hang", hello("STARTTLS", "DSN"),
		}, Options{}, "", " DSN"},
		{"plain text after a failed handshake can fail too", []string{
			hello("STARTTLS") + "C: STARTTLS\nS: 220 go\nX: close", "S: 554 no",
		}, Options{}, "", "greeting 554 no"},
		{"421 to STARTTLS", []string{hello("STARTTLS") + "C: STARTTLS\nS: 421 4.7.0 no\nX: close"}, Options{}, "", "starttls 421 4.7.0 no"},
		{"the connection is lost at STARTTLS", []string{hello("STARTTLS") + "C: STARTTLS\nX: close"}, Options{}, "", "starttls connection closed by the server (temporary)"},
		{"a reply in plain text behind STARTTLS is an attack", []string{hello("STARTTLS") + "C: STARTTLS\nS: 220 go\nS: 250-mx\nS: 250 AUTH PLAIN\nX: hang"}, Options{}, "", "starttls the server said more in plain text after STARTTLS (temporary)"},
		{"EHLO is refused inside TLS", []string{tls + "C: EHLO me.example\nS: 550 5.7.1 no\nC: HELO me.example\nS: 550 no"}, Options{}, "", "ehlo 550 5.7.1 no"},
		{"no TLS, though it is offered", []string{hello("STARTTLS", "DSN")}, Options{TLS: NoTLS}, "", " DSN"},

		{"required TLS", []string{tls + again}, Options{TLS: Required}, "other.example", "TLS1.3 DSN"},
		{"required TLS that is not offered", []string{hello()}, Options{TLS: Required}, "", "starttls TLS is required, but the server does not offer STARTTLS (temporary)"},
		{"required TLS that is refused", []string{hello("STARTTLS") + "C: STARTTLS\nS: 454 4.7.0 not now"}, Options{TLS: Required}, "", "starttls 454 4.7.0 not now"},
		{"required TLS that fails has no plain text after it", []string{hello("STARTTLS") + "C: STARTTLS\nS: 220 go\nB: 5\nR: \"no TLS here, sorry\"\nX: hang"}, Options{TLS: Required}, "", "starttls tls: first record does not look like a TLS handshake (temporary)"},

		{"verified TLS", []string{tls + again}, Options{TLS: Verified}, "", "TLS1.3 DSN"},
		{"verified TLS with a trailing dot in the name", []string{tls + again}, Options{TLS: Verified}, "mx.example.org.", "TLS1.3 DSN"},
		{"verified TLS for another host", []string{tls}, Options{TLS: Verified}, "other.example", "starttls certificate is for mx.example.org, not for other.example (temporary)"},
		{"implicit TLS", []string{"X: tls\n" + hello("DSN")}, Options{TLS: Implicit}, "", "TLS1.3 DSN"},
		{"implicit TLS looks at the certificate", []string{"X: tls"}, Options{TLS: Implicit}, "other.example", "starttls certificate is for mx.example.org, not for other.example (temporary)"},
		{"implicit TLS with a server that waits in plain text", []string{"S: 220 hi\nX: hang"}, Options{TLS: Implicit}, "", "starttls tls: first record does not look like a TLS handshake (temporary)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(t, test.scripts...)
			test.opts.Helo, test.opts.TLSConf = "me.example", clientTLS()
			target := p.target()
			if test.host != "" {
				target.Host = test.host
			}
			c, o := Dial(t.Context(), target, &test.opts)
			if (c == nil) == (o == nil) {
				t.Fatalf("conn %v, outcome %v", c, o)
			}
			got := ""
			if o != nil {
				got = tell(*o)
				if o.Host != target.Host || o.Remote != p.addr || o.Egress != "direct" || o.Provider != "example" || o.Duration <= 0 || o.LocalIP.String() != "127.0.0.1" {
					t.Errorf("the outcome lacks facts: %+v", o)
				}
			} else {
				got = c.TLS()
				if c.Extensions().Pipelining {
					got += " PIPELINING"
				}
				if c.Extensions().DSN {
					got += " DSN"
				}
				c.Quit(t.Context())
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestDialSaysWhyNoConnectionCameAbout(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := netip.MustParseAddrPort(ln.Addr().String())
	ln.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	v6 := netip.MustParseAddrPort("[2001:db8::1]:25")
	for _, test := range []struct {
		name  string
		ctx   context.Context
		addrs []netip.AddrPort
		want  string
	}{
		{"one address", t.Context(), []netip.AddrPort{closed}, "connect connection refused (temporary)"},
		{"two with the same reason", t.Context(), []netip.AddrPort{closed, closed}, "connect connection refused (temporary)"},
		{"two with different reasons", t.Context(), []netip.AddrPort{closed, v6}, "connect [2001:db8::1]:25: the egress has no source address of this family; " + closed.String() + ": connection refused (temporary)"},
		{"no address", t.Context(), nil, "connect no address to connect to (temporary)"},
		{"nobody waits any more", gone, []netip.AddrPort{closed}, "connect cancelled (temporary)"},
		{"nobody waits for any of two", gone, []netip.AddrPort{closed, closed}, "connect cancelled (temporary)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := &Options{Dialer: DirectDialer(netip.MustParseAddr("127.0.0.1"))}
			c, o := Dial(test.ctx, Target{Host: "mx", Addrs: test.addrs}, opts)
			if c != nil || tell(*o) != test.want {
				t.Errorf("%v, %+v, want %s", c, o, test.want)
			}
		})
	}
}

func TestTheEndOfTheContextEndsDial(t *testing.T) {
	for name, script := range map[string]string{"greeting": "X: signal\nX: hang", "ehlo": "S: 220 hi\nC: EHLO me.example\nX: signal\nX: hang", "starttls": hello("STARTTLS") + "C: STARTTLS\nS: 220 go\nX: signal\nX: hang"} {
		t.Run(name, func(t *testing.T) {
			p := play(t, script)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-p.signal; cancel() }()
			c, o := Dial(ctx, p.target(), &Options{Helo: "me.example"})
			early := name == "greeting" && o != nil && o.Phase == outcome.Connect // accepted, but we had not heard of it
			if c != nil || tell(*o) != name+" cancelled (temporary)" && !early {
				t.Errorf("%v, %+v", c, o)
			}
		})
	}
}

func TestRequireTLSNeedsAServerThatPromisesIt(t *testing.T) {
	tls := hello("STARTTLS") + "C: STARTTLS\nS: 220 go\nX: tls\nC: EHLO me.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250 "
	sent := "C: MAIL FROM:<a@sender.example> REQUIRETLS\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 done"
	refused := "mail 550 5.7.30 the message requires TLS on its whole way, and HOST does not promise it (not sent)"
	for _, test := range []struct{ name, script, host, want string }{
		{"it promises and its certificate is valid", tls + "REQUIRETLS\n" + sent, "mx.example.org", "end-of-data 250 done"},
		{"it does not promise", tls + "HELP", "mx.example.org", refused},
		{"its certificate is for another host", tls + "REQUIRETLS", "other.example", refused},
	} {
		for _, mode := range []TLSMode{Opportunistic, Required, Verified} {
			if mode == Verified && test.host == "other.example" {
				continue
			}
			p := play(t, test.script)
			target := p.target()
			target.Host = test.host
			c, o := Dial(t.Context(), target, &Options{Helo: "me.example", TLS: mode, TLSConf: clientTLS()})
			if o != nil {
				t.Fatal(tell(*o))
			}
			m := message(body, "b@example.org")
			m.Envelope.RequireTLS = true
			res := c.Send(t.Context(), m)
			if want := strings.ReplaceAll(test.want, "HOST", test.host); tellAll(res) != want {
				t.Errorf("%s: %s, want %s", test.name, tellAll(res), want)
			}
			c.Close()
		}
	}
}

func TestALongContentInsideTLSIsCutWhenTheServerHasHadEnough(t *testing.T) {
	p := play(t, hello("STARTTLS")+"C: STARTTLS\nS: 220 go\nX: tls\nC: EHLO me.example\nS: 250-mx\nS: 250 PIPELINING\n"+
		"C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nB: 100000\nS: 552 too big\nX: pause")
	res := dialPeer(t, p, Options{}).Send(t.Context(), message(strings.Repeat("0123456789abcde\r\n", 1<<20), "b@example.org"))
	if got := tellAll(res); got != "end-of-data 552 too big" || res.ConnUsable || res.Outcomes[0].TLS != "TLS1.3" {
		t.Errorf("%s, usable %v", got, res.ConnUsable)
	}
}

func TestWhatAConnectionTellsOfItself(t *testing.T) {
	p := play(t, hello("SIZE 1000", "", "SIZE nonsense", "AUTH PLAIN", "AUTH=LOGIN", "8BITMIME", "smtputf8", "chunking"))
	c := dialPeer(t, p, Options{})
	e := c.Extensions()
	if e.MaxSize != 1000 || !e.EightBit || !e.UTF8 || !e.Chunking || strings.Join(e.Auth, " ") != "PLAIN LOGIN" {
		t.Errorf("%+v", e)
	}
	if c.Host() != "mx.example.org" || c.Remote() != p.addr || c.LocalIP().String() != "127.0.0.1" || c.TLS() != "" || c.Idle(c.used.Add(5)) != 5 || c.Sent() != 0 {
		t.Errorf("%+v", c.base)
	}
}

func TestOutcomesOfOneConnectionDoNotShareWhatChanges(t *testing.T) {
	p := play(t, hello("PIPELINING")+"C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<1@e>\nC: RCPT TO:<2@e>\nC: DATA\nS: 250 ok\nS: 550 one\nS: 550 two\nS: 554 no")
	res := dialPeer(t, p, Options{}).Send(t.Context(), message(body, "1@e", "2@e"))
	if tellAll(res) != "rcpt 550 one\nrcpt 550 two" || res.Outcomes[0].Phase != outcome.RcptTo {
		t.Error(tellAll(res))
	}
}
