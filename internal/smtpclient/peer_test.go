package smtpclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// peer is a server that plays scripts, one for each connection. A script has a line for each thing that happens:
//
//	S: 250 ok          the server says a line; lines that follow each other are one write
//	R: "250 o\xff\n"   the server says these octets
//	C: MAIL FROM:<>    the client says exactly this line
//	D:                 the client sends content up to the last dot
//	B: 12              the client sends 12 octets
//	X: tls             both begin TLS
//	X: signal          the test is told that the script got here
//	X: close           the server closes; "reset" makes it abrupt, "hang" waits for the client to close, and "pause" for the
//	                   end of the test, without reading
//
// When a script is over, the server answers QUIT and waits for the end.
type peer struct {
	addr netip.AddrPort

	mu       sync.Mutex
	faults   []string
	contents []string // each content as it came, dots and all
	quits    int
	wg       sync.WaitGroup
	end      chan struct{}
	signal   chan struct{}
}

// play starts a peer on loopback.
func play(t *testing.T, scripts ...string) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: netip.MustParseAddrPort(ln.Addr().String()), end: make(chan struct{}), signal: make(chan struct{}, 10)}
	p.wg.Go(func() {
		defer ln.Close()
		for i, s := range scripts {
			conn, err := ln.Accept()
			if err != nil {
				p.fault("connection %d: %v", i+1, err)
				return
			}
			p.wg.Go(func() { p.perform(conn, s) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		close(p.end)
		p.wg.Wait()
		for _, f := range p.faults {
			t.Error(f)
		}
	})
	return p
}

func (p *peer) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, "server: "+fmt.Sprintf(format, args...))
}

// content returns the contents that came so far.
func (p *peer) content() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.contents...)
}

type performance struct {
	p    *peer
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func (p *peer) perform(conn net.Conn, script string) {
	f := &performance{p: p, conn: conn, in: bufio.NewReader(conn)}
	defer func() { f.conn.Close() }()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		verb, arg, _ := strings.Cut(line, ":")
		if !f.act(verb, strings.TrimPrefix(arg, " "), conn) {
			return
		}
	}
	f.flush()
	line, _ := f.in.ReadString('\n')
	if line == "QUIT\r\n" {
		p.mu.Lock()
		p.quits++
		p.mu.Unlock()
		io.WriteString(f.conn, "221 bye\r\n")
		line = ""
	}
	if rest, _ := io.ReadAll(f.in); line != "" || len(rest) > 0 {
		p.fault("after the script came %q", line+string(rest))
	}
}

// act plays a line of the script and tells whether to go on.
func (f *performance) act(verb, arg string, raw net.Conn) bool {
	if verb != "S" && verb != "R" {
		f.flush()
	}
	var err error
	switch verb {
	case "S":
		f.out = append(f.out, arg+"\r\n"...)
	case "R":
		var s string
		s, err = strconv.Unquote(arg)
		f.out = append(f.out, s...)
	case "C":
		var got string
		got, err = f.in.ReadString('\n')
		if err == nil && got != arg+"\r\n" {
			f.p.fault("heard %q, want %q", got, arg)
			return false
		}
	case "D":
		err = f.data()
	case "B":
		n, _ := strconv.Atoi(arg)
		b := make([]byte, n)
		_, err = io.ReadFull(f.in, b)
		f.keep(b)
	case "X":
		return f.event(arg, raw)
	default:
		f.p.fault("script: %q", verb)
	}
	if err != nil {
		f.p.fault("%s %s: %v", verb, arg, err)
	}
	return err == nil
}

func (f *performance) flush() {
	if len(f.out) > 0 {
		f.conn.Write(f.out)
		f.out = nil
	}
}

func (f *performance) event(what string, raw net.Conn) bool {
	switch what {
	case "tls":
		t := tls.Server(raw, serverTLS())
		if t.Handshake() != nil {
			return false
		}
		f.conn, f.in = t, bufio.NewReader(t)
		return true
	case "signal":
		f.p.signal <- struct{}{}
		return true
	case "hang":
		io.Copy(io.Discard, f.in)
	case "pause":
		<-f.p.end
	case "reset":
		raw.(*net.TCPConn).SetLinger(0)
	}
	return false
}

func (f *performance) data() error {
	var b []byte
	for !bytes.HasSuffix(b, []byte("\r\n.\r\n")) && string(b) != ".\r\n" {
		line, err := f.in.ReadBytes('\n')
		if err != nil {
			return err
		}
		b = append(b, line...)
	}
	f.keep(b)
	return nil
}

func (f *performance) keep(b []byte) {
	f.p.mu.Lock()
	f.p.contents = append(f.p.contents, string(b))
	f.p.mu.Unlock()
}

// identity is the certificate of mx.example.org and the authority that signed it.
var identity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"mx.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
})

func serverTLS() *tls.Config {
	cert, _ := identity()
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func clientTLS() *tls.Config {
	_, pool := identity()
	return &tls.Config{RootCAs: pool}
}

func (p *peer) target() Target {
	return Target{Host: "mx.example.org", Addrs: []netip.AddrPort{p.addr}, Egress: "direct", Provider: "example"}
}

// dialPeer connects and fails the test if that does not succeed.
func dialPeer(t *testing.T, p *peer, opts Options) *Conn {
	t.Helper()
	opts.Helo = "me.example"
	c, o := Dial(context.Background(), p.target(), &opts)
	if o != nil {
		t.Fatalf("dial: %s", tell(*o))
	}
	t.Cleanup(c.Close)
	return c
}

// tell says an outcome in one line.
func tell(o outcome.Outcome) string {
	s := o.Phase.String() + " " + o.Text()
	if o.Reply.Code == 0 {
		s += map[bool]string{true: " (temporary)", false: " (final)"}[o.ErrTemporary]
	}
	return s
}

func tellAll(r Result) string {
	var parts []string
	for _, o := range r.Outcomes {
		parts = append(parts, tell(o))
	}
	return strings.Join(parts, "\n")
}

// message is a transaction from a@sender.example to rcpts.
func message(content string, rcpts ...string) *Message {
	m := &Message{Envelope: &mail.Envelope{From: "a@sender.example", Size: int64(len(content))}, Content: strings.NewReader(content)}
	for i, r := range rcpts {
		m.Envelope.Recipients = append(m.Envelope.Recipients, mail.Recipient{Addr: r})
		m.Recipients = append(m.Recipients, i)
	}
	return m
}

// hello is the beginning of a script: a server with extensions.
func hello(extensions ...string) string {
	s := "S: 220 mx.example.org ready\nC: EHLO me.example\n"
	s += "S: 250-mx.example.org\n"
	for _, e := range extensions {
		s += "S: 250-" + e + "\n"
	}
	return s + "S: 250 HELP\n"
}
