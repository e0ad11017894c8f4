package notify

import (
	"slices"
	"time"

	"ukai/internal/incident"
)

// News that are not events of an incident.
const (
	isRepeated  incident.News = "repeated"  // still open, and nobody has taken it on
	isEscalated incident.News = "escalated" // the same, for the next level
	isTest      incident.News = "test"
	hasFailed   incident.News = "channel_failed"
	hasReturned incident.News = "channel_returned"
)

// memory is what was told of an incident. It is stored.
type memory struct {
	First time.Time   `json:"first,omitzero"` // the first notice since it opened; zero: nothing was told
	Last  time.Time   `json:"last,omitzero"`
	Level int         `json:"level,omitempty"` // the highest that was told
	Grown int         `json:"grown,omitempty"` // how often growth was told
	Sent  []time.Time `json:"sent,omitempty"`  // notices within the hour
}

// thread is what there is to tell of an incident.
type thread struct {
	memory
	inc   incident.Incident
	news  incident.News // what is to be told; empty: nothing
	since time.Time     // when it came up

	busy  bool      // a notice is under way
	fails int       // rounds in a row in which no channel worked
	after time.Time // no round before
}

// weight orders news: a lighter one does not take the place of a heavier one that was not told.
var weight = map[incident.News]int{incident.HasGrown: 1, incident.WasAcked: 2, incident.WasReopened: 3, incident.WasOpened: 3, incident.WasClosed: 4}

// pend notes news. The state that is told is the newest at any rate; this says what it is told as.
func (t *thread) pend(news incident.News, at time.Time) {
	switch {
	case news == incident.WasReopened || news == incident.WasOpened:
		if t.news == incident.WasClosed && !t.First.IsZero() {
			t.news = "" // its end was not told: it goes on, nothing flaps
			return
		}
		t.memory = memory{Sent: t.Sent, Last: t.Last} // a new chapter: levels and pauses begin anew
	case weight[news] < weight[t.news]:
		return
	case news == t.news: // the first of its kind sets the time
		return
	}
	t.news, t.since = news, at
}

// putBack makes what could not be told something to be told again, unless heavier news have come up.
func (t *thread) putBack(p plan, now time.Time) {
	if weight[p.news] > weight[t.news] {
		t.news, t.since = p.news, now
	}
}

// idle tells whether an incident can be forgotten.
func (t *thread) idle() bool { return t.news == "" && !t.busy && t.inc.State == incident.Closed }

// plan is a notice that is due at a time.
type plan struct {
	news  incident.News
	level int
	at    time.Time
}

// stage moves the time of a plan, or drops it.
type stage func(t *thread, p plan) (_ plan, ok bool)

// stages are passed one after the other.
func (n *Notifier) stagesLocked(o *Options) []stage {
	return []stage{n.silenced, o.quiet, o.limit, retry}
}

// next returns what is to be told of an incident next, and when; ok is false when there is nothing.
func (n *Notifier) nextLocked(t *thread, o *Options) (p plan, ok bool) {
	if t.busy {
		return plan{}, false
	}
	if p, ok = o.wanted(t); !ok {
		return plan{}, false
	}
	for _, s := range n.stagesLocked(o) {
		if p, ok = s(t, p); !ok {
			t.news = ""
			return plan{}, false
		}
	}
	return p, true
}

// wanted says what there is to tell, if nothing stood in the way.
func (o *Options) wanted(t *thread) (plan, bool) {
	p := plan{news: t.news, level: max(t.Level, 1), at: t.since}
	switch t.news {
	case incident.WasOpened, incident.WasReopened:
		return p, true // at once
	case incident.WasClosed, incident.WasAcked:
		p.at = t.since.Add(o.GroupWait)
		return p, true
	}
	due, ok := o.reminder(t)
	if t.news != incident.HasGrown {
		return due, ok
	}
	p.at = later(t.since.Add(o.GroupWait), t.Last.Add(o.pause(t.Grown)))
	if ok && !due.at.After(p.at) { // it says the same, and more
		return due, true
	}
	return p, true
}

// pause is how long growth waits after the n-th time.
func (o *Options) pause(n int) time.Duration {
	d := o.GroupInterval
	for range n {
		if d *= 3; o.Repeat > 0 && d >= o.Repeat {
			return max(o.Repeat, o.GroupInterval)
		}
	}
	return d
}

// reminder says when people are told again of what nobody has taken on: the next level, or the same ones.
func (o *Options) reminder(t *thread) (p plan, ok bool) {
	if t.inc.State != incident.Open || t.First.IsZero() {
		return plan{}, false
	}
	level := max(t.Level, 1)
	if o.Repeat > 0 {
		p, ok = plan{news: isRepeated, level: level, at: t.Last.Add(o.Repeat)}, true
	}
	if o.Escalate <= 0 || level >= o.levels() {
		return p, ok
	}
	e := plan{news: isEscalated, level: level + 1, at: t.First.Add(time.Duration(level) * o.Escalate)}
	if ok && p.at.Before(e.at) {
		return p, true
	}
	return e, true
}

// silenced keeps a notice back as long as somebody has asked for it. What ends in silence is not told.
func (n *Notifier) silenced(t *thread, p plan) (plan, bool) {
	for i := range n.silences {
		s := &n.silences[i]
		if !s.covers(&t.inc) || !p.at.Before(s.Until) {
			continue
		}
		if p.news == incident.WasClosed || p.news == incident.WasAcked {
			return p, false
		}
		p.at = s.Until
	}
	return p, true
}

// quiet keeps a notice back until the quiet hours are over, but for the opening of the kinds that may wake people.
func (o *Options) quiet(t *thread, p plan) (plan, bool) {
	urgent := p.news == incident.WasOpened || p.news == incident.WasReopened || p.news == isEscalated
	if urgent && slices.Contains(o.Quiet.Through, t.inc.Cause.Kind) {
		return p, true
	}
	if until, quiet := o.Quiet.holds(p.at); quiet {
		p.at = until
	}
	return p, true
}

// limit keeps the number of notices within an hour. The last place is kept for the end of the trouble.
func (o *Options) limit(t *thread, p plan) (plan, bool) {
	if o.PerHour < 0 {
		return p, true
	}
	most := o.PerHour
	if p.news != incident.WasClosed && p.news != incident.WasOpened && most > 1 {
		most--
	}
	var within []time.Time
	for _, at := range t.Sent {
		if at.After(p.at.Add(-o.Hour)) {
			within = append(within, at)
		}
	}
	if over := len(within) - most; over >= 0 {
		p.at = within[over].Add(o.Hour)
	}
	return p, true
}

// retry waits after a round in which no channel worked.
func retry(t *thread, p plan) (plan, bool) {
	p.at = later(p.at, t.after)
	return p, true
}

// told notes that a notice has left.
func (t *thread) told(p plan, at time.Time, hour time.Duration) {
	if t.First.IsZero() {
		t.First = at
	}
	t.Last, t.Level, t.fails, t.after = at, max(p.level, t.Level), 0, time.Time{}
	if p.news == incident.HasGrown {
		t.Grown++
	}
	t.Sent = append(slices.DeleteFunc(t.Sent, func(s time.Time) bool { return at.Sub(s) >= hour }), at)
}

// missed notes that no channel worked: the pause until the next round doubles from 2 s to 5 min.
func (t *thread) missed(at time.Time) {
	t.after = at.Add(min(2*time.Second<<min(t.fails, 20), 5*time.Minute))
	t.fails++
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
