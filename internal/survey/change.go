package survey

import (
	"math"
	"slices"
	"time"
)

// What a change must be to be told. See the package documentation.
const (
	cutBase   = 5.0  // nats that each cut costs, besides ln n
	minShare  = 0.05 // below, nobody calls it trouble
	minEffect = 0.05 // difference of shares
	minOdds   = 3.0  // ratio of odds
	minBad    = 5    // refusals
	maxCut    = 1024 // blocks that are cut at once: the time is its square
	jump      = 0.3  // a rise of this much within trouble is a beginning of its own
)

// segment is a stretch of a row in which the share is constant.
type segment struct {
	from, to int // blocks
	n, k     int64
}

func (s segment) share() float64 { return float64(s.k) / float64(s.n) }

// likelihood is the logarithm of the greatest Bernoulli likelihood of k in n.
func likelihood(k, n int64) float64 {
	return xlnx(k) + xlnx(n-k) - xlnx(n)
}

func xlnx(x int64) float64 {
	if x < int64(len(small)) {
		return small[x]
	}
	return float64(x) * math.Log(float64(x))
}

// small holds xlnx of the numbers that most runs have.
var small = func() (all [2048]float64) {
	for x := 1; x < len(all); x++ {
		all[x] = float64(x) * math.Log(float64(x))
	}
	return all
}()

// gain is by how much the likelihood grows when two neighbours have a share each.
func gain(a, b *block) float64 {
	return likelihood(int64(a.k), int64(a.n)) + likelihood(int64(b.k), int64(b.n)) - likelihood(int64(a.k)+int64(b.k), int64(a.n)+int64(b.n))
}

// cut divides a row into segments, by optimal partitioning.
func cut(blocks []block) []segment {
	m := len(blocks)
	if m == 0 {
		return nil
	}
	n, k := make([]int64, m+1), make([]int64, m+1)
	for i, b := range blocks {
		n[i+1], k[i+1] = n[i]+int64(b.n), k[i]+int64(b.k)
	}
	price := cutBase + math.Log(float64(n[m]))
	best, last := make([]float64, m+1), make([]int, m+1)
	best[0] = price // the first segment costs nothing
	for i := 1; i <= m; i++ {
		best[i] = math.Inf(-1)
		for j := range i {
			if v := best[j] - price + likelihood(k[i]-k[j], n[i]-n[j]); v > best[i] {
				best[i], last[i] = v, j
			}
		}
	}
	var all []segment
	for i := m; i > 0; i = last[i] {
		j := last[i]
		all = append(all, segment{j, i, n[i] - n[j], k[i] - k[j]})
	}
	slices.Reverse(all)
	return soften(all)
}

// soften takes back cuts that make no practical difference, the smallest first.
func soften(all []segment) []segment {
	for len(all) > 1 {
		least, at := math.Inf(1), -1
		for i := range len(all) - 1 {
			a, b := all[i].share(), all[i+1].share()
			if d := math.Abs(a - b); !differs(a, b) && d < least {
				least, at = d, i
			}
		}
		if at < 0 {
			break
		}
		a, b := all[at], all[at+1]
		all[at] = segment{a.from, b.to, a.n + b.n, a.k + b.k}
		all = slices.Delete(all, at+1, at+2)
	}
	return all
}

// differs tells whether two shares are far enough apart for a person to care.
func differs(a, b float64) bool {
	if a > b {
		a, b = b, a
	}
	return b-a >= minEffect && b*(1-a) >= minOdds*a*(1-b)
}

// episodes finds the times of trouble in a row. few tells that there are refusals, but not enough to say anything of.
func episodes(blocks []block) (found []Episode, few bool) {
	all := cut(blocks)
	bad, n := int64(0), int64(0)
	for _, s := range all {
		bad += s.k
		n += s.n
	}
	if bad < minBad {
		return nil, bad > 0 && float64(bad) >= minShare*float64(n)
	}
	for i := 0; i < len(all); {
		if all[i].share() < minShare || all[i].k == 0 {
			i++
			continue
		}
		end := i + 1
		for end < len(all) && all[end].share() >= minShare {
			end++
		}
		from := i
		if i == 0 && end > 1 && all[1].share() >= all[0].share()+jump { // the log begins with a little trouble; the real one comes later
			from = 1
		}
		if e := episode(blocks, all, from, end); e.Refused >= minBad {
			found = append(found, e)
		}
		i = end
	}
	return found, false
}

// episode tells of the segments from..end-1 as one.
func episode(blocks []block, all []segment, from, end int) Episode {
	e := Episode{Open: from == 0}
	worst := int64(-1)
	for i := from; i < end; i++ {
		s := all[i]
		e.Messages += s.n
		e.Refused += s.k
		if s.k > worst {
			worst, e.Share = s.k, s.share()
		}
		if i > from && s.share() > all[i-1].share() {
			e.Gradual = true
		}
	}
	first, last := all[from].from, all[end-1].to-1
	for blocks[first].k == 0 {
		first++
	}
	for blocks[last].k == 0 {
		last--
	}
	e.Since, e.Bad = instant(blocks[first].first), instant(blocks[last].last)
	if from > 0 {
		e.Before = all[from-1].share()
	}
	for i := first - 1; i >= 0; i-- {
		if blocks[i].k < blocks[i].n {
			e.Good = instant(blocks[i].last)
			break
		}
	}
	if end < len(all) {
		e.After = all[end].share()
		e.Until = instant(blocks[last+1].first)
	}
	return e
}

// instant makes a time of Unix nanoseconds; zero for none.
func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
