package queue

import (
	"math"
	"strings"
)

// place says where a line is among the lines.
type place uint8

const (
	placeNone  place = iota // nothing waits in it
	placeRing               // something is due: it takes part in the turns
	placeTimed              // its first is due later
)

// lines are the recipient domains. Those that have something due stand in a ring and get their turn one after the other,
// so that a domain with a million messages does not keep one with a single message waiting. The others stand in a heap by
// the time at which their first is due.
type lines struct {
	deliveries *slab[delivery]
	messages   *slab[message]
	byName     map[string]uint32
	all        []*line // from index 1
	unused     []uint32
	ring       ring
	timed      []timedLine
	turn       uint64
	resting    []uint32 // lines that had enough in this turn; empty between turns
}

// timedLine is a line whose first is due later.
type timedLine struct {
	due  int64
	line uint32
}

func (l *lines) init(d *slab[delivery], m *slab[message]) {
	l.deliveries, l.messages = d, m
	l.byName = make(map[string]uint32)
	l.all = []*line{nil}
}

// domain returns the index of a domain's line and makes the caller a member.
func (l *lines) domain(name string) uint32 {
	i, ok := l.byName[name]
	if !ok {
		if n := len(l.unused); n > 0 {
			i = l.unused[n-1]
			l.unused = l.unused[:n-1]
		} else {
			i = uint32(len(l.all))
			l.all = append(l.all, nil)
		}
		name = strings.Clone(name) // it is part of a whole envelope
		l.all[i] = &line{name: name}
		l.byName[name] = i
	}
	l.all[i].members++
	return i
}

// leave ends a membership; the line of a domain without members is forgotten.
func (l *lines) leave(i uint32) {
	ln := l.all[i]
	if ln.members--; ln.members > 0 || ln.place == placeRing { // the ring lets go of it at its turn
		return
	}
	l.forget(i)
}

func (l *lines) forget(i uint32) {
	delete(l.byName, l.all[i].name)
	l.all[i] = nil
	l.unused = append(l.unused, i)
}

// first is when the first of a line is due.
func (l *lines) first(i uint32) int64 { return l.deliveries.at(l.head(l.all[i])).due }

// settle puts a line where it belongs after something was added to it.
func (l *lines) settle(i uint32, now int64) {
	ln := l.all[i]
	switch {
	case ln.place == placeRing:
	case l.first(i) <= now:
		if ln.place == placeTimed {
			l.untime(i)
		}
		ln.place = placeRing
		l.ring.push(i)
	case ln.place == placeTimed:
		l.retime(i)
	default:
		ln.place, ln.timed = placeTimed, len(l.timed)
		l.timed = append(l.timed, timedLine{l.first(i), i})
		l.timedUp(ln.timed)
	}
}

// retime corrects the place of a timed line whose first has changed, or that is empty.
func (l *lines) retime(i uint32) {
	ln := l.all[i]
	if l.head(ln) == 0 {
		l.untime(i)
		return
	}
	l.timed[ln.timed].due = l.first(i)
	l.timedDown(ln.timed)
	l.timedUp(ln.timed)
}

// untime takes a line out of the timed ones; it may be empty.
func (l *lines) untime(i uint32) {
	ln := l.all[i]
	x, last := ln.timed, len(l.timed)-1
	if x != last {
		l.timedSwap(x, last)
	}
	l.timed = l.timed[:last]
	ln.place = placeNone
	if x != last {
		l.timedDown(x)
		l.timedUp(x)
	}
}

func (l *lines) timedSwap(x, y int) {
	l.timed[x], l.timed[y] = l.timed[y], l.timed[x]
	l.all[l.timed[x].line].timed, l.all[l.timed[y].line].timed = x, y
}

func (l *lines) timedUp(x int) {
	for x > 0 && l.timed[x].due < l.timed[(x-1)/2].due {
		l.timedSwap(x, (x-1)/2)
		x = (x - 1) / 2
	}
}

func (l *lines) timedDown(x int) {
	for {
		c := 2*x + 1
		if c >= len(l.timed) {
			return
		}
		if c+1 < len(l.timed) && l.timed[c+1].due < l.timed[c].due {
			c++
		}
		if l.timed[c].due >= l.timed[x].due {
			return
		}
		l.timedSwap(x, c)
		x = c
	}
}

// next is when the first of the timed lines is due, the far future when there is none.
func (l *lines) next() int64 {
	if len(l.timed) == 0 {
		return math.MaxInt64
	}
	return l.timed[0].due
}

// take calls yield with up to q.Max due deliveries, in turn over the domains, and takes them out of their lines.
func (l *lines) take(q *LeaseQuery, yield func(j uint32)) {
	now := q.Now.UnixMilli()
	for len(l.timed) > 0 && l.timed[0].due <= now {
		i := l.timed[0].line
		l.untime(i)
		l.all[i].place = placeRing
		l.ring.push(i)
	}
	l.turn++
	for left := q.Max; left > 0 && l.ring.len() > 0; {
		i := l.ring.pop()
		if !l.stays(i, now) {
			continue
		}
		if ln := l.all[i]; l.hasEnough(ln, q) {
			l.resting = append(l.resting, i)
			continue
		}
		left--
		l.all[i].taken++
		j := l.head(l.all[i])
		l.remove(j)
		yield(j)
		if l.stays(i, now) {
			l.ring.push(i)
		}
	}
	for _, i := range l.resting {
		l.ring.push(i)
	}
	l.resting = l.resting[:0]
}

// hasEnough tells whether a line is to be left out for the rest of this turn.
func (l *lines) hasEnough(ln *line, q *LeaseQuery) bool {
	if ln.turn != l.turn {
		ln.turn, ln.taken = l.turn, 0
		return q.Skip != nil && q.Skip(ln.name)
	}
	return q.PerDomain > 0 && ln.taken >= q.PerDomain
}

// stays tells whether a line that was taken out of the ring still belongs there, and puts it elsewhere if not.
func (l *lines) stays(i uint32, now int64) bool {
	ln := l.all[i]
	empty := l.head(ln) == 0
	if !empty && l.first(i) <= now {
		return true
	}
	ln.place = placeNone
	switch {
	case !empty:
		l.settle(i, now)
	case ln.members == 0:
		l.forget(i)
	}
	return false
}
