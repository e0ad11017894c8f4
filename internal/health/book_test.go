package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ukai/internal/classify"
	"ukai/internal/outcome"
)

func TestPausesGrowWithComplaintsAndShrinkWithContent(t *testing.T) {
	d := newDesk(t, Options{})
	slow := func() (left, length time.Duration) {
		p := d.Path("direct", "google")
		return p.Slow.Sub(d.now), p.SlowFor
	}
	for i, want := range []time.Duration{30 * sec, mins, 2 * mins, 4 * mins, 8 * mins, 15 * mins, 15 * mins} {
		tooFast(d)
		if left, length := slow(); left != want || length != want {
			t.Fatalf("complaint %d: %v left of %v, want %v", i+1, left, length, want)
		}
		d.now = d.now.Add(want / 2)
		tooFast(d) // of a message that was on its way
		if _, length := slow(); length != want {
			t.Fatalf("complaint %d: a straggler made it %v", i+1, length)
		}
		d.now = d.now.Add(want / 2)
	}
	accept(d) // too early to ease
	if _, length := slow(); length != 15*mins {
		t.Errorf("eased at once, to %v", length)
	}
	for _, want := range []time.Duration{450 * sec, 225 * sec, 112500 * time.Millisecond, 56250 * time.Millisecond, 0} {
		d.now = d.now.Add(15 * mins)
		accept(d)
		if _, length := slow(); length != want {
			t.Fatalf("eased to %v, want %v", length, want)
		}
	}
	if p := d.Path("direct", "google"); p.State != Healthy || !p.Slow.IsZero() {
		t.Errorf("in the end %+v", p)
	}
}

func TestLimitsOfARecipientOrASenderDoNotSlowThePath(t *testing.T) {
	for scope, slows := range map[classify.Scope]bool{
		classify.ScopeIP: true, classify.ScopeRange: true, classify.ScopeHost: true, "": true,
		classify.ScopeRecipient: false, classify.ScopeMessage: false, classify.ScopeSender: false,
	} {
		for _, class := range []string{"rate_limited", "connection_limit"} {
			d := newDesk(t, Options{})
			v := rateVerdict
			v.Scope, v.Class = scope, class
			d.Observe(d.evidence(v, 421, outcome.MailFrom))
			if got := !d.Path("direct", "google").Slow.IsZero(); got != slows {
				t.Errorf("%s with scope %q: slow %v", class, scope, got)
			}
		}
	}
}

func TestSlowTakesATimeThatSomebodyKnows(t *testing.T) {
	d := newDesk(t, Options{})
	d.Slow(pathKey, d.now.Add(time.Hour), d.now)
	d.Slow(pathKey, d.now.Add(time.Minute), d.now) // shorter: the longer one holds
	if p := d.Path("direct", "google"); !p.Slow.Equal(d.now.Add(time.Hour)) || p.SlowFor != time.Hour {
		t.Errorf("path %+v", p)
	}
}

func TestSentCountsAcceptedMailOfTheDay(t *testing.T) {
	d := newDesk(t, Options{})
	sent := func() int { return d.Path("direct", "google").Sent }
	times(3, accept)(d)
	times(3, unknownUser)(d)
	refuse(d)
	if sent() != 3 {
		t.Errorf("sent %d, want 3", sent())
	}
	d.now = time.Date(2019, 4, 15, 23, 59, 59, 0, time.FixedZone("JST", 9*3600)) // 14:59 UTC
	accept(d)
	d.Tick(d.now)
	if sent() != 4 {
		t.Errorf("sent %d, want 4: the day is a UTC day", sent())
	}
	d.now = time.Date(2019, 4, 16, 0, 0, 0, 0, time.UTC)
	d.Tick(d.now)
	if sent() != 0 {
		t.Errorf("sent %d after midnight without mail, want 0", sent())
	}
	d.now = d.now.Add(24 * time.Hour)
	accept(d)
	late := d.evidence(okVerdict, 250, outcome.EndOfData)
	late.At = d.now.Add(-time.Minute)
	d.Observe(late)
	if sent() != 2 {
		t.Errorf("sent %d, want 2", sent())
	}
}

func TestPathTellsRouteWhatItNeeds(t *testing.T) {
	d := newDesk(t, Options{})
	if p := d.Path("direct", "google"); p != (Path{}) {
		t.Errorf("an unknown path: %+v", p)
	}
	for _, s := range blockedByThree {
		d.now = d.now.Add(s.in)
		s.do(d)
	}
	if p := d.Path("direct", "google"); !p.Shut() || !p.ProbeAt.Equal(d.now.Add(mins)) || p.Pinned {
		t.Errorf("blocked: %+v", p)
	}
	d.now = d.now.Add(mins)
	d.BeginProbe(pathKey, d.now)
	if p := d.Path("direct", "google"); !p.Shut() || !p.ProbeAt.Equal(d.now.Add(15*mins)) {
		t.Errorf("with a probe on its way: %+v", p)
	}
	probeGood(d)
	if p := d.Path("direct", "google"); !p.Shut() || !p.ProbeAt.Equal(d.now.Add(15*sec)) {
		t.Errorf("between two probes: %+v", p)
	}
	d.now = d.now.Add(15 * sec)
	d.BeginProbe(pathKey, d.now)
	probeGood(d)
	if p := d.Path("direct", "google"); p.Shut() || p.Share != 1<<28 || !p.ShareAt.Equal(d.now.Add(10*mins)) || !p.ProbeAt.IsZero() {
		t.Errorf("recovering: %+v", p)
	}
	d.Block(pathKey, Pin{At: d.now, Until: d.now.Add(time.Hour)})
	if p := d.Path("direct", "google"); !p.Shut() || !p.Pinned || !p.ProbeAt.Equal(d.now.Add(time.Hour)) || p.Share != 0 {
		t.Errorf("pinned: %+v", p)
	}
}

func TestJitterStaysWithinAFifth(t *testing.T) {
	for _, c := range []struct {
		rand float64
		want time.Duration
	}{{0, 48 * sec}, {0.5, mins}, {0.999999, 72 * sec}} {
		d := newDesk(t, Options{Rand: func() float64 { return c.rand }})
		times(3, refuse)(d)
		if got := d.Path("direct", "google").ProbeAt.Sub(d.now).Round(sec); got != c.want {
			t.Errorf("with %v: %v, want %v", c.rand, got, c.want)
		}
	}
}

func TestListTellsEverythingForPeople(t *testing.T) {
	d := newDesk(t, Options{})
	for _, key := range []Key{{"b", "google"}, {"a", "yahoo"}, {"a", "google"}} {
		ev := d.evidence(okVerdict, 250, outcome.EndOfData)
		ev.Key = key
		d.Observe(ev)
	}
	for _, s := range recovering {
		d.now = d.now.Add(s.in)
		s.do(d)
	}
	d.Slow(pathKey, d.now.Add(time.Hour), d.now)
	listed(true, "x")(d)
	d.Block(Key{"a", "yahoo"}, Pin{At: d.now, Until: d.now.Add(time.Hour), Why: "why", By: "me"})
	all := d.List(d.now)
	var order []Key
	for _, in := range all {
		order = append(order, in.Key)
	}
	if !slices.Equal(order, []Key{{"a", "google"}, {"b", "google"}, {"direct", "google"}, {"a", "yahoo"}}) {
		t.Fatalf("order %v", order)
	}
	direct, pinnedOne := all[2], all[3]
	if direct.State != Blocked || direct.Why != "health.why.standing" || len(direct.Standing) != 1 || len(direct.Evidence) != 5 || direct.Slow.IsZero() {
		t.Errorf("direct: %+v", direct)
	}
	if pinnedOne.Pin == nil || !pinnedOne.Probe.Next.Equal(d.now.Add(time.Hour)) || pinnedOne.Share != 0 || pinnedOne.Sent != 1 {
		t.Errorf("pinned: %+v", pinnedOne)
	}
	if all[0].Share != 1 || all[0].Counts.Accepted != 1 {
		t.Errorf("healthy: %+v", all[0])
	}
	if n := d.States(); n != [5]int{2, 0, 2, 0, 0} {
		t.Errorf("states %v", n)
	}
	if in, ok := d.Get(Key{"no", "path"}, d.now); ok || in.State != Healthy || in.Share != 1 {
		t.Errorf("unknown: %+v", in)
	}
	if _, err := json.Marshal(all); err != nil {
		t.Error(err)
	}
}

func TestInfoOfARecoveringPathCountsWhatHappened(t *testing.T) {
	d := newDesk(t, Options{})
	accept(d)
	times(2, deferIt)(d)
	refuse(d)
	if in, ok := d.Get(pathKey, d.now); !ok || in.Counts != (Counts{Accepted: 1, Refused: 1, Deferred: 2}) || in.Run != 2 || in.State != Suspect {
		t.Errorf("%+v", in)
	}
	d = newDesk(t, Options{})
	for _, s := range recovering {
		d.now = d.now.Add(s.in)
		s.do(d)
	}
	if in, _ := d.Get(pathKey, d.now); in.Counts != (Counts{}) {
		t.Errorf("a recovering path still counts what was before: %+v", in.Counts)
	}
	if in, _ := d.Get(pathKey, d.now); in.Share < 0.0624 || in.Share > 0.0626 || in.ShareAt.IsZero() || in.Probe.Next.IsZero() == false {
		t.Errorf("%+v", in)
	}
}

func TestAStateIsItsNameInJSON(t *testing.T) {
	for s := Healthy; s <= Recovering; s++ {
		b, err := json.Marshal(s)
		var back State
		if err != nil || json.Unmarshal(b, &back) != nil || back != s {
			t.Errorf("%s: %s, %v, %v", s, b, back, err)
		}
	}
	if State(9).String() != "unknown" || json.Unmarshal([]byte(`"sick"`), new(State)) == nil {
		t.Error("an unknown state has a name")
	}
}

func TestIdleHealthyPathsAreForgottenAndOthersAreNot(t *testing.T) {
	d := newDesk(t, Options{Idle: time.Hour}) // raised to 24 h
	accept(d)
	sick := d.evidence(ipVerdict, 550, outcome.EndOfData)
	for i := range 4 {
		sick.Key, sick.MsgID = Key{"direct", "sick"}, fmt.Sprint(i)
		d.Observe(sick)
	}
	d.SetStanding(Standing{At: d.now, Listing: "x", Egress: "direct", Providers: []string{"listed"}, On: true})
	d.Clear(Key{"direct", "listed"}, d.now) // healthy, but the listing stands
	d.Tick(d.now.Add(23 * time.Hour))
	if n := len(d.List(d.now)); n != 3 {
		t.Fatalf("%d paths after 23 hours, want 3", n)
	}
	d.Tick(d.now.Add(25 * time.Hour))
	if _, ok := d.Get(pathKey, d.now); ok || len(d.List(d.now)) != 2 {
		t.Errorf("after 25 hours: %+v", d.List(d.now))
	}
}

func TestEvidenceIsNotLostOnAPageThatWasEvictedAMomentAgo(t *testing.T) {
	d := newDesk(t, Options{})
	accept(d)
	p := d.find(pathKey)
	if !d.forget(p) || d.forget(p) {
		t.Fatal("the page was not forgotten once")
	}
	if _, ok := d.use(p, d.now, func(*track) { t.Error("an evicted page was written on") }); ok {
		t.Error("an evicted page was used")
	}
	refuse(d)
	if d.Path("direct", "google").State != Suspect {
		t.Error("the refusal was lost")
	}
}

func TestTheNumberOfPathsIsBounded(t *testing.T) {
	d := newDesk(t, Options{MaxPaths: 640})
	for i := range 5000 {
		ev := d.evidence(okVerdict, 250, outcome.EndOfData)
		ev.At = start.Add(time.Duration(i) * sec)
		ev.Key.Provider = fmt.Sprint("p", i)
		d.Observe(ev)
	}
	if n := len(d.List(d.now)); n > 640 || n < 600 {
		t.Errorf("%d paths, want about 640", n)
	}
	if _, ok := d.Get(Key{"direct", "p4999"}, d.now); !ok {
		t.Error("the youngest path was not kept")
	}
}

func TestAFullBookKeepsPathsInTroubleAndLetsTheOthersPass(t *testing.T) {
	d := newDesk(t, Options{MaxPaths: 1}) // one in each shard
	for i := range 1000 {
		d.Block(Key{"direct", fmt.Sprint("p", i)}, Pin{At: start})
	}
	if n := d.States(); n[Blocked] != shardCount {
		t.Fatalf("%d blocked paths, want %d", n[Blocked], shardCount)
	}
	ev := d.evidence(okVerdict, 250, outcome.EndOfData)
	ev.Key.Provider = "another"
	d.Observe(ev)
	if p := d.Path("direct", "another"); p != (Path{}) {
		t.Errorf("an unfollowed path: %+v", p)
	}
}

func TestOnChangeSeesEachChangeOnceInOrderAndMayAskTheBook(t *testing.T) {
	var d *desk
	var mu sync.Mutex
	seen := make(map[Key]State)
	var count, overlap atomic.Int64
	opts := Options{OnChange: func(c Change) {
		if overlap.Add(1) != 1 {
			t.Error("two calls at a time")
		}
		defer overlap.Add(-1)
		mu.Lock()
		defer mu.Unlock()
		if seen[c.Key] != c.From {
			t.Errorf("%v: from %s, but the last change led to %s", c.Key, c.From, seen[c.Key])
		}
		seen[c.Key] = c.To
		count.Add(1)
		d.Path(c.Key.Egress, c.Key.Provider)
		d.Slow(c.Key, c.At.Add(sec), c.At)
		if c.To == Blocked {
			d.Clear(c.Key, c.At) // a change made while one is handed on
		}
	}}
	d = newDesk(t, opts)
	var wg sync.WaitGroup
	var returned atomic.Int64
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				ev := Evidence{At: start.Add(time.Duration(i) * sec), Key: Key{"direct", fmt.Sprint("p", i%3)}, Verdict: ipVerdict, MsgID: fmt.Sprint(g, "-", i)}
				returned.Add(int64(len(d.Observe(ev))))
			}
		})
	}
	wg.Wait()
	cleared := int64(0)
	for _, in := range d.List(d.now) {
		if seen[in.Key] != in.State {
			t.Errorf("%v: told %s, is %s", in.Key, seen[in.Key], in.State)
		}
	}
	if returned.Load() == 0 || count.Load() < returned.Load()+cleared {
		t.Errorf("%d changes told, %d returned by Observe", count.Load(), returned.Load())
	}
}

func TestTheBookIsSafeForManyGoroutines(t *testing.T) {
	d := newDesk(t, Options{MaxPaths: 256, Sources: map[string]Source{"direct": {}}})
	var wg sync.WaitGroup
	accepted := new(atomic.Int64)
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				now := start.Add(time.Duration(i) * 100 * time.Millisecond)
				key := Key{"direct", fmt.Sprint("p", i%40)}
				switch {
				case i%7 == g:
					d.Observe(Evidence{At: now, Key: key, Verdict: ipVerdict, MsgID: fmt.Sprint(g, i)})
				case i%11 == g:
					probe := d.BeginProbe(key, now)
					d.Observe(Evidence{At: now, Key: key, Verdict: okVerdict, Probe: probe})
				case i%501 == g:
					d.Tick(now)
					d.List(now)
				default:
					d.Path(key.Egress, key.Provider)
				}
				d.Observe(Evidence{At: now, Key: Key{"direct", "counted"}, Verdict: okVerdict})
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	if p := d.Path("direct", "counted"); int64(p.Sent) != accepted.Load() {
		t.Errorf("sent %d of %d", p.Sent, accepted.Load())
	}
}

func TestOnlyOneOfManyGetsTheProbe(t *testing.T) {
	d := newDesk(t, Options{})
	times(3, refuse)(d)
	var wg sync.WaitGroup
	var granted atomic.Int64
	for range 16 {
		wg.Go(func() {
			if d.BeginProbe(pathKey, d.now.Add(mins)) {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	if granted.Load() != 1 {
		t.Errorf("%d probes were granted", granted.Load())
	}
}

func TestAcceptedMailCostsNoMemory(t *testing.T) {
	book, ev := benchBook()
	if n := testing.AllocsPerRun(1000, func() {
		ev.At = ev.At.Add(time.Millisecond)
		book.Observe(ev)
		book.Path("direct", "google")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
