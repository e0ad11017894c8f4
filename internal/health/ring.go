package health

import "time"

// The weights of an outcome in points. A permanent refusal counts twice as much as a temporary one; see the package's text.
const (
	taken    = 0
	deferred = 1
	refused  = 2
	point    = 2 // points of one full refusal or acceptance
)

// mark is one outcome in a ring.
type mark struct {
	at     int64 // Unix nanoseconds
	weight int8
}

// ring keeps the last outcomes of a path. Adding one costs a store, because it happens for each message that is taken.
type ring struct {
	marks []mark // as many as are weighed; a mark at time 0 is empty
	next  int
}

func newRing(n int) ring { return ring{marks: make([]mark, n)} }

func (r *ring) add(at time.Time, weight int8) {
	if len(r.marks) == 0 {
		return
	}
	r.marks[r.next] = mark{at.UnixNano(), weight}
	if r.next++; r.next == len(r.marks) {
		r.next = 0
	}
}

func (r *ring) clear() {
	clear(r.marks)
	r.next = 0
}

// Counts is what a path has seen lately: in Thresholds.Window, of the last Thresholds.Recent outcomes that count.
type Counts struct {
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`  // permanently, for reputation
	Deferred int `json:"deferred"` // temporarily, for reputation
}

// since counts the outcomes that are not older than from.
func (r *ring) since(from time.Time) Counts {
	var c Counts
	oldest := from.UnixNano()
	for _, m := range r.marks {
		switch {
		case m.at == 0 || m.at < oldest:
		case m.weight == taken:
			c.Accepted++
		case m.weight == deferred:
			c.Deferred++
		default:
			c.Refused++
		}
	}
	return c
}

// bad returns the points of the refusals, and all those of all outcomes. Where deferrals count half they count half in
// both, or a path with nothing but deferrals would never reach one half.
func (c Counts) bad() (points, total int) {
	points = c.Refused*refused + c.Deferred*deferred
	return points, points + c.Accepted*point
}
