package smtpserver

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/sasl"
)

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
