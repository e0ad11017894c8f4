package health

import (
	"time"

	"ukai/internal/outcome"
)

// probe is what is known of the probes of a path that is not healthy.
type probe struct {
	At     time.Time `json:"at,omitzero"`    // the next one may go out
	Lease  time.Time `json:"lease,omitzero"` // one is on its way; given up at this time
	Good   int       `json:"good,omitempty"` // in a row
	Failed int       `json:"failed,omitempty"`
}

// claim grants the one probe.
func (t *track) claim(now time.Time, r *rules) bool {
	if t.Pin != nil || t.State != Blocked && t.State != Probing || !t.Probe.Lease.IsZero() || now.Before(t.Probe.At) {
		return false
	}
	t.Probe.Lease = now.Add(r.ProbeLease)
	if t.State == Blocked {
		t.move(Probing, "health.why.probe_begun", now)
	}
	return true
}

// awaits tells whether evidence that answers a probe is still waited for. A probe that was given up, or whose first recipient
// told nothing, may yet be told by a late answer or by another recipient, as long as nothing else has happened to the path.
func (t *track) awaits(k kind) bool {
	if t.Pin != nil {
		return false
	}
	if t.State == Probing {
		return !t.Probe.Lease.IsZero()
	}
	open := t.Why == "health.why.probe_unclear" || t.Why == "health.why.probe_lost" // so it is blocked
	return open && (k == acceptance || k == refusal || k == deferral)
}

// probed takes the outcome of a probe.
func (t *track) probed(k kind, ev *Evidence, r *rules) {
	t.Probe.Lease = time.Time{}
	switch {
	case k == acceptance, k == answer && ev.Outcome.Phase >= outcome.Phase(t.Refusals.Phase):
		t.Tale.add(ev)
		t.Pause.ease(ev.At, r)
		t.Probe.Good++
		if t.Probe.Good >= r.ProbeGood {
			t.comeBack(ev.At, r)
			return
		}
		t.Probe.At = ev.At.Add(r.ProbeGap)
		t.move(Probing, "health.why.probe_good", ev.At)
	case k == refusal, k == deferral:
		t.recent.add(ev.At, refused)
		t.run(ev, refused, r)
		t.Tale.add(ev)
		t.Probe.Failed++
		t.block("health.why.probe_refused", ev.At, r)
	default:
		if k == haste {
			t.Pause.hurry(ev.At, r)
		}
		t.Tale.add(ev)
		t.putBack(ev.At.Add(r.ProbeFirst), "health.why.probe_unclear", ev.At)
	}
}

// putBack ends a probe that told nothing. Good probes before it still count.
func (t *track) putBack(next time.Time, why string, at time.Time) {
	t.Probe.Lease, t.Probe.At = time.Time{}, next
	t.move(Blocked, why, at)
}

// BeginProbe claims the one probe of a path: true means that the caller's message is it, and that its outcome comes back by
// Observe with Evidence.Probe set, or by ReleaseProbe. A probe that is never heard of again is given up after
// Thresholds.ProbeLease. False means that no probe is due, or that another message is it.
func (b *Book) BeginProbe(key Key, now time.Time) bool {
	granted := false
	b.known(key, now, func(t *track) { granted = t.claim(now, b.rules.Load()) })
	return granted
}

// ReleaseProbe gives back a probe that could not be sent: the next one may go out at once.
func (b *Book) ReleaseProbe(key Key, now time.Time) []Change {
	return b.known(key, now, func(t *track) {
		if t.State == Probing && !t.Probe.Lease.IsZero() {
			t.putBack(now, "health.why.probe_released", now)
		}
	})
}
