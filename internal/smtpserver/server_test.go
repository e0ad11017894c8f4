package smtpserver

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/mail"
)

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
