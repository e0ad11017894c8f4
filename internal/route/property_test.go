package route

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ukai/internal/health"
	"ukai/internal/mail"
)

// scene is a random table, a random view and a random request.
type scene struct {
	table *Table
	view  paths
	req   *Request
}

func drawPath(rt *rapid.T, name string) health.Path {
	moment := func(label string) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-1200, 7200).Draw(rt, name+label)) * time.Second)
	}
	p := health.Path{State: health.State(rapid.IntRange(0, 4).Draw(rt, name+" state"))}
	switch {
	case p.Shut():
		p.ProbeAt = moment(" probe")
		p.Pinned = p.State == health.Blocked && rapid.IntRange(0, 4).Draw(rt, name+" pinned") == 0
		if p.Pinned && rapid.Bool().Draw(rt, name+" endless") {
			p.ProbeAt = time.Time{}
		}
	case p.State == health.Recovering:
		p.Share, p.ShareAt = 1<<rapid.IntRange(28, 31).Draw(rt, name+" share"), moment(" next")
	}
	if rapid.IntRange(0, 3).Draw(rt, name+" paced") == 0 {
		p.Slow, p.SlowFor = moment(" slow"), time.Duration(rapid.IntRange(1, 900).Draw(rt, name+" for"))*time.Second
	}
	p.Sent = rapid.IntRange(0, 20).Draw(rt, name+" sent")
	return p
}

func draw(rt *rapid.T) scene {
	n := rapid.IntRange(1, 6).Draw(rt, "egresses")
	egresses, view := make([]Egress, n), make(paths)
	some := func(label string, from ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(rt, label)
	}
	for i := range egresses {
		e := &egresses[i]
		e.Name = fmt.Sprint("e", i)
		e.Disabled = rapid.IntRange(0, 7).Draw(rt, e.Name+" disabled") == 0
		e.Providers = some(e.Name+" providers", "google", "yahoo", "*")
		e.SenderDomains = some(e.Name+" senders", "example.org", "*.example.org", "other.example")
		if rapid.Bool().Draw(rt, e.Name+" young") {
			e.WarmUp, e.BulkShare = 10, rapid.IntRange(0, 100).Draw(rt, e.Name+" bulk share")
		}
		view[e.Name] = drawPath(rt, e.Name)
	}
	order := rapid.Permutation(seq(n)).Draw(rt, "order")
	pools := []Pool{{Name: "p", Egresses: order[:rapid.IntRange(1, n).Draw(rt, "pool")]}}
	table, err := NewTable(egresses, pools, Options{Mode: Mode(rapid.IntRange(0, 1).Draw(rt, "mode"))})
	if err != nil {
		rt.Fatal(err)
	}
	mask := func(label string) uint64 {
		return rapid.Uint64Range(0, 1<<n-1).Draw(rt, label) & rapid.Uint64Range(0, 1<<n-1).Draw(rt, label+" too")
	}
	return scene{table, view, &Request{
		Provider: rapid.SampledFrom([]string{"google", "yahoo", "third"}).Draw(rt, "provider"),
		Sender:   rapid.SampledFrom([]string{"example.org", "a.example.org", "other.example", ""}).Draw(rt, "sender"),
		Class:    mail.Class(rapid.IntRange(0, 1).Draw(rt, "class")), Tried: mask("tried"), Unfit: mask("unfit"),
		NoProbe: rapid.Bool().Draw(rt, "noprobe"), Dice: rapid.Uint32().Draw(rt, "dice"),
	}}
}

func seq(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// eligible tells by the plain rule, without an index, whether an egress may carry the message.
func (s *scene) eligible(i int) bool {
	e := &s.table.Egresses[i]
	inPool := false
	for _, m := range s.table.Pools[0].Egresses {
		inPool = inPool || m == i
	}
	provider, sender := len(e.Providers) == 0, len(e.SenderDomains) == 0
	for _, p := range e.Providers {
		provider = provider || p == "*" || p == s.req.Provider
	}
	for _, d := range e.SenderDomains {
		sender = sender || d == s.req.Sender || d == "*.example.org" && s.req.Sender == "a.example.org"
	}
	return inPool && !e.Disabled && provider && sender && s.req.Unfit&(1<<i) == 0
}

// free tells whether nothing at all speaks against an egress.
func (s *scene) free(i int) bool {
	e, p := &s.table.Egresses[i], s.view[s.table.Egresses[i].Name]
	budget := e.WarmUp == 0 || p.Sent < e.budget(s.req.Class)
	return s.eligible(i) && s.req.Tried&(1<<i) == 0 && p.State == health.Healthy && !p.Slow.After(noon) && budget
}

func TestNoDecisionBreaksARule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := draw(rt)
		d := s.table.Choose(s.req, s.view, noon)
		checkDecision(rt, s.table, s.req, &d)
		anyEligible, anyFree, anyProbing := false, false, false
		for i := range s.table.Egresses {
			anyEligible = anyEligible || s.eligible(i)
			anyFree = anyFree || s.free(i)
			p := s.view[s.table.Egresses[i].Name]
			anyProbing = anyProbing || s.eligible(i) && s.req.Tried&(1<<i) == 0 && p.State == health.Probing && p.ProbeAt.After(noon)
		}
		act := s.table.Mode == Act
		switch {
		case d.Egress >= 0 && !s.eligible(d.Egress), d.Would >= 0 && !s.eligible(d.Would), d.Preferred >= 0 && !s.eligible(d.Preferred):
			rt.Fatalf("an egress that is not eligible: %+v", d)
		case d.Would >= 0 && s.req.Tried&(1<<d.Would) != 0:
			rt.Fatalf("a way that was tried: %+v", d)
		case anyEligible != (d.Preferred >= 0):
			rt.Fatalf("eligible %v: %+v", anyEligible, d)
		case act && anyEligible && d.Kind == None:
			rt.Fatalf("given up: %+v", d)
		case !anyEligible && d.Kind != None:
			rt.Fatalf("nothing is eligible: %+v", d)
		case anyFree && d.Kind == Hold:
			rt.Fatalf("held, though a way is free: %+v", d)
		case d.Kind == Hold && d.Until.After(noon.Add(time.Hour+spreadMost)):
			rt.Fatalf("held for too long: %+v", d)
		case d.Reason == ProbeAlone && anyProbing:
			rt.Fatalf("a second probe at a time: %+v", d)
		}
		s.checkPath(rt, &d)
	})
}

// checkPath compares a decision with the health of the way it chose.
func (s *scene) checkPath(rt *rapid.T, d *Decision) {
	if d.Kind != Send || s.table.Mode == Observe && !d.Probe {
		return
	}
	e := &s.table.Egresses[d.Egress]
	p := s.view[e.Name]
	switch {
	case d.Probe && (s.req.NoProbe || s.req.Tried != 0 || p.Pinned || !p.Shut() || p.ProbeAt.After(noon)):
		rt.Fatalf("a probe that is not due: %+v over %+v", d, p)
	case d.Probe:
	case p.Shut():
		rt.Fatalf("mail over a shut way: %+v over %+v", d, p)
	case p.Slow.After(noon):
		rt.Fatalf("mail during a pause: %+v over %+v", d, p)
	case e.WarmUp > 0 && p.Sent >= e.budget(s.req.Class):
		rt.Fatalf("mail beyond the budget: %+v over %+v", d, p)
	case p.State == health.Recovering && s.req.Dice >= p.Share && d.Reason != OnlyRecovering:
		rt.Fatalf("mail beyond the share: %+v over %+v", d, p)
	case d.Reason == OnlyRecovering && s.req.Class == mail.Bulk:
		rt.Fatalf("bulk mail beyond the share: %+v", d)
	}
}

func TestObserveModeNeverTakesADetourAndTellsWhatActModeWouldDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := draw(rt)
		s.table.Mode = Act
		act := s.table.Choose(s.req, s.view, noon)
		s.table.Mode = Observe
		seen := s.table.Choose(s.req, s.view, noon)
		switch {
		case seen.Would != act.Egress || seen.Preferred != act.Preferred:
			rt.Fatalf("act %+v, observe %+v", act, seen)
		case seen.Egress >= 0 && seen.Egress != seen.Preferred || seen.Detour || seen.Kind == Hold:
			rt.Fatalf("observe %+v", seen)
		case seen.Probe && (!act.Probe || seen.Egress != act.Egress):
			rt.Fatalf("a probe of its own: act %+v, observe %+v", act, seen)
		}
	})
}

func TestARecoveringWayCarriesItsShare(t *testing.T) {
	table, err := NewTable([]Egress{{Name: "a"}, {Name: "b"}}, nil, Options{Mode: Act})
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	const n = 100000
	for _, divisor := range []uint32{16, 8, 4, 2} {
		view := paths{"a": {State: health.Recovering, Share: math.MaxUint32/divisor + 1}}
		carried := 0
		for range n {
			if d := table.Choose(&Request{Dice: dice.Uint32()}, view, noon); d.Egress == 0 {
				carried++
			}
		}
		want := float64(n) / float64(divisor)
		if math.Abs(float64(carried)-want) > 5*math.Sqrt(want) {
			t.Errorf("a share of 1/%d carried %d of %d", divisor, carried, n)
		}
	}
}
