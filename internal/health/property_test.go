package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ukai/internal/classify"
	"ukai/internal/outcome"
)

// allowed are the moves a path may make, by whose doing. There is no way from blocked to healthy but an admin's.
var allowed = map[[2]State][]string{
	{Healthy, Suspect}:       {"first_refusal", "range"},
	{Healthy, Blocked}:       {"standing", "pinned"},
	{Suspect, Healthy}:       {"clean_window", "cleared"},
	{Suspect, Blocked}:       {"refusals", "run", "standing", "pinned"},
	{Blocked, Blocked}:       {"standing", "standing_ended", "pinned", "pin_ended", "probe_refused"},
	{Blocked, Probing}:       {"probe_begun", "probe_good"},
	{Blocked, Recovering}:    {"probes_good"},
	{Blocked, Healthy}:       {"cleared"},
	{Probing, Probing}:       {"probe_good"},
	{Probing, Blocked}:       {"probe_refused", "probe_unclear", "probe_lost", "probe_released", "standing", "pinned"},
	{Probing, Recovering}:    {"probes_good"},
	{Probing, Healthy}:       {"cleared"},
	{Recovering, Recovering}: {"share_doubled"},
	{Recovering, Healthy}:    {"recovered", "cleared"},
	{Recovering, Blocked}:    {"relapse", "standing", "pinned"},
}

// model watches a book and knows what may never happen.
type model struct {
	*desk
	rt      *rapid.T
	last    Change
	granted bool // a probe is on its way, as far as the caller knows
	lease   time.Time
}

func (m *model) change(c Change) {
	why := c.Why[len("health.why."):]
	ok := false
	for _, w := range allowed[[2]State{c.From, c.To}] {
		ok = ok || w == why
	}
	switch {
	case !ok:
		m.rt.Fatalf("%s>%s because of %s", c.From, c.To, why)
	case c.From != m.last.To:
		m.rt.Fatalf("a change from %s, but the last one led to %s", c.From, m.last.To)
	case c.At.Before(m.last.At):
		m.rt.Fatalf("a change at %v after one at %v", c.At, m.last.At)
	case len(c.Evidence) > maxTale:
		m.rt.Fatalf("%d pieces of evidence", len(c.Evidence))
	}
	m.last = c
}

func (m *model) check(*rapid.T) {
	p := m.Path("direct", "google")
	in, known := m.Get(pathKey, m.now)
	switch {
	case p.State != m.last.To:
		m.rt.Fatalf("is %s, told %s", p.State, m.last.To)
	case (p.State == Recovering) != (p.Share != 0):
		m.rt.Fatalf("%s with share %d", p.State, p.Share)
	case p.State == Recovering && p.Share < 1<<28:
		m.rt.Fatalf("a share of %d", p.Share)
	case p.Pinned && p.State != Blocked:
		m.rt.Fatalf("pinned and %s", p.State)
	case p.State == Blocked && !p.Pinned && p.ProbeAt.IsZero():
		m.rt.Fatal("blocked and never probed again")
	case p.Shut() && !p.Pinned && p.ProbeAt.After(m.now.Add(73*time.Minute)):
		m.rt.Fatalf("the next probe is %v away", p.ProbeAt.Sub(m.now))
	case p.SlowFor > 15*time.Minute || p.Slow.After(m.now.Add(19*time.Minute)):
		m.rt.Fatalf("slow for %v until %v", p.SlowFor, p.Slow.Sub(m.now))
	case known && in.Probe.Running && in.State != Probing:
		m.rt.Fatalf("a probe runs on a path that is %s", in.State)
	}
}

func TestAPathNeverTakesAShortcut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rt: rt}
		m.desk = newDesk(t, Options{OnChange: func(c Change) { m.change(c) }, Rand: func() float64 { return rapid.Float64Range(0, 0.99).Draw(rt, "rand") }})
		verdicts := rapid.SampledFrom([]classify.Verdict{okVerdict, okVerdict, ipVerdict, ipVerdict, userVerdict, rateVerdict, verdict("spam_content", classify.BlameContent), verdict("network_error", classify.BlameNetwork)})
		codes := rapid.SampledFrom([]int{0, 421, 550})
		phases := rapid.SampledFrom([]outcome.Phase{outcome.Connect, outcome.MailFrom, outcome.RcptTo, outcome.EndOfData})
		seen := func(rt *rapid.T, probe bool) {
			ev := m.evidence(verdicts.Draw(rt, "verdict"), codes.Draw(rt, "code"), phases.Draw(rt, "phase"))
			ev.At = ev.At.Add(-time.Duration(rapid.IntRange(0, 60).Draw(rt, "late")) * time.Second)
			ev.Probe = probe
			m.Observe(ev)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time": func(rt *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 2400).Draw(rt, "seconds")) * time.Second)
				m.Tick(m.now)
			},
			"mail": func(rt *rapid.T) { seen(rt, false) },
			"more": func(rt *rapid.T) { seen(rt, false) },
			"begin": func(rt *rapid.T) {
				granted := m.BeginProbe(pathKey, m.now)
				if granted && m.granted && m.now.Before(m.lease) {
					rt.Fatal("two probes at a time")
				}
				if granted {
					m.granted, m.lease = true, m.now.Add(15*time.Minute)
				}
			},
			"probe": func(rt *rapid.T) {
				m.granted = false
				seen(rt, true)
			},
			"release": func(*rapid.T) {
				m.granted = false
				m.ReleaseProbe(pathKey, m.now)
			},
			"list": func(rt *rapid.T) {
				m.granted = false
				listed(rapid.Bool().Draw(rt, "on"), rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "list"))(m.desk)
			},
			"block": func(rt *rapid.T) {
				m.granted = false
				pinned(time.Duration(rapid.IntRange(0, 3).Draw(rt, "hours")) * time.Hour)(m.desk)
			},
			"clear": func(*rapid.T) {
				m.granted = false
				unpinned(m.desk)
			},
			"": m.check,
		})
	})
}

func TestAPathThatTakesMailAgainComesBackWhateverHappenedBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t, Options{Rand: func() float64 { return rapid.Float64Range(0, 0.99).Draw(rt, "rand") }})
		deeds := []deed{accept, refuse, deferIt, tooFast, probeGood, probeBad, tick, listed(true, "a"), listed(false, "a"), pinned(time.Hour), unpinned}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(deeds)-1), 0, 40).Draw(rt, "deeds") {
			d.now = d.now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(rt, "seconds")) * time.Second)
			d.BeginProbe(pathKey, d.now)
			deeds[i](d)
		}
		listed(false, "a")(d)
		for range 300 { // five hours in which the provider takes everything
			d.now = d.now.Add(time.Minute)
			d.Tick(d.now)
			if d.BeginProbe(pathKey, d.now) {
				probeGood(d)
			} else if p := d.Path("direct", "google"); !p.Shut() {
				accept(d)
			}
		}
		if p := d.Path("direct", "google"); p.State != Healthy {
			rt.Fatalf("after five good hours: %+v", p)
		}
	})
}
