package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"
	"pgregory.net/rapid"
)

// scripted is a Client whose one server answers with a function, and the number of its queries. It needs no socket, so that
// time can be that of a synctest bubble.
func scripted(opts Options, answer func(q mdns.Question) (*mdns.Msg, error)) (*Client, *atomic.Int32) {
	opts.Servers = []string{"192.0.2.53"}
	c, err := New(opts)
	if err != nil {
		panic("bug: " + err.Error())
	}
	n := new(atomic.Int32)
	c.trip = func(_ context.Context, _, _ string, query *mdns.Msg) (*mdns.Msg, error) {
		n.Add(1)
		m, err := answer(query.Question[0])
		if m != nil {
			code := m.Rcode
			m.SetRcode(query, code)
			m.RecursionAvailable = true
		}
		return m, err
	}
	return c, n
}

func withRecords(lines string) *mdns.Msg { return &mdns.Msg{Answer: zone(lines)} }

func TestAnswersAreKeptAsLongAsTheyMayBe(t *testing.T) {
	no := func(code int, ns ...mdns.RR) func() (*mdns.Msg, error) {
		return func() (*mdns.Msg, error) {
			return &mdns.Msg{MsgHdr: mdns.MsgHdr{Rcode: code}, Ns: ns}, nil
		}
	}
	ttl := func(ttl uint32) func() (*mdns.Msg, error) {
		return func() (*mdns.Msg, error) {
			return withRecords(fmt.Sprintf("example.org. %d MX 1 mx.example.org.", ttl)), nil
		}
	}
	for _, test := range []struct {
		name   string
		answer func() (*mdns.Msg, error)
		want   time.Duration
	}{
		{"for its TTL", ttl(300), 300 * time.Second},
		{"for five seconds at least", ttl(0), 5 * time.Second},
		{"for an hour at most", ttl(86400), time.Hour},
		{"for five seconds with an impossible TTL", ttl(1 << 31), 5 * time.Second},
		{"for the shortest TTL of a chain", func() (*mdns.Msg, error) {
			return withRecords("example.org. 60 CNAME b.example.\nb.example. 300 MX 1 mx.example.org."), nil
		}, time.Minute},
		{"for the SOA's minimum when there are no records", no(0, rr("org. 900 SOA a. b. 1 1 1 1 120")), 2 * time.Minute},
		{"for the SOA's TTL when that is less", no(3, rr("org. 90 SOA a. b. 1 1 1 1 120")), 90 * time.Second},
		{"for five minutes when there are no records", no(3, rr("org. 9000 SOA a. b. 1 1 1 1 9000")), 5 * time.Minute},
		{"for a moment when a no has no SOA", no(3), 5 * time.Second},
		{"for a moment when the server failed", no(2), 3 * time.Second},
		{"for a moment when there was no answer", func() (*mdns.Msg, error) { return nil, errors.New("unreachable") }, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, n := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) { return test.answer() })
				defer c.Close()
				_, first := c.MX(t.Context(), "example.org")
				asked := n.Load()
				time.Sleep(test.want - time.Millisecond)
				if _, again := c.MX(t.Context(), "example.org"); fmt.Sprint(again) != fmt.Sprint(first) {
					t.Errorf("first %v, then %v", first, again)
				}
				if n.Load() != asked {
					t.Errorf("asked again before %v", test.want)
				}
				time.Sleep(time.Millisecond)
				_, _ = c.MX(t.Context(), "example.org")
				if n.Load() == asked {
					t.Errorf("not asked again after %v", test.want)
				}
			})
		})
	}
}

func TestAnOldAnswerIsBetterThanNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		c, n := scripted(Options{Stale: time.Hour}, func(mdns.Question) (*mdns.Msg, error) {
			if away.Load() {
				return nil, context.DeadlineExceeded
			}
			return withRecords("example.org. 60 MX 1 mx.example.org."), nil
		})
		defer c.Close()
		mx := func() error { _, err := c.MX(t.Context(), "example.org"); return err }
		if err := mx(); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		time.Sleep(2 * time.Minute)
		if err := mx(); err != nil {
			t.Errorf("with the server away for a minute: %v", err)
		}
		asked := n.Load()
		if err := mx(); err != nil || n.Load() != asked {
			t.Errorf("the server was asked again at once, or %v", err)
		}
		time.Sleep(time.Hour)
		if err := mx(); err == nil {
			t.Error("an answer is used that ended more than an hour ago")
		}
		away.Store(false)
		time.Sleep(4 * time.Second)
		if err := mx(); err != nil {
			t.Errorf("with the server back: %v", err)
		}
	})
}

func TestADomainThatWentAwayIsNotKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		c, _ := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) {
			if gone.Load() {
				return &mdns.Msg{MsgHdr: mdns.MsgHdr{Rcode: mdns.RcodeNameError}}, nil
			}
			return withRecords("example.org. 60 MX 1 mx.example.org."), nil
		})
		defer c.Close()
		if _, err := c.MX(t.Context(), "example.org"); err != nil {
			t.Fatal(err)
		}
		gone.Store(true)
		time.Sleep(time.Minute)
		if _, err := c.MX(t.Context(), "example.org"); err == nil {
			t.Error("a domain that no longer exists is answered from memory")
		}
	})
}

func TestCallersWithTheSameQuestionShareOneLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) {
			time.Sleep(time.Second)
			return withRecords("example.org. 60 MX 1 mx.example.org."), nil
		})
		defer c.Close()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.MX(t.Context(), "example.org"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n.Load() != 1 {
			t.Errorf("asked %d times", n.Load())
		}
	})
}

func TestALookupOutlivesACallerWhoGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) {
			time.Sleep(time.Second)
			return withRecords("example.org. 60 MX 1 mx.example.org."), nil
		})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := c.MX(ctx, "example.org")
		var e *Error
		if !errors.As(err, &e) || !e.Temporary {
			t.Errorf("the caller who goes gets %v, want a temporary error", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := c.MX(t.Context(), "example.org"); err != nil || n.Load() != 1 {
			t.Errorf("%v after %d queries, want the answer of the first", err, n.Load())
		}
	})
}

func TestALookupEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(Options{Total: 10 * time.Second}, nil)
		defer c.Close()
		c.trip = func(ctx context.Context, _, _ string, _ *mdns.Msg) (*mdns.Msg, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		if _, err := c.MX(t.Context(), "example.org"); err == nil {
			t.Error("an answer without a server")
		}
		if took := time.Since(start); took != 3*1500*time.Millisecond { // one server, three rounds
			t.Errorf("took %v", took)
		}
	})
}

func TestCloseEndsLookupsAndKeepsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) {
			return withRecords("example.org. 60 MX 1 mx.example.org."), nil
		})
		if _, err := c.MX(t.Context(), "example.org"); err != nil {
			t.Fatal(err)
		}
		c.trip = func(ctx context.Context, _, _ string, _ *mdns.Msg) (*mdns.Msg, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		failed := make(chan error)
		go func() { _, err := c.MX(t.Context(), "slow.example"); failed <- err }()
		synctest.Wait()
		start := time.Now()
		go c.Close()
		if err := <-failed; err == nil || time.Since(start) > 0 {
			t.Errorf("the lookup under way ended with %v after %v", err, time.Since(start))
		}
		synctest.Wait()
		if _, err := c.MX(t.Context(), "example.org"); err != nil {
			t.Errorf("an answer in memory after Close: %v", err)
		}
		if _, err := c.MX(t.Context(), "other.example"); err == nil {
			t.Error("a question is answered after Close")
		}
	})
}

func TestEqualPreferencesComeInRandomOrder(t *testing.T) {
	c, _ := scripted(Options{}, func(mdns.Question) (*mdns.Msg, error) {
		return withRecords("e. 60 MX 5 first.e.\ne. 60 MX 10 a.e.\ne. 60 MX 10 b.e.\ne. 60 MX 10 c.e.\ne. 60 MX 20 last.e."), nil
	})
	defer c.Close()
	seen := make(map[string]bool)
	for range 500 {
		mx, err := c.MX(t.Context(), "e")
		if err != nil || len(mx) != 5 || mx[0].Host != "first.e" || mx[4].Host != "last.e" {
			t.Fatal(mx, err)
		}
		seen[mx[1].Host+mx[2].Host] = true
	}
	if len(seen) != 6 { // an order is missed by chance once in 10^38 runs
		t.Errorf("only the orders %v were seen", seen)
	}
}

func TestTheCallerMayChangeWhatItGets(t *testing.T) {
	c, _ := scripted(Options{}, func(q mdns.Question) (*mdns.Msg, error) {
		return withRecords("e. 60 MX 5 mx.e.\ne. 60 TXT text\ne. 60 A 192.0.2.1"), nil
	})
	defer c.Close()
	for range 2 {
		mx, err1 := c.MX(t.Context(), "e")
		txt, err2 := c.TXT(t.Context(), "e")
		addrs, err3 := c.Addrs(t.Context(), "e")
		if err := errors.Join(err1, err2, err3); err != nil || mx[0].Host != "mx.e" || txt[0] != "text" || addrs[0].String() != "192.0.2.1" {
			t.Fatal(mx, txt, addrs, err)
		}
		mx[0].Host, txt[0], addrs[0] = "changed", "changed", addrs[0].Next()
	}
}

// A cache never holds more than its limit, never gives a value that was not put last under the key, and finds at once what
// was put last of all.
func TestCacheHoldsWhatItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(t, "limit")
		c := newCache[int, int](limit)
		last := make(map[int]int)
		for i := range rapid.IntRange(0, 200).Draw(t, "steps") {
			k := rapid.IntRange(0, 12).Draw(t, "key")
			if rapid.Bool().Draw(t, "put") {
				c.put(k, i)
				last[k] = i
				if v, ok := c.get(k); !ok || v != i {
					t.Fatalf("put %d, got %d, %v", i, v, ok)
				}
			} else if v, ok := c.get(k); ok && v != last[k] {
				t.Fatalf("got %d, put was %d", v, last[k])
			}
			if len(c.index) > limit || len(c.slots) != len(c.index) {
				t.Fatalf("%d keys in %d slots, limit %d", len(c.index), len(c.slots), limit)
			}
		}
	})
}

func TestCacheGivesWhatIsUsedASecondChance(t *testing.T) {
	c := newCache[string, int](3)
	for i, k := range []string{"a", "b", "c"} {
		c.put(k, i)
	}
	c.get("a")
	c.put("d", 3)
	var left []string
	for _, k := range []string{"a", "b", "c", "d"} {
		if _, ok := c.index[k]; ok {
			left = append(left, k)
		}
	}
	if !slices.Equal(left, []string{"a", "c", "d"}) {
		t.Errorf("left are %v, want the one that was used to survive", left)
	}
}
