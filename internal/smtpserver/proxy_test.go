package smtpserver

import (
	"bytes"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	v2      = proxyV2Signature
	v2v4    = v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\xdc\x04\x00\x19"
	v2v6    = v2 + "\x21\x21\x00\x27\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x00\x19\x04\x00\x00"
	v2local = v2 + "\x20\x00\x00\x00"
)

func TestParseProxy(t *testing.T) {
	for in, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 127.0.0.1 56324 25\r\n":               "192.0.2.1:56324 127.0.0.1:25",
		"PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n":           "[2001:db8::1]:56324 [2001:db8::2]:25",
		"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:127.0.0.1 56324 25\r\n": "192.0.2.1:56324 127.0.0.1:25",
		"PROXY UNKNOWN\r\n":                     "invalid AddrPort invalid AddrPort",
		"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n": "invalid AddrPort invalid AddrPort",
		v2v4:                                    "192.0.2.1:56324 127.0.0.1:25",
		v2v6:                                    "[2001:db8::1]:56324 [2001:db8::2]:25",
		v2local:                                 "invalid AddrPort invalid AddrPort",
		v2 + "\x21\x31\x00\x04path":             "invalid AddrPort invalid AddrPort",
		v2 + "\x20\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\xdc\x04\x00\x19": "invalid AddrPort invalid AddrPort",
	} {
		r := strings.NewReader(in + "EHLO")
		src, dst, err := parseProxy(r)
		if err != nil || src.String()+" "+dst.String() != want {
			t.Errorf("%q: %v %v, %v; want %s", in, src, dst, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "EHLO" {
			t.Errorf("%q: left %q", in, rest)
		}
	}
	for _, in := range []string{
		"", "PROXY", "EHLO client.test\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 56324 25\n", "PROXY TCP4 192.0.2.1 127.0.0.1 56324\r\n", "PROXY TCP5 a b c d\r\n",
		"PROXY TCP4 2001:db8::1 127.0.0.1 1 2\r\n", "PROXY TCP6 192.0.2.1 ::1 1 2\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 65536 25\r\n",
		"PROXY TCP4 192.0.2.1 127.0.0.1 -1 25\r\n", "PROXY TCP6 fe80::1%x ::1 1 2\r\n", "PROXY " + strings.Repeat("x", 200), "PROXY TCP4 192.0.2.1",
		v2, v2 + "\x21\x11\x00", v2 + "\x11\x11\x00\x00", v2 + "\x22\x11\x00\x00", v2 + "\x21\x11\x00\x04abcd", v2 + "\x21\x11\x00\x0cabcd", v2 + "\x21\x11\xff\xff",
	} {
		if src, _, err := parseProxy(strings.NewReader(in)); err == nil || src.IsValid() {
			t.Errorf("%q: accepted as %v", in, src)
		}
	}
}

func FuzzProxy(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.1 127.0.0.1 56324 25\r\n", "PROXY UNKNOWN\r\n", v2v4, v2v6, v2local} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		src, dst, err := parseProxy(bytes.NewReader(b))
		if err != nil && src.IsValid() || src.IsValid() != dst.IsValid() || src.Addr().Is4In6() {
			t.Fatalf("%q: %v %v %v", b, src, dst, err)
		}
	})
}

func TestProxyHeaderIsBelievedFromItsNetworksOnly(t *testing.T) {
	balancers := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	header := "PROXY TCP4 192.0.2.99 127.0.0.9 56324 25\r\n"
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Proxy: balancers}, &box{}, nil)
		p := newPeer(t, r.raw("10.1.1.1:1"))
		p.send(header)
		p.want("220*")
		p.send("HELO c\r\n")
		p.want("250*")
		p.message()
		if s := r.box.delivered[0].session; s.Client.String() != "192.0.2.99:56324" || s.Local.String() != "127.0.0.9:25" {
			t.Errorf("client %v, local %v", s.Client, s.Local)
		}
		stranger := newPeer(t, r.raw("192.0.2.1:1"))
		stranger.want("220*")
		stranger.send(header)
		stranger.want("500*")

		p = newPeer(t, r.raw("10.1.1.1:1"))
		p.send("EHLO client")
		p.want("<closed>")

		start := time.Now()
		newPeer(t, r.raw("10.1.1.1:1")).want("<closed>")
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("waited %v for the header", d)
		}
	})
}

func TestProxyHeaderBeforeImplicitTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, ListenerOptions{Proxy: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Implicit: true, TLS: withTLS}, &box{}, nil)
		p := newPeer(t, r.raw("10.1.1.1:1"))
		p.send(v2v4)
		p = p.overTLS(nil)
		p.want("220*")
		p.hello()
		p.message()
		if c := r.box.delivered[0].session.Client.String(); c != "192.0.2.1:56324" {
			t.Errorf("client %s", c)
		}
	})
}
