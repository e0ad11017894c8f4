package survey

import (
	"slices"
)

// block is a run of messages: n of them, k refused. Times are Unix nanoseconds.
type block struct {
	first, last int64
	n, k        uint32
}

// maxBlocks is how long a row grows before neighbours in it become one, maxAll the length of all rows together.
const (
	maxBlocks = 4096
	maxAll    = 256 << 10
)

// budget is what all rows of a survey share.
type budget struct {
	all   int // blocks
	limit int // of one row
}

// row holds the accepted and the refused messages of one cause, towards one provider, from one host.
type row struct {
	blocks []block
	queue  uint64 // the message that was refused last
	goods  int64  // how many the track had accepted when the last one was refused
	good   int64  // when the first one after that was accepted
}

// track is all that one host sent to one provider. What was accepted is common to all rows and only counted; a row gets it as
// one block when the next refusal comes.
type track struct {
	goods     int64
	queue     uint64 // the message that was accepted last
	firstGood int64
	lastGood  int64
	rows      map[string]*row // by class; "" has all refusals that are evidence against our address
	waiting   []*row          // those whose last message was refused
}

// accept notes a message that was taken. Its further recipients do not count.
func (t *track) accept(queue uint64, at int64) {
	if queue == t.queue && t.goods > 0 {
		return
	}
	t.queue, t.lastGood = queue, at
	if t.goods++; t.goods == 1 {
		t.firstGood = at
	}
	for _, r := range t.waiting {
		r.good = at
	}
	t.waiting = t.waiting[:0]
}

// refuse notes a message that was refused for a cause.
func (t *track) refuse(class string, queue uint64, at int64, b *budget) {
	r := t.rows[class]
	switch {
	case r == nil:
		r = &row{good: t.firstGood}
		if t.rows == nil {
			t.rows = make(map[string]*row)
		}
		t.rows[class] = r
	case queue == r.queue:
		return
	}
	r.queue = queue
	gap := t.goods - r.goods
	if gap > 0 {
		r.add(block{r.good, t.lastGood, uint32(gap), 0}, b)
	}
	if gap > 0 || len(r.blocks) == 0 {
		t.waiting = append(t.waiting, r)
	}
	r.goods, r.good = t.goods, 0
	r.add(block{at, at, 1, 1}, b)
}

// add appends a block, to the last one where both are all refused.
func (r *row) add(x block, b *budget) {
	if n := len(r.blocks); n > 0 && x.k == x.n && r.blocks[n-1].k == r.blocks[n-1].n {
		r.blocks[n-1].last = x.last
		r.blocks[n-1].n += x.n
		r.blocks[n-1].k += x.k
		return
	}
	r.blocks = append(r.blocks, x)
	b.all++
	if len(r.blocks) >= b.limit {
		b.all -= len(r.blocks)
		r.blocks = shorten(r.blocks, b.limit/2)
		b.all += len(r.blocks)
	}
}

// whole returns the row with what was accepted since the last refusal, ready to be cut.
func (t *track) whole(r *row) []block {
	all := slices.Clone(r.blocks)
	if gap := t.goods - r.goods; gap > 0 {
		all = append(all, block{r.good, t.lastGood, uint32(gap), 0})
	}
	return shorten(all, maxCut)
}

// shorten makes neighbours one, those whose difference carries the least likelihood first, until at most limit blocks are left.
// The boundary of a real change carries the most of all, so it stays where it is.
func shorten(blocks []block, limit int) []block {
	for len(blocks) > limit {
		gains := make([]float64, len(blocks)-1)
		for i := range gains {
			gains[i] = gain(&blocks[i], &blocks[i+1])
		}
		sorted := slices.Clone(gains)
		slices.Sort(sorted)
		most := sorted[min(len(blocks)-limit, len(sorted))-1]
		out := blocks[:0]
		for i := 0; i < len(blocks); i++ {
			x := blocks[i]
			if i < len(gains) && gains[i] <= most && len(out)+len(blocks)-i > limit {
				y := blocks[i+1]
				x = block{x.first, y.last, x.n + y.n, x.k + y.k}
				i++
			}
			out = append(out, x)
		}
		blocks = out
	}
	return blocks
}
