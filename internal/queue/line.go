package queue

// line is the deliveries of one recipient domain that wait for their time. Deliveries that are leased, held or done are not in
// it, but still count as members.
//
// What is due when it comes, as new mail is, goes into a queue: it is there and gone again without being compared with the
// thousands that may be waiting for another day. The others stand in a heap by due time, then by age.
type line struct {
	name    string
	now     ring
	heap    []uint32
	members int
	place   place
	timed   int // index in lines.timed
	turn    uint64
	taken   int // in this turn
}

// inQueue marks delivery.heap of one that is in the queue; the rest of it is its number there.
const inQueue = 1 << 31

// before orders the deliveries of a line.
func (l *lines) before(i, j uint32) bool {
	a, b := l.deliveries.at(i), l.deliveries.at(j)
	if a.due != b.due {
		return a.due < b.due
	}
	return l.messages.at(a.message).id < l.messages.at(b.message).id
}

// head returns the first of a line, 0 if nothing waits in it.
func (l *lines) head(ln *line) uint32 {
	switch {
	case ln.now.n > 0 && len(ln.heap) > 0 && l.before(ln.heap[0], ln.now.at(0)):
		return ln.heap[0]
	case ln.now.n > 0:
		return ln.now.at(0)
	case len(ln.heap) > 0:
		return ln.heap[0]
	}
	return 0
}

// push puts a delivery into its line.
func (l *lines) push(j uint32, now int64) {
	d := l.deliveries.at(j)
	ln := l.all[d.domain]
	if d.due <= now && (ln.now.n == 0 || !l.before(j, ln.now.at(ln.now.n-1))) {
		d.heap = inQueue | ln.now.push(j)&^inQueue
	} else {
		ln.heap = append(ln.heap, j)
		d.heap = uint32(len(ln.heap))
		l.up(ln, len(ln.heap)-1)
	}
	l.settle(d.domain, now)
}

// remove takes a delivery out of its line, if it is in it.
func (l *lines) remove(j uint32) {
	d := l.deliveries.at(j)
	if d.heap == 0 {
		return
	}
	ln := l.all[d.domain]
	if d.heap&inQueue != 0 {
		ln.now.clear(d.heap &^ inQueue)
	} else {
		l.unheap(ln, int(d.heap-1))
	}
	d.heap = 0
	if ln.place == placeTimed {
		l.retime(d.domain)
	}
}

// unheap takes the delivery at place x out of a line's heap.
func (l *lines) unheap(ln *line, x int) {
	last := len(ln.heap) - 1
	if x != last {
		l.swap(ln, x, last)
	}
	ln.heap = ln.heap[:last]
	if x != last {
		l.down(ln, x)
		l.up(ln, x)
	}
	if cap(ln.heap) > 64 && len(ln.heap) < cap(ln.heap)/4 {
		ln.heap = append(make([]uint32, 0, cap(ln.heap)/2), ln.heap...)
	}
}

func (l *lines) swap(ln *line, x, y int) {
	ln.heap[x], ln.heap[y] = ln.heap[y], ln.heap[x]
	l.deliveries.at(ln.heap[x]).heap = uint32(x + 1)
	l.deliveries.at(ln.heap[y]).heap = uint32(y + 1)
}

func (l *lines) up(ln *line, x int) {
	for x > 0 && l.before(ln.heap[x], ln.heap[(x-1)/2]) {
		l.swap(ln, x, (x-1)/2)
		x = (x - 1) / 2
	}
}

func (l *lines) down(ln *line, x int) {
	for {
		c := 2*x + 1
		if c >= len(ln.heap) {
			return
		}
		if c+1 < len(ln.heap) && l.before(ln.heap[c+1], ln.heap[c]) {
			c++
		}
		if !l.before(ln.heap[c], ln.heap[x]) {
			return
		}
		l.swap(ln, x, c)
		x = c
	}
}

// ring is a queue of indexes, first in first out.
type ring struct {
	buf   []uint32 // length is a power of two
	first uint32   // number of the first
	n     int
}

func (r *ring) len() int { return r.n }

func (r *ring) slot(number uint32) *uint32 { return &r.buf[int(number)&(len(r.buf)-1)] }

// at returns the kth.
func (r *ring) at(k int) uint32 { return *r.slot(r.first + uint32(k)) }

// push appends an index and returns its number.
func (r *ring) push(i uint32) uint32 {
	if r.n == len(r.buf) {
		grown := ring{buf: make([]uint32, max(2, 2*len(r.buf))), first: r.first, n: r.n}
		for k := range r.n {
			*grown.slot(r.first + uint32(k)) = r.at(k)
		}
		*r = grown
	}
	number := r.first + uint32(r.n)
	*r.slot(number) = i
	r.n++
	return number
}

// pop takes the first.
func (r *ring) pop() uint32 {
	i := r.at(0)
	r.first++
	r.n--
	return i
}

// clear takes the index with a number out, of which the highest bit may be missing. Both ends of the ring stay indexes.
func (r *ring) clear(number uint32) {
	*r.slot(number) = 0
	for r.n > 0 && r.at(0) == 0 {
		r.first++
		r.n--
	}
	for r.n > 0 && r.at(r.n-1) == 0 {
		r.n--
	}
	if r.n == 0 && len(r.buf) > 64 {
		*r = ring{}
	}
}
