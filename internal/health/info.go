package health

import (
	"cmp"
	"slices"
	"time"
)

// Info is all that is known of a path, for people and for metrics.
type Info struct {
	Key      Key        `json:"path"`
	State    State      `json:"state"`
	Since    time.Time  `json:"since,omitzero"` // zero: never anything but healthy
	Why      string     `json:"why,omitempty"`  // a key of the message catalogue
	Counts   Counts     `json:"counts"`
	Run      float64    `json:"run"` // refusals since the last acceptance; a temporary one is half
	Probe    ProbeInfo  `json:"probe,omitzero"`
	Share    float64    `json:"share"` // of the traffic that it may carry: 0 to 1
	ShareAt  time.Time  `json:"share_at,omitzero"`
	Slow     time.Time  `json:"slow_until,omitzero"`
	Sent     int        `json:"sent_today"` // UTC
	Pin      *Pin       `json:"pin,omitempty"`
	Standing []Listing  `json:"standing,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"` // the last few refusals and probes, oldest first
}

// ProbeInfo is what is known of the probes of a path that is shut.
type ProbeInfo struct {
	Next    time.Time `json:"next,omitzero"`
	Running bool      `json:"running"`
	Good    int       `json:"good"`   // in a row
	Failed  int       `json:"failed"` // since the path was healthy
}

// List returns all paths the book has heard of, by provider and egress.
func (b *Book) List(now time.Time) []Info {
	var all []Info
	b.each(func(p *page) { all = append(all, b.info(p, now)) })
	slices.SortFunc(all, func(x, y Info) int {
		return cmp.Or(cmp.Compare(x.Key.Provider, y.Key.Provider), cmp.Compare(x.Key.Egress, y.Key.Egress))
	})
	return all
}

// Get returns one path; ok is false for one that the book has never heard of.
func (b *Book) Get(key Key, now time.Time) (info Info, ok bool) {
	p := b.find(key)
	if p == nil {
		return Info{Key: key, Share: 1}, false
	}
	return b.info(p, now), true
}

// States counts the paths by state, for metrics.
func (b *Book) States() (n [len(stateNames)]int) {
	b.each(func(p *page) { n[p.seen.Load().State]++ })
	return n
}

func (b *Book) info(p *page, now time.Time) Info {
	r := b.rules.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.t
	in := Info{
		Key: p.key, State: t.State, Since: t.Since, Why: t.Why, Counts: t.recent.since(now.Add(-r.Window)),
		Run: float64(t.Refusals.Run) / point, Slow: t.Pause.Until, Sent: t.Sent.N, Pin: t.Pin,
		Standing: slices.Clone(t.Standing), Evidence: slices.Clone(t.Tale.Kept),
	}
	switch t.State {
	case Healthy, Suspect:
		in.Share = 1
	case Blocked, Probing:
		in.Probe = ProbeInfo{Next: t.Probe.At, Running: !t.Probe.Lease.IsZero(), Good: t.Probe.Good, Failed: t.Probe.Failed}
		if t.Pin != nil {
			in.Probe.Next = t.Pin.Until
		}
	case Recovering:
		in.Share, in.ShareAt = float64(t.Share.Of)/(1<<32-1), t.Share.Next
	}
	return in
}
