package cases

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"ukai/internal/incident"
	"ukai/internal/store"
)

// Options say how a Book works. Zero fields take the defaults.
type Options struct {
	Catalogues // both are wanted
	// Incidents returns those that are followed, as incident.Book.List does.
	Incidents func() []incident.Incident
	Now       func() time.Time // wanted by Run
	// Listed returns what the monitor of the blocklists has found; nil: there is none.
	Listed func() []Listed
	// Check looks at what has to be in order before anybody asks; nil: nothing is found out. It may take its time.
	Check func(ctx context.Context, c *Case, open []incident.Incident) []Check
	// Enough is how many refusals of a provider are a block even though no path to it is shut yet; default 3.
	Enough int64
	// Confirm is how long a provider whose paths were never shut must have refused nothing to be taken for well; default 30 min.
	Confirm time.Duration
	// Recheck is how often the checks are made again; default 1 h.
	Recheck time.Duration
	// Hold is how long a case that a person opened again stays open when nothing is to be seen; default 7 days.
	Hold time.Duration
	// Keep is how long a case that is over is kept at hand to be opened again; default 180 days. The database keeps it longer.
	Keep time.Duration
}

// Scaled returns the Options with all times divided by speed, for a rehearsal. Speeds below 1 change nothing.
func (o Options) Scaled(speed float64) Options {
	if speed <= 1 {
		return o
	}
	o = o.withDefaults()
	for _, d := range []*time.Duration{&o.Confirm, &o.Recheck, &o.Hold, &o.Keep} {
		*d = time.Duration(float64(*d) / speed)
	}
	return o
}

func (o Options) withDefaults() Options {
	o.Enough = cmp.Or(o.Enough, 3)
	o.Confirm = cmp.Or(o.Confirm, 30*time.Minute)
	o.Recheck = cmp.Or(o.Recheck, time.Hour)
	o.Hold = cmp.Or(o.Hold, 7*24*time.Hour)
	o.Keep = cmp.Or(o.Keep, 180*24*time.Hour)
	return o
}

// maxCases is how many cases are followed at a time. Beyond it those that are over go first; when all stand, nothing is opened.
const maxCases = 2000

// Book keeps the cases. It is safe for concurrent use.
type Book struct {
	opts Options
	news chan struct{} // of size 1: there is something to look at

	mu    sync.Mutex // guards everything below
	next  int64
	byKey map[Key]*Case
	db    *store.DB // set by Load
	dirty map[int64]bool
	ids   map[string]string // of lists, by what they are called
	// listed are the entries that the monitor knows, by list and target.
	listed map[[2]string]Listed
}

// New makes an empty Book.
func New(opts Options) *Book {
	return &Book{opts: opts.withDefaults(), news: make(chan struct{}, 1), byKey: make(map[Key]*Case), dirty: make(map[int64]bool), ids: make(map[string]string)}
}

// Facts returns what is known about the door of a case.
func (b *Book) Facts(c *Case) Facts { return b.opts.Facts(c) }

// Note tells the Book that an incident has news: Run looks at once. It fits incident.Options.OnEvent. The incident itself is read
// from the list of all, by one goroutine: an event may be older than what that has seen.
func (b *Book) Note(incident.Event) {
	select {
	case b.news <- struct{}{}:
	default: // it will look anyway
	}
}

// Tick brings the cases up to date with all incidents: a path that is healthy again is no event, and what happened while nobody
// looked is none either. A case whose incident is followed no more is over. One goroutine calls it at a time.
func (b *Book) Tick(now time.Time) {
	all := b.opts.Incidents()
	var listed []Listed
	if b.opts.Listed != nil {
		listed = b.opts.Listed()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listed = make(map[[2]string]Listed, len(listed))
	for _, l := range listed {
		b.listed[[2]string{l.List, l.Target}] = l
	}
	seen := make(map[int64]bool, len(all))
	for n := range all {
		seen[all[n].ID] = true
		b.follow(&all[n], now)
	}
	for key, c := range b.byKey {
		switch {
		case c.State == Over:
			if now.Sub(c.Ended) > b.opts.Keep && !b.dirty[c.ID] {
				delete(b.byKey, key)
			}
		case !seen[c.About.Incident] && !c.Held:
			b.end(c, now, "cases.event.incident_over")
		default:
			b.judge(c, now)
		}
	}
}

// stand returns the standing case of a key: opened, opened again, or as it is. nil when there are too many.
func (b *Book) stand(key Key, now time.Time) *Case {
	c := b.byKey[key]
	switch {
	case c == nil:
		if len(b.byKey) >= maxCases && !b.forgetOne() {
			return nil
		}
		b.next++
		c = &Case{ID: b.next, Key: key, State: Open, Opened: now}
		b.byKey[key] = c
		c.say(now, "cases.event.opened")
	case c.State == Over:
		b.open(c, now, "cases.event.reopened")
	default:
		c.Held = false // what a person suspected is to be seen
		return c
	}
	b.dirty[c.ID] = true
	return c
}

// open opens a case again. What was asked then does not count any more, nor what was found out when it was over.
func (b *Book) open(c *Case, now time.Time, event string, args ...string) {
	if c.State == Over {
		c.Checks = nil
	}
	for n := range c.Requests {
		c.Requests[n].Void = true
	}
	c.State, c.Opened, c.Ended, c.Due, c.Checked = Open, now, time.Time{}, time.Time{}, time.Time{}
	c.Reopened++
	c.say(now, event, args...)
	b.dirty[c.ID] = true
}

// forgetOne makes room: the case that has been over for longest goes.
func (b *Book) forgetOne() bool {
	var oldest *Case
	for _, c := range b.byKey {
		if c.State == Over && !b.dirty[c.ID] && (oldest == nil || c.Ended.Before(oldest.Ended)) {
			oldest = c
		}
	}
	if oldest != nil {
		delete(b.byKey, oldest.Key)
	}
	return oldest != nil
}

// end closes a case.
func (b *Book) end(c *Case, at time.Time, event string) {
	if at.Before(c.Opened) {
		at = c.Opened
	}
	c.State, c.Ended, c.Due, c.Held = Over, at, time.Time{}, false
	c.say(at, event)
	b.dirty[c.ID] = true
}

// judge says where a standing case stands.
func (b *Book) judge(c *Case, now time.Time) {
	if c.Held && now.Sub(c.Opened) >= b.opts.Hold {
		b.end(c, now, "cases.event.nothing_seen")
		return
	}
	who, term := b.opts.terms(c)
	state, due := Open, time.Time{}
	req := c.lastRequest()
	switch {
	case who == Wait:
		state, due = Waiting, c.Opened.Add(term)
		for !due.After(now) { // it was seen to stand longer: look again as much later
			due = due.Add(term)
		}
	case req != nil:
		state, due = Asked, req.At.Add(term)
		if !due.After(now) {
			state = Again
		}
	case c.fit():
		state = Ready
	}
	if state == c.State && due.Equal(c.Due) {
		return
	}
	if state != c.State && (state == Again || state == Ready) {
		c.say(now, "cases.event."+string(state))
	}
	c.State, c.Due = state, due
	b.dirty[c.ID] = true
}

// fit tells whether everything is known to be in order that the other side looks at.
func (c *Case) fit() bool {
	for _, k := range c.Checks {
		if k.Needed() && k.Result != OK {
			return false
		}
	}
	return len(c.Checks) > 0
}

// find returns a case by its ID, nil when it is not followed.
func (b *Book) find(id int64) *Case {
	for _, c := range b.byKey {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// List returns the cases that are followed, newest first.
func (b *Book) List() []Case {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Case, 0, len(b.byKey))
	for _, c := range b.byKey {
		list = append(list, c.clone())
	}
	slices.SortFunc(list, func(a, c Case) int { return cmp.Compare(c.ID, a.ID) })
	return list
}
