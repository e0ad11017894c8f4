package smtpclient

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ukai/internal/mail"
)

// sink is a server that takes everything and does as little as it can. It answers what came in one read with one write.
func sink(b testing.TB, extensions string) netip.AddrPort {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go swallow(conn, extensions)
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func swallow(conn net.Conn, extensions string) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	out.WriteString("220 sink\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		switch line[0] {
		case 'E':
			out.WriteString("250-sink\r\n" + extensions + "250 SIZE\r\n")
		case 'D':
			out.WriteString("354 go on\r\n")
			out.Flush()
			for {
				if line, err = in.ReadSlice('\n'); err != nil || string(line) == ".\r\n" {
					break
				}
			}
			out.WriteString("250 2.0.0 Ok: queued as 1234567890\r\n")
		case 'B':
			n := 0
			for _, c := range line[len("BDAT ") : len(line)-len(" LAST\r\n")] {
				n = n*10 + int(c-'0')
			}
			if _, err := in.Discard(n); err != nil {
				return
			}
			out.WriteString("250 2.0.0 Ok: queued as 1234567890\r\n")
		default:
			out.WriteString("250 2.1.0 Ok\r\n")
		}
	}
}

// calls counts the reads and writes of a connection: each is a system call.
type calls struct {
	net.Conn
	reads, writes *atomic.Int64
}

func (c calls) Read(b []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(b) }
func (c calls) Write(b []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(b) }

type counting struct{ reads, writes atomic.Int64 }

func (d *counting) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, network, address)
	return calls{conn, &d.reads, &d.writes}, err
}

// sender returns a function that sends a message of a size to a sink, and what counts its system calls.
func sender(ctx context.Context, tb testing.TB, extensions string, size int) (send func(), d *counting) {
	tb.Helper()
	d = new(counting)
	target := Target{Host: "sink", Addrs: []netip.AddrPort{sink(tb, extensions)}}
	c, o := Dial(ctx, target, &Options{Helo: "me.example", Dialer: d})
	if o != nil {
		tb.Fatal(tell(*o))
	}
	tb.Cleanup(c.Close)
	data := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72))
	content := bytes.NewReader(data)
	m := &Message{
		Envelope:   &mail.Envelope{From: "a@sender.example", Recipients: []mail.Recipient{{Addr: "b@example.org"}}, Size: int64(len(data))},
		Recipients: []int{0}, Content: content,
	}
	d.reads.Store(0)
	d.writes.Store(0)
	return func() {
		content.Reset(data)
		if res := c.Send(ctx, m); !res.Outcomes[0].OK() {
			tb.Fatal(tellAll(res))
		}
	}, d
}

func benchmarkSend(ctx context.Context, b *testing.B, extensions string, size int) {
	send, d := sender(ctx, b, extensions, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
	b.ReportMetric(float64(d.reads.Load())/float64(b.N), "reads/op")
	b.ReportMetric(float64(d.writes.Load())/float64(b.N), "writes/op")
}

// benchmarkBare is the limit: the octets of a message as two writes and two reads, with nobody to think about them.
func benchmarkBare(b *testing.B, size int) {
	conn, err := net.Dial("tcp", sink(b, "").String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	in := make([]byte, 4096)
	step := func(out []byte) {
		if _, err := conn.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(in); err != nil {
			b.Fatal(err)
		}
	}
	step([]byte("EHLO me\r\n"))
	step([]byte("NOOP\r\n"))
	envelope := []byte("MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
	content := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72) + ".\r\n")
	b.SetBytes(int64(size))
	for b.Loop() {
		step(envelope)
		step(content)
	}
}

// canned is a connection without a network: each write is followed by the next of its replies.
type canned struct {
	net.Conn
	replies []string
	n       int
	left    string
}

func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *canned) Write(b []byte) (int, error) {
	c.left = c.replies[c.n%len(c.replies)]
	c.n++
	return len(b), nil
}

func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) Close() error                     { return nil }

// BenchmarkSendAlone is what a message costs without the network.
func BenchmarkSendAlone(b *testing.B) {
	conn := &canned{replies: []string{"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n", "250 2.0.0 Ok: queued as 1234567890\r\n"}}
	c := &Conn{raw: conn, nc: conn, opts: &Options{}, times: Timeouts{}.withDefaults(), ext: Extensions{Pipelining: true}}
	data := bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), 4<<10/72)
	content := bytes.NewReader(data)
	m := &Message{Envelope: &mail.Envelope{From: "a@sender.example", Recipients: []mail.Recipient{{Addr: "b@example.org"}}}, Recipients: []int{0}, Content: content}
	b.ReportAllocs()
	for b.Loop() {
		content.Reset(data)
		if res := c.Send(context.Background(), m); !res.Outcomes[0].OK() {
			b.Fatal(tellAll(res))
		}
	}
}

func BenchmarkSend(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const pipelining, chunking = "250-PIPELINING\r\n", "250-PIPELINING\r\n250-CHUNKING\r\n"
	b.Run("the limit, 4 KB", func(b *testing.B) { benchmarkBare(b, 4<<10) })
	b.Run("DATA 4 KB", func(b *testing.B) { benchmarkSend(ctx, b, pipelining, 4<<10) })
	b.Run("BDAT 4 KB", func(b *testing.B) { benchmarkSend(ctx, b, chunking, 4<<10) })
	b.Run("DATA 1 MB", func(b *testing.B) { benchmarkSend(ctx, b, pipelining, 1<<20) })
	b.Run("BDAT 1 MB", func(b *testing.B) { benchmarkSend(ctx, b, chunking, 1<<20) })
	b.Run("DATA 4 KB without PIPELINING", func(b *testing.B) { benchmarkSend(ctx, b, "", 4<<10) })
	b.Run("DATA 4 KB without cancellation", func(b *testing.B) { benchmarkSend(context.Background(), b, pipelining, 4<<10) })
}

func BenchmarkReply(b *testing.B) {
	in := []byte("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n")
	b.ReportAllocs()
	for b.Loop() {
		rd := reader{buf: in, w: len(in)}
		for range 3 {
			if _, ok, err := rd.scan(); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	}
}

// A message to a server with PIPELINING is two writes, two reads, and few allocations.
func TestAMessageCostsLittle(t *testing.T) {
	for name, extensions := range map[string]string{"DATA": "250-PIPELINING\r\n", "BDAT": "250-PIPELINING\r\n250-CHUNKING\r\n"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const n = 200
		send, d := sender(ctx, t, extensions, 4<<10)
		allocs := testing.AllocsPerRun(n, send)
		reads, writes := float64(d.reads.Load())/(n+1), float64(d.writes.Load())/(n+1)
		if allocs > 10 || writes > 2 || reads > 2.5 { // a reply may come in two parts
			t.Errorf("%s: %v reads, %v writes, %v allocations", name, reads, writes, allocs)
		}
	}
}
