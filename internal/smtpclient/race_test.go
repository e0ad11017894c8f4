package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// network is a Dialer with a script: for each address how long it takes and whether it succeeds. After the delay of a success
// the connection is served by serve, or by nobody.
type network struct {
	after map[string]time.Duration // missing: never
	fail  map[string]error
	serve func(net.Conn)

	mu    sync.Mutex
	begun []string // "250ms 192.0.2.1:25"
	start time.Time
	open  int
	wg    sync.WaitGroup // of those who serve
}

func (n *network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.begun = append(n.begun, fmt.Sprint(time.Since(n.start), " ", address))
	n.mu.Unlock()
	after, ok := n.after[address]
	if !ok {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := n.fail[address]; err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	n.mu.Lock()
	n.open++
	n.mu.Unlock()
	if n.serve != nil {
		n.wg.Go(func() { n.serve(theirs) })
	}
	return &counted{Conn: ours, n: n}, nil
}

type counted struct {
	net.Conn
	n    *network
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.n.mu.Lock(); c.n.open--; c.n.mu.Unlock() })
	return c.Conn.Close()
}

func targets(list string) []netip.AddrPort {
	var out []netip.AddrPort
	for f := range strings.FieldsSeq(list) {
		out = append(out, netip.AddrPortFrom(netip.MustParseAddr(f), 25))
	}
	return out
}

func TestRace(t *testing.T) {
	refused := errors.New("refused")
	const ms = time.Millisecond
	for _, test := range []struct {
		name  string
		addrs string
		after map[string]time.Duration
		fail  map[string]error
		won   string
		took  time.Duration
		begun string
	}{
		{"one that answers", "192.0.2.1", map[string]time.Duration{"192.0.2.1:25": 80 * ms}, nil, "192.0.2.1:25", 80 * ms, "0s 192.0.2.1:25"},
		{"the first answers in time", "192.0.2.1 192.0.2.2", map[string]time.Duration{"192.0.2.1:25": 80 * ms}, nil, "192.0.2.1:25", 80 * ms, "0s 192.0.2.1:25"},
		{"IPv6 goes first and is dead", "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", map[string]time.Duration{"192.0.2.1:25": 80 * ms}, nil, "192.0.2.1:25", 330 * ms,
			"0s [2001:db8::1]:25, 250ms 192.0.2.1:25"},
		{"what fails gives way at once", "192.0.2.1 2001:db8::1", map[string]time.Duration{"192.0.2.1:25": 80 * ms, "[2001:db8::1]:25": 10 * ms}, map[string]error{"[2001:db8::1]:25": refused},
			"192.0.2.1:25", 90 * ms, "0s [2001:db8::1]:25, 10ms 192.0.2.1:25"},
		{"a slow first one may still win", "192.0.2.1 192.0.2.2", map[string]time.Duration{"192.0.2.1:25": 300 * ms, "192.0.2.2:25": 100 * ms}, nil, "192.0.2.1:25", 300 * ms,
			"0s 192.0.2.1:25, 250ms 192.0.2.2:25"},
		{"all fail", "192.0.2.1 192.0.2.2", map[string]time.Duration{"192.0.2.1:25": 10 * ms, "192.0.2.2:25": 10 * ms}, map[string]error{"192.0.2.1:25": refused, "192.0.2.2:25": refused},
			"", 20 * ms, "0s 192.0.2.1:25, 10ms 192.0.2.2:25"},
		{"none answers", "192.0.2.1 192.0.2.2 192.0.2.3", nil, nil, "", 30 * time.Second, "0s 192.0.2.1:25, 250ms 192.0.2.2:25, 500ms 192.0.2.3:25"},
		{"two answer at the same time and one is closed", "192.0.2.1 192.0.2.2", map[string]time.Duration{"192.0.2.1:25": 350 * ms, "192.0.2.2:25": 100 * ms}, nil, "*", 350 * ms,
			"0s 192.0.2.1:25, 250ms 192.0.2.2:25"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{after: test.after, fail: test.fail, start: time.Now()}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				won := race(ctx, n, targets(test.addrs))
				if got := time.Since(n.start); got != test.took {
					t.Errorf("took %v, want %v", got, test.took)
				}
				if got := strings.Join(n.begun, ", "); got != test.begun {
					t.Errorf("begun were %s, want %s", got, test.begun)
				}
				switch {
				case test.won == "":
					if won.err == nil || won.conn != nil || n.open != 0 {
						t.Errorf("%+v, %d open", won, n.open)
					}
				case won.err != nil || n.open != 1 || test.won != "*" && won.addr.String() != test.won:
					t.Errorf("%+v, want %s; %d connections are open", won, test.won, n.open)
				}
				if won.conn != nil {
					won.conn.Close()
				}
			})
		})
	}
}

// Each phase has its own limit, and a server that says a little from time to time does not get more.
func TestTimeouts(t *testing.T) {
	say := func(c net.Conn, s string) { io.WriteString(c, s) }
	hear := func(c net.Conn, n int) { io.ReadFull(c, make([]byte, n)) }
	greet := func(c net.Conn) {
		say(c, "220 hi\r\n")
		hear(c, len("EHLO me.example\r\n"))
		say(c, "250-mx\r\n250 PIPELINING\r\n")
	}
	const envelope = len("MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
	for _, test := range []struct {
		name  string
		serve func(net.Conn)
		want  string
		took  time.Duration
	}{
		{"last words at MAIL", func(c net.Conn) { greet(c); say(c, "421 bye\r\n") }, "mail 421 bye", 5 * time.Minute},
		{"last words in the content", func(c net.Conn) {
			greet(c)
			hear(c, envelope)
			say(c, "250 ok\r\n250 ok\r\n354 go\r\n")
			hear(c, 7)
			say(c, "552 full\r\n")
		},
			"end-of-data 552 full", 0},
		{"greeting", func(net.Conn) {}, "greeting i/o timeout (temporary)", 5 * time.Minute},
		{"a greeting drop by drop", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "2"); err != nil {
					return
				}
				time.Sleep(time.Minute)
			}
		}, "greeting i/o timeout (temporary)", 5 * time.Minute},
		{"ehlo", func(c net.Conn) { say(c, "220 hi\r\n"); hear(c, 17) }, "ehlo i/o timeout (temporary)", 5 * time.Minute},
		{"ehlo that is never read", func(c net.Conn) { say(c, "220 hi\r\n") }, "ehlo i/o timeout (temporary)", 5*time.Minute + lastWords},
		{"mail", func(c net.Conn) { greet(c); hear(c, envelope) }, "mail i/o timeout (temporary)", 5 * time.Minute},
		{"mail that is never read", func(c net.Conn) { greet(c) }, "mail i/o timeout (temporary)", 5*time.Minute + lastWords},
		{"rcpt", func(c net.Conn) { greet(c); hear(c, envelope); say(c, "250 ok\r\n") }, "rcpt i/o timeout (temporary)", 5 * time.Minute},
		{"data", func(c net.Conn) { greet(c); hear(c, envelope); say(c, "250 ok\r\n250 ok\r\n") }, "data i/o timeout (temporary)", 2 * time.Minute},
		{"content that is never read", func(c net.Conn) { greet(c); hear(c, envelope); say(c, "250 ok\r\n250 ok\r\n354 go\r\n") }, "data i/o timeout (temporary)", 3*time.Minute + lastWords},
		{"content that is read halfway", func(c net.Conn) {
			greet(c)
			hear(c, envelope)
			say(c, "250 ok\r\n250 ok\r\n354 go\r\n")
			hear(c, 50_000)
		}, "data i/o timeout (temporary)", 3*time.Minute + lastWords},
		{"end of data", func(c net.Conn) {
			greet(c)
			hear(c, envelope)
			say(c, "250 ok\r\n250 ok\r\n354 go\r\n")
			hear(c, 160_003)
		}, "end-of-data lost after end of data: i/o timeout (temporary)", 10 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				n := &network{after: map[string]time.Duration{"192.0.2.1:25": 0}, start: start, serve: test.serve}
				got, took := dialAndSend(t, n, strings.Repeat("0123456789abcd\r\n", 10_000))
				if got != test.want || took != test.took {
					t.Errorf("%s after %v, want %s after %v", got, took, test.want, test.took)
				}
				if n.open != 0 {
					t.Error("the connection was left open")
				}
				n.wg.Wait()
			})
		})
	}
}

func dialAndSend(t *testing.T, d Dialer, content string) (string, time.Duration) {
	start := time.Now()
	c, o := Dial(t.Context(), Target{Host: "mx", Addrs: targets("192.0.2.1")}, &Options{Helo: "me.example", Dialer: d})
	if o != nil {
		return tell(*o), time.Since(start)
	}
	m := message(content, "b@example.org")
	m.Envelope.Size = 0
	res := c.Send(t.Context(), m)
	return tellAll(res), time.Since(start)
}

func TestAServerThatAnswersAShortContentWithoutReadingIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{after: map[string]time.Duration{"192.0.2.1:25": 0}, start: time.Now(), serve: func(c net.Conn) {
			io.WriteString(c, "220 hi\r\n")
			io.ReadFull(c, make([]byte, 17))
			io.WriteString(c, "250-mx\r\n250 PIPELINING\r\n")
			io.ReadFull(c, make([]byte, len("MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")))
			io.WriteString(c, "250 ok\r\n250 ok\r\n354 go\r\n")
			io.WriteString(c, "552 full\r\n")
		}}
		if got, took := dialAndSend(t, n, "short\r\n"); got != "end-of-data 552 full" || took != 3*time.Minute || n.open != 0 {
			t.Errorf("%s after %v; %d open", got, took, n.open)
		}
		n.wg.Wait()
	})
}

func TestConnectHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, took := dialAndSend(t, &network{start: time.Now()}, "")
		if got != "connect i/o timeout (temporary)" || took != 30*time.Second {
			t.Errorf("%s after %v", got, took)
		}
	})
}

func TestTheLimitsCanBeSet(t *testing.T) {
	limits := Timeouts{Connect: 1, Greeting: 2, Ehlo: 3, Command: 4, Data: 5, Block: 6, EndOfData: 7}
	if got := limits.withDefaults(); got != limits {
		t.Errorf("%+v", got)
	}
}

func TestQuitDoesNotWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{after: map[string]time.Duration{"192.0.2.1:25": 0}, start: time.Now(), serve: func(c net.Conn) {
			io.WriteString(c, "220 hi\r\n")
			io.ReadFull(c, make([]byte, 17))
			io.WriteString(c, "250 mx\r\n")
			io.Copy(io.Discard, c)
		}}
		c, o := Dial(t.Context(), Target{Addrs: targets("192.0.2.1")}, &Options{Helo: "me.example", Dialer: n})
		if o != nil {
			t.Fatal(tell(*o))
		}
		c.Quit(t.Context())
		if took := time.Since(n.start); took != farewell || n.open != 0 {
			t.Errorf("took %v; %d open", took, n.open)
		}
		n.wg.Wait()
	})
}
