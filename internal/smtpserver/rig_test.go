package smtpserver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/mail"
	"ukai/internal/sasl"
)

// box is a Handler that says yes, or what replies tells it to say, and keeps what it gets.
type box struct {
	replies map[string]*mail.Reply // by "MAIL a@b", "RCPT a@b", "BEGIN", "COMMIT"
	full    bool                   // Write fails

	mu        sync.Mutex
	delivered []delivery // guarded by mu
	aborted   int        // guarded by mu
	asked     []string   // guarded by mu: what Mail and Rcpt were asked
}

type delivery struct {
	session Session
	env     mail.Envelope
	body    string
}

func (b *box) ask(what string) *mail.Reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, what)
	return b.replies[what]
}

func (b *box) Mail(_ context.Context, _ *Session, env *mail.Envelope) *mail.Reply {
	return b.ask("MAIL " + env.From)
}

func (b *box) Rcpt(_ context.Context, _ *Session, _ *mail.Envelope, r mail.Recipient) *mail.Reply {
	return b.ask("RCPT " + r.Addr)
}

func (b *box) Begin(_ context.Context, s *Session, env *mail.Envelope) (Content, *mail.Reply) {
	if r := b.replies["BEGIN"]; r != nil {
		return nil, r
	}
	return &draft{box: b, session: *s, env: env}, nil
}

type draft struct {
	box     *box
	session Session
	env     *mail.Envelope
	body    strings.Builder
}

func (d *draft) Write(p []byte) (int, error) {
	if d.box.full {
		return 0, errors.New("disk full")
	}
	return d.body.Write(p)
}

func (d *draft) Commit(context.Context) mail.Reply {
	if r := d.box.replies["COMMIT"]; r != nil {
		return *r
	}
	if d.box.full {
		return mail.NewReply(452, mail.Status{Class: 4, Subject: 3, Detail: 1}, "No space")
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.delivered = append(d.box.delivered, delivery{d.session, *d.env, d.body.String()})
	return mail.NewReply(250, mail.Status{Class: 2}, "Taken")
}

func (d *draft) Abort() {
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.aborted++
}

// book is an Authenticator with one account, u with password p, whose certificate is any.
type book struct{ trouble error }

func (b book) Password(_ context.Context, name, password string) (string, bool, error) {
	return "acc", name == "u" && password == "p", b.trouble
}

func (b book) Scram(_ context.Context, name string) (ScramKeys, error) {
	k, err := sasl.DeriveKeys("p", []byte("0123456789abcdef"), 4096)
	if err == nil && name == "u" {
		k.Account = "acc"
	}
	return k, err
}

func (b book) Certificate(context.Context, *tls.ConnectionState) string { return "cert-acc" }

// pipes is a net.Listener over net.Pipe.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

// far is the server's end of a pipe, with addresses.
type far struct {
	net.Conn
	client netip.AddrPort
}

func (f far) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(f.client) }
func (f far) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

// rig is a Server that serves on pipes.
type rig struct {
	t   testing.TB
	srv *Server
	box *box
	net *pipes
	end chan error
}

func newRig(t testing.TB, opts Options, lo ListenerOptions, b *box, a Authenticator) *rig {
	t.Helper()
	r := &rig{t: t, box: b, net: &pipes{conns: make(chan net.Conn), done: make(chan struct{})}, end: make(chan error, 1)}
	if opts.Hostname == "" {
		opts.Hostname = "mx.test"
	}
	if lo.Name == "" {
		lo.Name = "test"
	}
	r.srv = New(opts, b, a, slog.New(slog.DiscardHandler))
	go func() { r.end <- r.srv.Serve(t.Context(), r.net, lo) }()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
	select {
	case err := <-r.end:
		if err != nil {
			r.t.Errorf("serve: %v", err)
		}
		r.end <- nil
	case <-ctx.Done():
		r.t.Error("Serve did not return")
	}
}

// raw opens a connection from an address.
func (r *rig) raw(client string) net.Conn {
	near, server := net.Pipe()
	r.t.Cleanup(func() { near.Close() })
	r.net.conns <- far{server, netip.MustParseAddrPort(client)}
	return near
}

// dial opens a connection and speaks lines on it.
func (r *rig) dial() *peer { return newPeer(r.t, r.raw("192.0.2.7:4321")) }

// peer is a client for tests.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	return &peer{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// send writes lines in one go; the last may be without its end.
func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(s)); err != nil {
		p.t.Fatalf("send %.60q: %v", s, err)
	}
}

// line reads one reply line; at the end of the connection it returns "<closed>".
func (p *peer) line() string {
	p.t.Helper()
	s, err := p.r.ReadString('\n')
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s + "<closed>"
	}
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

// want reads reply lines; each wanted one may end with * for anything.
func (p *peer) want(lines ...string) {
	p.t.Helper()
	for _, w := range lines {
		if got := p.line(); !matches(got, w) {
			p.t.Fatalf("got reply  %q\nwant reply %q", got, w)
		}
	}
}

// hello sends EHLO and returns the lines of the reply.
func (p *peer) hello() (lines []string) {
	p.t.Helper()
	p.send("EHLO client.test\r\n")
	for {
		l := p.line()
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(l, "250-"), "250 "))
		if !strings.HasPrefix(l, "250-") {
			return lines
		}
	}
}

func matches(got, want string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, prefix)
	}
	return got == want
}

// message sends a small message and wants it to be taken.
func (p *peer) message() {
	p.t.Helper()
	p.send("MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
	p.want("250 2.1.0*", "250 2.1.5*", "354*")
	p.send("Subject: x\r\n\r\nhi\r\n.\r\n")
	p.want("250 2.0.0 Taken")
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("bug: " + err.Error())
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"mx.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

var serverTLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}

func withTLS() *tls.Config { return serverTLS }

// overTLS goes on over TLS.
func (p *peer) overTLS(conf *tls.Config) *peer {
	p.t.Helper()
	if conf == nil {
		conf = &tls.Config{}
	}
	conf.InsecureSkipVerify = true
	c := tls.Client(p.conn, conf)
	if err := c.Handshake(); err != nil {
		p.t.Fatalf("handshake: %v", err)
	}
	return newPeer(p.t, c)
}
