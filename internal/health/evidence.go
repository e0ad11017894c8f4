package health

import (
	"time"

	"ukai/internal/classify"
	"ukai/internal/outcome"
)

// kind is what an outcome means for the path it went over.
type kind uint8

const (
	neutral    kind = iota // nothing
	acceptance             // mail was taken
	refusal                // refused for reputation, permanently
	deferral               // refused for reputation, temporarily or without a reply
	haste                  // too much, too fast
	answer                 // refused for the message or the recipient: the address was let in
)

// The classes of a verdict that say that mail comes too fast.
const (
	classRate        = "rate_limited"
	classConnections = "connection_limit"
)

// weigh says what kind of evidence an outcome is.
func weigh(ev *Evidence) kind {
	v := &ev.Verdict
	switch {
	case v.Action == classify.Deliver:
		return acceptance
	case v.Reputation && ev.Outcome.Reply.Permanent():
		return refusal
	case v.Reputation:
		return deferral
	case v.Class == classRate || v.Class == classConnections:
		// A limit of one mailbox or of one sender domain is not a limit of the path.
		if v.Scope == classify.ScopeRecipient || v.Scope == classify.ScopeMessage || v.Scope == classify.ScopeSender {
			return neutral
		}
		return haste
	case ev.Outcome.Reply.Code != 0 && ev.Outcome.Phase >= outcome.RcptTo && personal(v.Blame):
		return answer
	}
	return neutral
}

// personal tells whether a refusal with this blame is about the message rather than about who brings it. A refusal without
// a better reason ("policy"), a relaying trouble and greylisting leave that open.
func personal(b classify.Blame) bool {
	switch b {
	case classify.BlameRecipient, classify.BlameContent, classify.BlameDomain, classify.BlameAuthentication:
		return true
	}
	return false
}

// judge lets one outcome bear on the path.
func (t *track) judge(k kind, ev *Evidence, r *rules) {
	if k == acceptance {
		t.count(ev.At)
	}
	if ev.Probe && t.awaits(k) {
		t.probed(k, ev, r)
		return
	}
	switch k {
	case acceptance:
		t.recent.add(ev.At, taken)
		t.Refusals.Run = 0
		t.Pause.ease(ev.At, r)
	case refusal:
		t.refuse(ev, refused, r)
	case deferral:
		t.refuse(ev, deferred, r)
	case haste:
		t.Pause.hurry(ev.At, r)
	case neutral, answer:
	}
}

// count adds a message to the day's count.
func (t *track) count(at time.Time) {
	if day := dayOf(at); day > t.Sent.Day {
		t.Sent = daily{Day: day}
	}
	t.Sent.N++
}

// sameMessage is how long further refusals of one message count as the same one: a server refuses each recipient by itself.
const sameMessage = time.Minute

// refuse takes a refusal for reputation that did not answer a probe.
func (t *track) refuse(ev *Evidence, weight int8, r *rules) {
	if ev.At.Add(-ev.Outcome.Duration).Before(t.Fresh) {
		return // the attempt began before the path's fresh start
	}
	if ev.MsgID != "" && ev.MsgID == t.Refusals.MsgID && ev.At.Sub(t.Refusals.Last) < sameMessage {
		return
	}
	t.recent.add(ev.At, weight)
	t.run(ev, weight, r)
	t.Tale.add(ev)
	if t.Pin != nil {
		return
	}
	switch t.State {
	case Healthy:
		t.move(Suspect, "health.why.first_refusal", ev.At)
		t.tryBlock(ev.At, r)
	case Suspect:
		t.tryBlock(ev.At, r)
	case Recovering:
		t.Probe.Failed++
		t.block("health.why.relapse", ev.At, r)
	case Blocked, Probing: // a straggler that was on its way before; probes alone move the path
	}
}

// run lengthens the run of refusals without an acceptance, or starts it anew when the last one is too long ago.
func (t *track) run(ev *Evidence, weight int8, r *rules) {
	f := &t.Refusals
	if ev.At.Sub(f.Last) > r.RunGap {
		f.Run = 0
	}
	f.Run += int(weight)
	f.Last, f.MsgID, f.Phase = later(f.Last, ev.At), ev.MsgID, int(ev.Outcome.Phase)
}

// tryBlock blocks a suspect path when the refusals are many enough, by count and share or by an unbroken run.
func (t *track) tryBlock(at time.Time, r *rules) {
	bad, total := t.recent.since(at.Add(-r.Window)).bad()
	switch {
	case bad >= r.BlockCount*point && bad*100 >= r.BlockPercent*total:
		t.block("health.why.refusals", at, r)
	case t.Refusals.Run >= r.BlockRun*point:
		t.block("health.why.run", at, r)
	}
}

// suspect takes a verdict on the whole network that a sibling's mail came from. It is doubt, not a count: this path was not tried.
func (t *track) suspect(ev *Evidence) {
	if t.Pin != nil || t.State != Healthy || ev.At.Before(t.Fresh) {
		return
	}
	t.Tale.add(ev)
	t.Refusals.Last = later(t.Refusals.Last, ev.At)
	t.move(Suspect, "health.why.range", ev.At)
}
