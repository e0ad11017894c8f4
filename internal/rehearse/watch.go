package rehearse

import (
	"sync"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/outcome"
	"ukai/internal/peersim"
)

// watcher writes down what happens while the story is played: what ukai says of its paths and attempts, and what the
// simulated world sees. The two are compared in the end.
type watcher struct {
	tell      func(health.Change) // told each change
	preferred string              // source address of the preferred way

	mu       sync.Mutex // guards all below
	changes  []health.Change
	attempts []tried
	forgiven map[string]time.Time // when a provider's refusals ended
	arrived  map[route]time.Time  // when mail arrived last
	counts   map[string]*Counts   // by simulated provider
	// refusals are the first of them, as many as make an incident.
	refusals  []time.Time
	incidents []told
}

// tried is the begin of an attempt over a path.
type tried struct {
	key   health.Key
	start time.Time
}

// route is what the world sees of a path: a source address and a simulated provider.
type route struct{ source, provider string }

// Counts are what a simulated provider has seen.
type Counts struct {
	Direct  int // deliveries by the preferred way
	Detour  int // deliveries by another
	Refused int
}

func newWatcher(preferred string, tell func(health.Change)) *watcher {
	return &watcher{preferred: preferred, tell: tell, forgiven: map[string]time.Time{}, arrived: map[route]time.Time{}, counts: map[string]*Counts{}}
}

// changed fits app.Options.OnChange.
func (w *watcher) changed(c health.Change) {
	c.Evidence = nil
	w.mu.Lock()
	w.changes = append(w.changes, c)
	w.mu.Unlock()
	w.tell(c)
}

// attempted fits app.Options.OnOutcome.
func (w *watcher) attempted(o *outcome.Outcome, _ *classify.Verdict) {
	if o.Egress == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, tried{health.Key{Egress: o.Egress, Provider: o.Provider}, o.At.Add(-o.Duration)})
}

// seen fits peersim.Options.Watch.
func (w *watcher) seen(e peersim.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts[e.Provider]
	if c == nil {
		c = &Counts{}
		w.counts[e.Provider] = c
	}
	source := e.Source.String()
	switch {
	case e.Rule != "":
		c.Refused++
		if len(w.refusals) < enoughRefusals {
			w.refusals = append(w.refusals, e.At)
		}
		return
	case source == w.preferred:
		c.Direct++
	default:
		c.Detour++
	}
	w.arrived[route{source, e.Provider}] = e.At
}

// forgave notes that a provider refuses no more.
func (w *watcher) forgave(provider string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgiven[provider] = time.Now()
}

// shut is a time in which a path carried no ordinary mail; to is zero while it lasts.
type shut struct{ from, to time.Time }

func (s shut) holds(at time.Time) bool {
	return !at.Before(s.from) && (s.to.IsZero() || at.Before(s.to))
}

// track is what became of a path.
type track struct {
	state   health.State
	healthy time.Time // since when
	shut    []shut
}

// tracksLocked returns the story of each path that ever moved.
func (w *watcher) tracksLocked() map[health.Key]*track {
	all := map[health.Key]*track{}
	for _, c := range w.changes {
		t := all[c.Key]
		if t == nil {
			t = &track{}
			all[c.Key] = t
		}
		was, is := isShut(c.From), isShut(c.To)
		switch {
		case is && !was:
			t.shut = append(t.shut, shut{from: c.At})
		case was && !is && len(t.shut) > 0:
			t.shut[len(t.shut)-1].to = c.At
		}
		if c.To == health.Healthy && t.state != health.Healthy {
			t.healthy = c.At
		}
		t.state = c.To
	}
	return all
}

func isShut(s health.State) bool { return s == health.Blocked || s == health.Probing }

// returned tells whether all paths of the preferred egress are healthy, and those that were shut carry mail again. A path of
// another egress may stay shut: while the preferred one is open, nothing is sent that way, not even a probe.
func (st *stage) returned() bool {
	st.watch.mu.Lock()
	defer st.watch.mu.Unlock()
	for key, t := range st.watch.tracksLocked() {
		if key.Egress != st.s.Egresses[0].Name {
			continue
		}
		if t.state != health.Healthy || len(t.shut) > 0 && !st.carriesLocked(key, t.healthy) {
			return false
		}
	}
	return true
}

// carriesLocked tells whether mail has arrived over a path after a moment. What a relay carries shows at the relay only.
func (st *stage) carriesLocked(key health.Key, since time.Time) bool {
	for i := range st.s.Egresses {
		e := &st.s.Egresses[i]
		if e.Name != key.Egress {
			continue
		}
		return e.Kind != kindDirect || st.watch.arrived[route{e.source.String(), st.providerOf[key.Provider]}].After(since)
	}
	return false
}
