package health

import "time"

// pause is the answer to "too much, too fast". A rate limit is no sign of a bad path: the provider takes our mail, and has
// said at which pace. So the path waits; it does not change its state.
type pause struct {
	Until  time.Time     `json:"until,omitzero"`
	Length time.Duration `json:"length,omitempty"`
	Ease   time.Time     `json:"ease,omitzero"` // the next acceptance from here on halves Length
}

// hurry takes a complaint. One that comes during the pause answers a message sent before it, and lengthens nothing.
func (p *pause) hurry(at time.Time, r *rules) {
	if at.Before(p.Until) {
		return
	}
	if p.Length == 0 {
		p.Length = r.SlowFirst
	} else {
		p.Length = min(2*p.Length, r.SlowMax)
	}
	p.Until = at.Add(r.jitter(p.Length))
	p.Ease = p.Until.Add(p.Length)
}

// ease takes an acceptance: when the provider has been content for as long as the last pause was, the next one is half as long.
func (p *pause) ease(at time.Time, r *rules) {
	if p.Length == 0 || at.Before(p.Ease) {
		return
	}
	if p.Length /= 2; p.Length < r.SlowFirst {
		*p = pause{}
		return
	}
	p.Ease = at.Add(p.Length)
}

// Slow makes the path wait until a time that the caller knows better than the book, for instance because the provider named it.
func (b *Book) Slow(key Key, until, now time.Time) []Change {
	return b.on(key, now, func(t *track) {
		if until.After(t.Pause.Until) {
			length := until.Sub(now)
			t.Pause = pause{Until: until, Length: length, Ease: until.Add(length)}
		}
	})
}
