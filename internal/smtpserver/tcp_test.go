package smtpserver

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// serve serves on a real listener.
func serve(t *testing.T, network, address string, opts Options, lo ListenerOptions) (*box, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{}
	srv := New(opts, b, nil, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(context.Background(), l, lo) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b, l.Addr()
}

func connect(t *testing.T, a net.Addr) *peer {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newPeer(t, c)
}

func TestTheLastReplyReachesAClientThatIsStillSending(t *testing.T) {
	for _, secure := range []bool{false, true} {
		_, addr := serve(t, "tcp", "127.0.0.1:0", Options{MaxSize: 1000}, ListenerOptions{Implicit: secure, TLS: withTLS})
		p := connect(t, addr)
		if secure {
			p = p.overTLS(&tls.Config{})
		}
		p.want("220*")
		p.send("HELO c\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
		p.want("250*", "250*", "250*", "354*")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.Copy(p.conn, strings.NewReader(strings.Repeat(strings.Repeat("x", 998)+"\r\n", 2900)))
		}()
		p.want("552 5.3.4*", "421 4.7.0*", "<closed>")
		p.conn.Close()
		<-sent
	}
}

func TestOverAUnixSocketThereIsNoClientAddress(t *testing.T) {
	b, addr := serve(t, "unix", filepath.Join(t.TempDir(), "s"), Options{}, ListenerOptions{})
	p := connect(t, addr)
	p.want("220*")
	p.send("HELO c\r\n")
	p.want("250*")
	p.message()
	p.send("QUIT\r\n")
	p.want("221*", "<closed>")
	if d := b.delivered[0]; d.session.Client.IsValid() || d.env.Client.IsValid() {
		t.Errorf("client %v", d.session.Client)
	}
}

func TestOneWriteForAllRepliesOfABatch(t *testing.T) {
	batch := strings.Repeat("MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nRCPT TO:<c@test>\r\nBDAT 4 LAST\r\nhi\r\n", 20)
	srv := New(Options{}, &quick{}, nil, slog.New(slog.DiscardHandler))
	conn := &tape{head: "EHLO client.test\r\n", round: []string{batch}, n: 3}
	ln := &listener{}
	ln.opts.Store(&ListenerOptions{})
	s, release := newSession(srv, conn, ln, srv.opts.Load())
	s.run()
	release()
	// The greeting, the reply to EHLO, one for each batch.
	if n := srv.counters.Accepted.Load(); n != 60 || conn.writes != 5 {
		t.Errorf("%d messages, %d writes", n, conn.writes)
	}
}

func TestAFloodOfCommandsDoesNotGatherRepliesWithoutEnd(t *testing.T) {
	srv := New(Options{}, &quick{}, nil, slog.New(slog.DiscardHandler))
	conn := &tape{head: "HELO c\r\n", round: []string{strings.Repeat("HELP\r\n", 5000)}, n: 1}
	ln := &listener{}
	ln.opts.Store(&ListenerOptions{})
	s, release := newSession(srv, conn, ln, srv.opts.Load())
	s.run()
	if c := cap(s.wire.out); c > 4*maxPending {
		t.Errorf("%d octets of replies were gathered", c)
	}
	release()
}
