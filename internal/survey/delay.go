package survey

import (
	"math/bits"
	"time"
)

// delays is a histogram of durations with eight steps for each doubling: a quantile is within 7 % of the true value (half a
// step of an eighth).
type delays struct {
	steps [8 * 40]uint32
	n     int64
}

// add counts a duration. What is below a millisecond counts as one.
func (d *delays) add(x time.Duration) {
	ms := uint64(max(x.Milliseconds(), 1))
	top := bits.Len64(ms) - 1 // the highest bit says the octave, the three behind it the step
	step := ms << 3 >> top & 7
	d.steps[min(top*8+int(step), len(d.steps)-1)]++
	d.n++
}

// quantile returns the duration below which a share q of all lies; 0 without any.
func (d *delays) quantile(q float64) time.Duration {
	if d.n == 0 {
		return 0
	}
	rest := int64(q * float64(d.n-1))
	for i, c := range &d.steps {
		if rest -= int64(c); rest < 0 {
			octave := float64(uint64(1) << (i / 8))
			return time.Duration(octave * (1 + (float64(i%8)+0.5)/8) * float64(time.Millisecond))
		}
	}
	return 0
}

func (d *delays) merge(o *delays) {
	for i, c := range &o.steps {
		d.steps[i] += c
	}
	d.n += o.n
}
