package health

import "time"

// Pin is a block by an admin's hand. Evidence does not move a pinned path; it is only counted.
type Pin struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"` // zero: until it is cleared
	Why   string    `json:"why,omitempty"`  // in the admin's words
	By    string    `json:"by,omitempty"`
}

// Block shuts a path by hand. When the pin ends by itself, the path is not healthy: it has to pass its probes.
func (b *Book) Block(key Key, pin Pin) []Change {
	return b.on(key, pin.At, func(t *track) {
		t.Pin = &pin
		t.block("health.why.pinned", pin.At, b.rules.Load())
	})
}

// Clear makes a path healthy by hand and forgets what is held against it. It ends a pin. What is observed from here on moves
// the path again; listings that stand are remembered, so that they do not block it a second time.
func (b *Book) Clear(key Key, now time.Time) []Change {
	return b.known(key, now, func(t *track) {
		t.Pin, t.Probe, t.Share, t.Pause, t.Refusals = nil, probe{}, share{}, pause{}, refusals{}
		t.recent.clear()
		if t.State != Healthy {
			t.move(Healthy, "health.why.cleared", now)
		}
		t.Fresh = now
		t.Tale.turn()
	})
}

// unpin hands the path back to the evidence when its pin has run out.
func (t *track) unpin(now time.Time) {
	t.Pin = nil
	t.Probe = probe{At: now}
	t.move(Blocked, "health.why.pin_ended", now)
}
