package smtpserver

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/mail"
)

// quick is a Handler that costs nothing.
type quick struct{ size int }

var taken = mail.NewReply(250, mail.Status{Class: 2}, "Taken")

func (*quick) Mail(context.Context, *Session, *mail.Envelope) *mail.Reply { return nil }
func (*quick) Rcpt(context.Context, *Session, *mail.Envelope, mail.Recipient) *mail.Reply {
	return nil
}
func (q *quick) Begin(context.Context, *Session, *mail.Envelope) (Content, *mail.Reply) {
	return q, nil
}
func (q *quick) Write(p []byte) (int, error)       { q.size += len(p); return len(p), nil }
func (q *quick) Commit(context.Context) mail.Reply { return taken }
func (q *quick) Abort()                            {}

// tape is a connection without a network: each Read gives one piece of what a client would have sent by then, n rounds of them.
type tape struct {
	net.Conn
	head   string
	round  []string
	n, at  int
	writes int
}

func (c *tape) Read(p []byte) (int, error) {
	if c.head != "" {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.at == c.n*len(c.round) {
		return 0, io.EOF
	}
	n := copy(p, c.round[c.at%len(c.round)])
	c.at++
	return n, nil
}

func (c *tape) Write(p []byte) (int, error)    { c.writes++; return len(p), nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }
func (*tape) Close() error                     { return nil }
func (*tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (*tape) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

const envelope = "MAIL FROM:<sender@example.org> SIZE=4096\r\nRCPT TO:<someone@example.com>\r\n"

func body(size int) string {
	line := "A line of seventy-eight octets as they stand in most messages, with CRLF...\r\n"
	return "Subject: a message\r\nFrom: <sender@example.org>\r\n\r\n" + strings.Repeat(line, size/len(line))
}

// processor returns how much processor time this process has used. On a busy machine it says more than the clock.
func processor() (user, system time.Duration) {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// BenchmarkSession is what the server itself costs for a message: no network, no handler.
func BenchmarkSession(b *testing.B) {
	small, big := body(4096), body(28000)
	chunk := "BDAT 4131 LAST\r\n" + small
	for name, round := range map[string][]string{
		"DATA of 4 KB":      {envelope + "DATA\r\n", small + ".\r\n"},
		"DATA of 28 KB":     {envelope + "DATA\r\n", big + ".\r\n"},
		"BDAT of 4 KB":      {envelope + chunk},
		"line by line 4 KB": {"MAIL FROM:<sender@example.org>\r\n", "RCPT TO:<someone@example.com>\r\n", "DATA\r\n", small + ".\r\n"},
	} {
		b.Run(name, func(b *testing.B) {
			if name == "BDAT of 4 KB" && len(small) != 4131 {
				b.Fatalf("the chunk has %d octets", len(small))
			}
			q := &quick{}
			srv := New(Options{}, q, nil, slog.New(slog.DiscardHandler))
			conn := &tape{head: "EHLO client.test\r\n", round: round, n: b.N}
			ln := &listener{}
			ln.opts.Store(&ListenerOptions{})
			s, release := newSession(srv, conn, ln, srv.opts.Load())
			b.ReportAllocs()
			b.ResetTimer()
			before, _ := processor()
			s.run()
			after, _ := processor()
			b.StopTimer()
			b.ReportMetric(float64(after-before)/float64(b.N), "user-ns/op")
			release()
			if n := srv.counters.Accepted.Load(); n != int64(b.N) {
				b.Fatalf("%d of %d messages", n, b.N)
			}
			b.ReportMetric(float64(conn.writes)/float64(b.N), "writes/op")
		})
	}
}

// BenchmarkLoopback sends 1000 messages over one TCP connection per operation, with the client in the same process.
func BenchmarkLoopback(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := New(Options{Clients: ClientLimits{PerMinute: -1}}, &quick{}, nil, slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- srv.Serve(b.Context(), l, ListenerOptions{}) }()
	defer func() {
		srv.Shutdown(context.Background())
		<-done
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := make([]byte, 4096)
	// until waits for a reply that begins so.
	until := func(want string) {
		got := 0
		for {
			n, err := conn.Read(in[got:])
			if err != nil {
				b.Fatal(err)
			}
			got += n
			if i := bytes.LastIndex(in[:got], []byte(want)); i >= 0 && in[got-1] == '\n' {
				return
			}
		}
	}
	until("220 ")
	conn.Write([]byte("EHLO client.test\r\n"))
	until("250 SIZE")
	first, second := []byte(envelope+"DATA\r\n"), []byte(body(4096)+".\r\n")
	b.ReportAllocs()
	userBefore, systemBefore := processor()
	for b.Loop() {
		for range 1000 {
			conn.Write(first)
			until("354")
			conn.Write(second)
			until("250 2.0.0 Taken")
		}
	}
	user, system := processor()
	b.ReportMetric(float64(user-userBefore)/float64(b.N)/1000, "user-ns/msg")
	b.ReportMetric(float64(system-systemBefore)/float64(b.N)/1000, "sys-ns/msg")
}

func BenchmarkParsePath(b *testing.B) {
	in := []byte("<someone@mail.example.com> NOTIFY=NEVER")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parsePath(in); err != nil {
			b.Fatal(err)
		}
	}
}
