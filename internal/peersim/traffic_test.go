package peersim

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// send generates traffic to provider p of the world.
func send(t testing.TB, w *World, tr Traffic) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tr.To = w.Addr("p").String()
	if tr.Senders == nil {
		tr.Senders = []string{"shop.example", "mill.example"}
	}
	if tr.Rcpts == nil {
		tr.Rcpts = []string{"example.com"}
	}
	r, err := Generate(ctx, tr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsSentArrivesOnceAndUnchanged(t *testing.T) {
	for _, without := range [][]string{nil, {"PIPELINING"}} {
		w := start(t, Options{Providers: []Provider{{Name: "p", Groups: []Group{{Domains: []string{"example.com", "example.org"}}}, Without: without}}})
		r := send(t, w, Traffic{Count: 200, Size: 3000, Prefix: "a-", Rcpts: []string{"example.com", "boss@example.org"}, Header: "List-Id: <x.y>\r\n", Body: ".a dot\r\n.."})
		if len(r.Accepted) != 200 || r.Refused != 0 || r.Retries != 0 || r.Unsent != 0 {
			t.Fatalf("%d accepted, %+v", len(r.Accepted), r.Last)
		}
		for _, s := range r.Accepted {
			rec, ok := w.Record(s.ID, s.Rcpt)
			if !ok || rec.Delivered != 1 || rec.Digest != s.Digest || s.Doubtful || !strings.HasPrefix(s.ID, "a-") {
				t.Fatalf("%+v: %v %+v", s, ok, rec)
			}
		}
		if s := w.Sum(); s != (Sum{Delivered: 200}) {
			t.Errorf("%+v %v", s, w.Complaints())
		}
	}
}

func TestRefusalsAreWrittenDownWithTheirMessage(t *testing.T) {
	for _, c := range []struct {
		phase Phase
		rcpt  string
	}{{MailFrom, ""}, {RcptTo, "user0@example.com"}, {Data, "user0@example.com"}, {EndOfData, "user0@example.com"}} {
		w := one(t, Rule{Name: "no", Match: Match{Phase: c.phase, First: 1}, Reply: "google-ip-deferred"})
		r := send(t, w, Traffic{Count: 1})
		rec, ok := w.Record("0", c.rcpt)
		if len(r.Accepted) != 1 || r.Retries != 1 || !ok || rec.Refused != 1 || rec.RefusedBy != "p" || rec.Phase != c.phase || !rec.RefusedFrom.IsLoopback() || rec.FirstRefused != rec.LastRefused {
			t.Errorf("%v: %+v %v %+v", c.phase, r, ok, w.Records())
		}
		if !strings.Contains(r.Last, "[127.0.0.1      18]") || !strings.HasPrefix(r.Last, "421-4.7.0") {
			t.Errorf("%q", r.Last)
		}
	}
}

func TestTheGeneratorTriesAgainWhatMayStillWork(t *testing.T) {
	for name, rule := range map[string]Rule{
		"hung up at the greeting":     {Match: Match{Phase: Greeting, First: 3}, Action: Drop},
		"hung up after the content":   {Match: Match{Phase: EndOfData, First: 3}, Action: Drop},
		"421 at the greeting":         {Match: Match{Phase: Greeting, First: 3}, Reply: "too-many-connections"},
		"421 at MAIL in a pipeline":   {Match: Match{Phase: MailFrom, First: 3}, Reply: "yahoo-tss04"},
		"451 at RCPT in a pipeline":   {Match: Match{Phase: RcptTo, First: 3}, Reply: "451 4.3.0 later"},
		"451 at EHLO":                 {Match: Match{Phase: Ehlo, First: 3}, Reply: "451 4.3.0 later"},
		"greylisted":                  {Action: Greylist, Delay: 10 * time.Millisecond},
		"now and then in the tarpit":  {Match: Match{Phase: RcptTo, Every: 4}, Action: Tarpit, Delay: time.Millisecond},
		"4xx by chance after content": {Match: Match{Phase: EndOfData, Chance: 0.5}, Reply: "451 4.3.0 later"},
	} {
		t.Run(name, func(t *testing.T) {
			rule.Name = "r"
			w := one(t, rule)
			r := send(t, w, Traffic{Count: 8, Concurrency: 2})
			if len(r.Accepted) != 8 || r.Refused != 0 || w.Sum().Delivered != 8 || w.Sum().Complaints != 0 {
				t.Errorf("%+v %+v %v", r, w.Sum(), w.Complaints())
			}
			doubtful := 0
			for _, s := range r.Accepted {
				if s.Doubtful {
					doubtful++
				}
			}
			if (doubtful > 0) != (rule.Action == Drop && rule.Phase == EndOfData) {
				t.Errorf("%d doubtful", doubtful)
			}
		})
	}
}

func TestFinalRefusalsAreNotTriedAgain(t *testing.T) {
	for _, rule := range []Rule{
		{Name: "greeting", Match: Match{Phase: Greeting}, Reply: "proofpoint-greeting"},
		{Name: "user", Match: Match{To: []string{"user1@example.com"}}, Reply: "user-unknown"},
		{Name: "spam", Match: Match{Contains: "Rehearsal 1\r\n"}, Reply: "content-spam"},
	} {
		w := one(t, rule)
		r := send(t, w, Traffic{Count: 3, Concurrency: 1})
		want := 1
		if rule.Phase == Greeting {
			want = 3
		}
		if r.Refused != want || r.Retries != 0 || len(r.Accepted) != 3-want {
			t.Errorf("%s: %+v", rule.Name, r)
		}
		if tl := w.Tallies(); tl[len(tl)-1].Rule != rule.Name && tl[len(tl)-2].Rule != rule.Name {
			t.Errorf("%+v", tl)
		}
	}
}

func TestTheGeneratorStopsWithItsContext(t *testing.T) {
	w := one(t, Rule{Name: "no", Match: Match{Phase: MailFrom}, Reply: "451 4.3.0 later"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := Generate(ctx, Traffic{To: w.Addr("p").String(), Senders: []string{"a.example"}, Rcpts: []string{"example.com"}, Rate: 1000})
	if err != nil || len(r.Accepted) != 0 || r.Unsent == 0 || r.Retries == 0 || r.Took > 10*time.Second {
		t.Errorf("%v %+v", err, r)
	}
	if _, err := Generate(ctx, Traffic{}); err == nil {
		t.Error("traffic from nobody to nobody was sent")
	}
}

func TestTheRateIsKept(t *testing.T) {
	w := one(t)
	r := send(t, w, Traffic{Count: 50, Rate: 500, Source: netip.MustParseAddr("127.0.0.77")})
	if len(r.Accepted) != 50 || r.Took < 90*time.Millisecond {
		t.Errorf("%d in %v", len(r.Accepted), r.Took)
	}
	if rec := w.Records()[0]; rec.Source != netip.MustParseAddr("127.0.0.77") {
		t.Errorf("%+v", rec)
	}
}

func TestStoryTimeRunsFasterAndBegins(t *testing.T) {
	w := start(t, Options{Speed: 3600, Shown: map[netip.Addr]netip.Addr{netip.MustParseAddr("127.0.0.1"): netip.MustParseAddr("2001:db8::7")},
		Providers: []Provider{{Name: "p", Groups: []Group{{Domains: []string{"example.com"}}}, Rules: []Rule{
			{Name: "early", Match: Match{Phase: MailFrom, Until: 10 * time.Minute}, Reply: "451 {ip} early"},
		}}}})
	w.Begin()
	r := send(t, w, Traffic{Count: 1})
	if len(r.Accepted) != 1 || r.Retries == 0 || r.Last != "451 2001:db8::7 early" {
		t.Errorf("%+v", r)
	}
	if e := w.Elapsed(); e < 10*time.Minute {
		t.Errorf("the story is at %v", e)
	}
	if err := w.Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if w.Wait(ctx, 2) == nil {
		t.Error("a second delivery was seen")
	}
}

// BenchmarkReceive measures generator and receiver together: both run on the same processors.
func BenchmarkReceive(b *testing.B) {
	for _, conns := range []int{1, 10, 50} {
		for _, size := range []int{4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%dconns/%dKB", conns, size>>10), func(b *testing.B) {
				w := one(b)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				r := send(b, w, Traffic{Count: b.N, Concurrency: conns, Size: size})
				if len(r.Accepted) != b.N {
					b.Fatalf("%+v", r)
				}
				b.ReportMetric(float64(b.N)/r.Took.Seconds(), "msg/s")
			})
		}
	}
}

func BenchmarkLedger(b *testing.B) {
	l := newLedger()
	e := entry{now: time.Now(), provider: "p", source: netip.MustParseAddr("127.0.0.1"), phase: EndOfData}
	ids := make([]string, b.N)
	for i := range ids {
		ids[i] = fmt.Sprintf("m-%d", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		e.id, e.rcpt = ids[i], "user@example.com"
		l.deliver(&e)
	}
}
