package peersim

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic is mail to be sent.
type Traffic struct {
	To string // address of the server to hand it to
	// Senders are the domains it comes from, in turn; each reverse-path carries the message's ID behind a +, so that refusals
	// and bounces can be told apart.
	Senders []string
	// Rcpts are whom it goes to, in turn: whole addresses, or domains, where each message gets a user of its own.
	Rcpts       []string
	Count       int     // 0: until ctx ends
	Rate        float64 // messages per second; 0: as fast as possible
	Concurrency int     // connections; 0 means 4
	Size        int     // octets of each content, about; 0 means 2 KB
	Prefix      string  // of the IDs, which go on with a number
	Header      string  // more header lines, with CRLF
	Body        string  // what the body begins with: a mark that rules can look for
	Login       *Login
	Roots       *x509.CertPool // not nil: STARTTLS, the certificate valid for "localhost"
	Source      netip.Addr     // to send from; zero: any
}

// Sent is a message that was accepted.
type Sent struct {
	ID       string
	Rcpt     string
	Digest   uint64
	At       time.Time
	Doubtful bool // it was sent again after the reply to its content had not come: a second copy is not the server's fault
}

// Result is what became of the traffic.
type Result struct {
	Accepted []Sent
	Refused  int // by a 5xx
	Retries  int // attempts that ended with a 4xx or without an answer
	Unsent   int // begun and still unsent when ctx ended
	Last     string
	Took     time.Duration
}

const (
	firstPause = 20 * time.Millisecond
	longPause  = time.Second
	grace      = 5 * time.Second // for a message that is on its way when ctx ends
)

// Generate sends traffic until Count messages are through or ctx ends. What meets a 4xx or a closed door is tried again, as a
// mail server would, only sooner. It fails only for traffic that makes no sense.
func Generate(ctx context.Context, t Traffic) (*Result, error) {
	if t.To == "" || len(t.Senders) == 0 || len(t.Rcpts) == 0 {
		return nil, errors.New("traffic needs a server to go to, senders and recipients")
	}
	if t.Concurrency <= 0 {
		t.Concurrency = 4
	}
	if t.Size <= 0 {
		t.Size = 2 << 10
	}
	if t.Body != "" && !strings.HasSuffix(t.Body, "\n") {
		t.Body += "\r\n"
	}
	g := &generator{Traffic: t, start: time.Now(), filler: filler(t.Size)}
	var wg sync.WaitGroup
	for range t.Concurrency {
		wg.Go(func() { g.work(ctx) })
	}
	wg.Wait()
	g.result.Took = time.Since(g.start)
	return &g.result, nil
}

// generator is one Generate.
type generator struct {
	Traffic
	start  time.Time
	filler string
	next   atomic.Int64

	mu     sync.Mutex
	result Result
}

// work sends one message after the other over one connection.
func (g *generator) work(ctx context.Context) {
	m := &mailer{g: g}
	defer m.hangUp()
	for {
		n := g.next.Add(1) - 1
		if g.Count > 0 && n >= int64(g.Count) || !g.pace(ctx, n) {
			return
		}
		g.send(ctx, m, n)
	}
}

// pace waits until message n is due.
func (g *generator) pace(ctx context.Context, n int64) bool {
	if g.Rate <= 0 {
		return ctx.Err() == nil
	}
	return pause(ctx, time.Until(g.start.Add(time.Duration(float64(n)/g.Rate*float64(time.Second)))))
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send tries one message until it is decided.
func (g *generator) send(ctx context.Context, m *mailer, n int64) {
	s := m.write(n)
	wait := firstPause
	for {
		reply, doubtful, err := m.transmit(ctx, s.Rcpt)
		s.Doubtful = s.Doubtful || doubtful
		if err == nil && reply[0] != '4' {
			g.note(&s, reply)
			return
		}
		if err != nil {
			reply = err.Error()
		}
		g.mu.Lock()
		g.result.Retries++
		g.result.Last = reply
		g.mu.Unlock()
		if !pause(ctx, wait) {
			g.mu.Lock()
			g.result.Unsent++
			g.mu.Unlock()
			return
		}
		wait = min(2*wait, longPause)
	}
}

func (g *generator) note(s *Sent, reply string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if reply[0] != '2' {
		g.result.Refused++
		g.result.Last = reply
		return
	}
	s.At = time.Now()
	g.result.Accepted = append(g.result.Accepted, *s)
}

// sender returns the domain that message n comes from, rcpt the address it goes to.
func (g *generator) sender(n int64) string { return g.Senders[n%int64(len(g.Senders))] }

func (g *generator) rcpt(n int64) string {
	r := g.Rcpts[n%int64(len(g.Rcpts))]
	if strings.Contains(r, "@") {
		return r
	}
	return "user" + strconv.FormatInt(n, 10) + "@" + r
}

// filler is text for bodies.
func filler(size int) string {
	const line = "This line is part of a rehearsal and says nothing. Nobody will read it.\r\n"
	return strings.Repeat(line, size/len(line)+1)
}
