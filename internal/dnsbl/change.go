package dnsbl

import (
	"sync"
	"time"
)

// Change is a confirmed change of what a list says about a target.
type Change struct {
	Target string
	Answer Answer // what it says since
	From   State  // Listed or Clean; empty for a listing that was there when watching began
	To     State
	Since  time.Time // when it was first seen; At is when it was confirmed
	At     time.Time
}

// Outage is the beginning or the end of a time in which a list could not be asked: said once per list, however many targets
// there are.
type Outage struct {
	List  *List
	Over  bool
	State State
	Why   Why
	Since time.Time
}

// DetectorOptions tune a Detector. Zero values mean the defaults.
type DetectorOptions struct {
	// Apart is how long after the first sight the second must be for a change to count. Default 10 minutes.
	Apart time.Duration
	// Patience is how long a list must have been silent before it is said. Default 30 minutes.
	Patience time.Duration
}

// Detector turns repeated answers into changes. A change counts when it has been seen twice, some time apart, with nothing to
// the contrary in between; an answer that says nothing about the target neither confirms nor contradicts. It has no clock and
// is safe for concurrent use.
type Detector struct {
	opts DetectorOptions

	mu      sync.Mutex // guards the rest
	targets map[watched]*sight
	lists   map[*List]*silence
}

type watched struct {
	target string
	list   *List
}

// sight is what is held to be true of a target on a list, and what speaks against it.
type sight struct {
	state State // Listed, Clean, or empty: nothing is known yet
	other State // seen once; empty: nothing speaks against it
	since time.Time
}

type silence struct {
	since time.Time
	said  bool
}

// NewDetector returns a Detector that knows nothing.
func NewDetector(opts DetectorOptions) *Detector {
	if opts.Apart <= 0 {
		opts.Apart = 10 * time.Minute
	}
	if opts.Patience <= 0 {
		opts.Patience = 30 * time.Minute
	}
	return &Detector{opts: opts, targets: make(map[watched]*sight), lists: make(map[*List]*silence)}
}

// Observe takes answers as of now and returns what has become certain by them.
func (d *Detector) Observe(now time.Time, answers []Answer) (changes []Change, outages []Outage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range answers {
		a := &answers[i]
		if o, ok := d.hearLocked(now, a); ok {
			outages = append(outages, o)
		}
		if !a.State.Told() {
			continue
		}
		if c, ok := d.seeLocked(now, a); ok {
			changes = append(changes, c)
		}
	}
	return changes, outages
}

// hearLocked follows whether a list can be asked.
func (d *Detector) hearLocked(now time.Time, a *Answer) (Outage, bool) {
	s := d.lists[a.List]
	switch {
	case a.State.Told():
		delete(d.lists, a.List)
		if s != nil && s.said {
			return Outage{List: a.List, Over: true, State: a.State, Since: s.since}, true
		}
	case s == nil:
		d.lists[a.List] = &silence{since: now}
	case !s.said && now.Sub(s.since) >= d.opts.Patience:
		s.said = true
		return Outage{List: a.List, State: a.State, Why: a.Why, Since: s.since}, true
	}
	return Outage{}, false
}

// seeLocked follows one target on one list.
func (d *Detector) seeLocked(now time.Time, a *Answer) (Change, bool) {
	key := watched{a.Target.String(), a.List}
	s := d.targets[key]
	if s == nil {
		s = new(sight)
		d.targets[key] = s
	}
	switch {
	case a.State == s.state:
		s.other = ""
	case a.State != s.other:
		s.other, s.since = a.State, now
	case now.Sub(s.since) >= d.opts.Apart:
		c := Change{Target: key.target, Answer: *a, From: s.state, To: a.State, Since: s.since, At: now}
		s.state, s.other = a.State, ""
		return c, c.From != "" || c.To == Listed // that somebody is not listed at the beginning is no news
	}
	return Change{}, false
}

// Pending tells whether a change of a target waits for its confirmation, so that it can be asked again soon.
func (d *Detector) Pending(target string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.targets {
		if k.target == target && s.other != "" && (s.state != "" || s.other == Listed) {
			return true
		}
	}
	return false
}

// Forget drops a target that is no longer watched.
func (d *Detector) Forget(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range d.targets {
		if k.target == target {
			delete(d.targets, k)
		}
	}
}
