package health

import (
	"time"
)

// track is the state machine of one path. It has no lock and no clock; package-internal callers hold the lock of its page.
// Its exported fields are what is saved.
type track struct {
	Key   Key       `json:"-"`
	State State     `json:"-"`
	Since time.Time `json:"-"`
	Why   string    `json:"why,omitempty"` // the reason of the last change
	// Fresh is the last fresh start: the path began to recover, or an admin cleared it. Attempts that began before, and the
	// evidence from before, belong to another story.
	Fresh    time.Time `json:"fresh,omitzero"`
	Refusals refusals  `json:"refusals,omitzero"`
	Probe    probe     `json:"probe,omitzero"`
	Share    share     `json:"share,omitzero"`
	Pause    pause     `json:"pause,omitzero"`
	Sent     daily     `json:"-"`
	Pin      *Pin      `json:"pin,omitempty"` // replaced, never changed
	Standing []Listing `json:"standing,omitempty"`
	Tale     tale      `json:"tale,omitzero"`

	recent ring
	moves  []Change // what happened since the book looked last
}

// refusals is the memory of reputation refusals that is longer than the window.
type refusals struct {
	Run   int       `json:"run,omitempty"` // points since the last acceptance
	Last  time.Time `json:"last,omitzero"`
	MsgID string    `json:"msg_id,omitempty"` // of the last one: one message with many recipients is refused once
	Phase int       `json:"phase,omitempty"`  // of the last one: outcome.Phase
}

// share is the part of the traffic that a recovering path carries.
type share struct {
	Of   uint32    `json:"of"` // of 1<<32-1
	Next time.Time `json:"next,omitzero"`
}

// daily counts the messages of one UTC day.
type daily struct {
	Day int64 // days since 1970-01-01
	N   int
}

// dayOf returns the UTC day of at.
func dayOf(at time.Time) int64 {
	sec := at.Unix()
	if sec < 0 {
		return 0
	}
	return sec / 86400
}

// move changes the state, or only the reason where to is the state already, and tells the story so far with it.
func (t *track) move(to State, why string, at time.Time) {
	if at.Before(t.Since) { // evidence may come out of order; a path's history may not
		at = t.Since
	}
	t.moves = append(t.moves, Change{At: at, Key: t.Key, From: t.State, To: to, Why: why, Evidence: t.Tale.told()})
	if t.State != to {
		t.State, t.Since = to, at
	}
	t.Why = why
}

// view is what package route sees. Sent is added by the page.
func (t *track) view() Path {
	p := Path{State: t.State, Slow: t.Pause.Until, SlowFor: t.Pause.Length}
	switch {
	case t.Pin != nil:
		p.Pinned, p.ProbeAt = true, t.Pin.Until
	case t.State == Probing && !t.Probe.Lease.IsZero():
		p.ProbeAt = t.Probe.Lease
	case t.State == Probing || t.State == Blocked:
		p.ProbeAt = t.Probe.At
	case t.State == Recovering:
		p.Share, p.ShareAt = t.Share.Of, t.Share.Next
	}
	return p
}

// advance does what time alone brings about. It is called before anything else happens to the path.
func (t *track) advance(now time.Time, r *rules) {
	if t.Pin != nil {
		if !t.Pin.Until.IsZero() && !now.Before(t.Pin.Until) {
			t.unpin(now)
		}
		return
	}
	switch t.State {
	case Suspect:
		if !now.Before(later(t.Since, t.Refusals.Last).Add(r.Window)) {
			t.move(Healthy, "health.why.clean_window", now)
		}
	case Probing:
		if !t.Probe.Lease.IsZero() && !now.Before(t.Probe.Lease) {
			t.Probe.Lease, t.Probe.At = time.Time{}, now
			t.move(Blocked, "health.why.probe_lost", now)
		}
	case Recovering:
		if !now.Before(t.Share.Next) {
			t.grow(now, r)
		}
	}
}

// grow doubles the share of a recovering path, one step per call: after a night without power, too, each step has to be
// followed by a window in which mail could have been refused.
func (t *track) grow(now time.Time, r *rules) {
	const half = 1 << 31
	if t.Share.Of >= half {
		t.Share, t.Probe, t.Refusals.Run = share{}, probe{}, 0
		t.move(Healthy, "health.why.recovered", now)
		return
	}
	t.Share = share{Of: t.Share.Of * 2, Next: now.Add(r.RecoverWindow)}
	t.move(Recovering, "health.why.share_doubled", now)
}

// comeBack starts the way back.
func (t *track) comeBack(at time.Time, r *rules) {
	of := uint64(1<<32) / uint64(r.RecoverFrom)
	t.Share = share{Of: uint32(min(of, 1<<32-1)), Next: at.Add(r.RecoverWindow)}
	t.Refusals.Run = 0
	t.recent.clear()
	t.move(Recovering, "health.why.probes_good", at)
	t.Fresh = at
	t.Tale.turn()
}

// block shuts the path; the next probe waits the longer, the more of them have failed.
func (t *track) block(why string, at time.Time, r *rules) {
	t.Probe.Good, t.Probe.Lease, t.Share = 0, time.Time{}, share{}
	wait := grown(r.ProbeFirst, r.ProbeMax, t.Probe.Failed)
	if len(t.Standing) > 0 {
		wait = r.ProbeMax
	}
	t.Probe.At = at.Add(r.jitter(wait))
	t.move(Blocked, why, at)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
