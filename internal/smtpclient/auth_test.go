package smtpclient

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"ukai/internal/sasl"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAuth(t *testing.T) {
	long := strings.Repeat("x", 400)
	greet := func(auth string) string { return hello("AUTH " + auth) }
	for _, test := range []struct {
		name, script string
		opts         Options
		want         string // "" means that it succeeds
	}{
		{"PLAIN", greet("PLAIN LOGIN") + "C: AUTH PLAIN " + b64("\x00me\x00secret") + "\nS: 235 2.7.0 welcome", Options{PlainAuth: true}, ""},
		{"LOGIN", greet("LOGIN") + "C: AUTH LOGIN\nS: 334 " + b64("Username:") + "\nC: " + b64("me") + "\nS: 334 " + b64("Password:") + "\nC: " + b64("secret") + "\nS: 235 ok", Options{PlainAuth: true}, ""},
		{"a password too long for the command line", greet("PLAIN") + "C: AUTH PLAIN\nS: 334\nC: " + b64("\x00me\x00"+long) + "\nS: 235 ok", Options{PlainAuth: true, Password: long}, ""},
		{"a wrong password", greet("PLAIN") + "C: AUTH PLAIN " + b64("\x00me\x00secret") + "\nS: 535 5.7.8 wrong", Options{PlainAuth: true}, "auth 535 5.7.8 wrong"},
		{"the server has trouble", greet("PLAIN") + "C: AUTH PLAIN " + b64("\x00me\x00secret") + "\nS: 454 4.7.0 later", Options{PlainAuth: true}, "auth 454 4.7.0 later"},
		{"the connection is lost", greet("PLAIN") + "C: AUTH PLAIN " + b64("\x00me\x00secret") + "\nX: close", Options{PlainAuth: true}, "auth connection closed by the server (temporary)"},
		{"the password does not go in plain text", greet("PLAIN LOGIN"), Options{}, "auth none of the server's ways to authenticate can be used without TLS: PLAIN LOGIN (temporary)"},
		{"nothing in common", greet("GSSAPI"), Options{PlainAuth: true}, "auth none of the server's ways to authenticate can be used: GSSAPI (temporary)"},
		{"AUTH is not offered", hello(), Options{PlainAuth: true}, "auth a user name is configured, but the server does not offer AUTH (temporary)"},
		{"a server that does not stop asking", greet("LOGIN") + "C: AUTH LOGIN\nS: 334 " + b64("Username:") + "\nC: " + b64("me") + "\nS: 334 " + b64("Password:") + "\nC: " + b64("secret") + "\nS: 334 more\nC: *\nS: 501 cancelled",
			Options{PlainAuth: true}, "auth a third challenge in LOGIN: malformed authentication exchange (temporary)"},
		{"a challenge that is not base64", greet("LOGIN") + "C: AUTH LOGIN\nS: 334 {}\nC: *\nS: 501 cancelled", Options{PlainAuth: true}, "auth the server's challenge is not base64: illegal base64 data at input byte 0 (temporary)"},
		{"EHLO that is refused is not followed by HELO", "S: 220 hi\nC: EHLO me.example\nS: 502 what", Options{PlainAuth: true}, "ehlo 502 what"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(t, test.script)
			o := &test.opts
			o.Helo, o.Username = "me.example", "me"
			if o.Password == "" {
				o.Password = "secret"
			}
			c, out := Dial(t.Context(), p.target(), o)
			got := ""
			if c != nil {
				c.Quit(t.Context())
			} else {
				got = tell(*out)
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			p.wg.Wait()
		})
	}
}

func TestPasswordsGoInsideTLS(t *testing.T) {
	p := play(t, hello("STARTTLS")+"C: STARTTLS\nS: 220 go\nX: tls\nC: EHLO me.example\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN "+b64("\x00me\x00secret")+"\nS: 235 ok")
	dialPeer(t, p, Options{Username: "me", Password: "secret", TLS: Verified, TLSConf: clientTLS()})
}

// The server of SCRAM is that of package sasl: it proves that it knows the password, unless it is told not to.
func TestScram(t *testing.T) {
	for name, test := range map[string]struct {
		silent bool
		want   string
	}{
		"the server proves itself": {false, ""},
		"the server does not":      {true, "auth the server did not prove its identity (temporary)"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			done := make(chan error, 1)
			go func() { done <- scramPeer(ln, test.silent) }()
			target := Target{Host: "mx", Addrs: []netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())}}
			c, o := Dial(t.Context(), target, &Options{Username: "me", Password: "secret"})
			got := ""
			if o != nil {
				got = tell(*o)
			} else {
				c.Close()
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func scramPeer(ln net.Listener, silent bool) error {
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	keys, err := sasl.DeriveKeys("secret", []byte("salt of some octets"), 4096)
	if err != nil {
		return err
	}
	keys.Account = "me"
	server, err := sasl.NewServer(sasl.ScramSHA256, sasl.Credentials{Scram: func(string) (sasl.Keys, error) { return keys, nil }})
	if err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 hi\r\n")
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	fmt.Fprint(conn, "250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n")
	for step := 0; ; step++ {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), "AUTH SCRAM-SHA-256 ")
		response, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		challenge, end, _, err := server.Next(response)
		if err != nil {
			return err
		}
		if end || silent && step == 1 {
			fmt.Fprint(conn, "235 ok\r\n")
			return nil
		}
		fmt.Fprintf(conn, "334 %s\r\n", b64(string(challenge)))
	}
}
