package incident

import (
	"time"
)

// Options are the thresholds of a Book. Zero fields take the defaults.
type Options struct {
	Reputation int           // refusals within Window that open an incident of this kind; default 3
	Sender     int           // default 5
	Content    int           // default 20
	Window     time.Duration // default 1 h
	// Calm is how long nothing may happen before an incident closes by itself; default 30 min.
	Calm time.Duration
	// Quiet is how long after its end the same cause reopens an incident rather than making a new one; default 24 h.
	Quiet time.Duration
	// Place returns the network that an egress sends from, as a person would call it ("192.0.2.0/24"). Egresses of one place
	// share their incidents. nil: every egress is a place of its own.
	Place func(egress string) string
	// OnEvent sees every event, in order, from the goroutine that caused it. It must not call the Book.
	OnEvent func(Event)
}

func (o Options) withDefaults() Options {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.Reputation, 3)
	def(&o.Sender, 5)
	def(&o.Content, 20)
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&o.Window, time.Hour}, {&o.Calm, 30 * time.Minute}, {&o.Quiet, 24 * time.Hour}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if o.Place == nil {
		o.Place = func(egress string) string { return egress }
	}
	return o
}

// Scaled returns the Options with all times divided by speed, for a rehearsal. Speeds below 1 change nothing.
func (o Options) Scaled(speed float64) Options {
	if speed <= 1 {
		return o
	}
	o = o.withDefaults()
	for _, d := range []*time.Duration{&o.Window, &o.Calm, &o.Quiet} {
		*d = time.Duration(float64(*d) / speed)
	}
	return o
}

// enough returns how many refusals open an incident.
func (o *Options) enough(k Kind) int {
	switch k {
	case Sender:
		return o.Sender
	case Content:
		return o.Content
	}
	return o.Reputation
}
