package cases

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"ukai/internal/incident"
	"ukai/internal/provider"
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
	// listed are the entries that the monitor knows, by list and target.
	listed map[[2]string]Listed
}

// New makes an empty Book.
func New(opts Options) *Book {
	return &Book{opts: opts.withDefaults(), news: make(chan struct{}, 1), byKey: make(map[Key]*Case), dirty: make(map[int64]bool)}
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

// follow brings the cases of one incident up to date. Refusals for content or for a sender's domain have no door to knock at; a
// listing of the domain has.
func (b *Book) follow(i *incident.Incident, now time.Time) {
	for n := range i.Listings {
		b.followListing(i, &i.Listings[n], now)
	}
	if i.Cause.Kind != incident.Reputation {
		return
	}
	for _, id := range blockers(i) {
		b.followBlock(i, id, now)
	}
}

// blockers names the providers that refuse, or whose paths are shut.
func blockers(i *incident.Incident) (ids []provider.ID) {
	for n := range i.Providers {
		ids = append(ids, i.Providers[n].ID)
	}
	for _, p := range i.Shut {
		if !slices.Contains(ids, p.Provider) {
			ids = append(ids, p.Provider)
		}
	}
	return ids
}

func (b *Book) followListing(i *incident.Incident, l *incident.ListEntry, now time.Time) {
	key := Key{Listing, l.Name, place(l.Net)}
	if i.Cause.Kind == incident.Sender {
		key.Place = i.Cause.Place
	}
	if row := b.opts.List(l.Name); row != nil {
		key.Name = row.ID
	}
	stands := l.Standing() && i.State != incident.Closed
	c := b.byKey[key]
	switch {
	case c == nil && !stands:
		return
	case !stands:
		if c.Standing() && !c.Held && !l.Since.Before(c.About.Began) { // an older entry of the same list says nothing about this one
			b.end(c, cmp.Or(l.Until, i.ClosedAt, now), endOf(l.Standing(), "cases.event.delisted"))
		}
		return
	}
	if c = b.stand(key, now); c == nil {
		return
	}
	entry, found := b.listed[[2]string{key.Name, key.Place}]
	if !found {
		entry = c.About.Listed
	}
	b.know(c, i, About{Began: l.Since, URL: l.URL, Listed: entry})
	b.judge(c, now)
}

// endOf chooses the sentence for the end of a case whose incident is closed: by a person if something still stands.
func endOf(stands bool, key string) string {
	if stands {
		return "cases.event.incident_over"
	}
	return key
}

// place brings a net into the form that people write: one address is written without its length.
func place(net string) string {
	if p, err := netip.ParsePrefix(net); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return net
}

func (b *Book) followBlock(i *incident.Incident, id provider.ID, now time.Time) {
	key := Key{Block, id, i.Cause.Place}
	about := About{Began: i.Began}
	for n := range i.Providers {
		if p := &i.Providers[n]; p.ID == id {
			about = About{Began: p.First, Last: p.Last, Refused: p.Refused, Reply: p.Reply, URL: p.URL}
		}
	}
	about.Shut = slices.ContainsFunc(i.Shut, func(p incident.Path) bool { return p.Provider == id })
	c := b.byKey[key]
	closed := i.State == incident.Closed
	if c == nil || c.State == Over {
		// What was refused before the end of a case opens nothing: the provider has taken mail since.
		news := c == nil || about.Last.After(c.Ended)
		if closed || !about.Shut && (!news || about.Refused < b.opts.Enough) {
			return
		}
		if !about.Shut && now.Sub(about.Last) >= b.opts.Confirm {
			return
		}
		if c = b.stand(key, now); c == nil {
			return
		}
		b.know(c, i, about)
		b.judge(c, now)
		return
	}
	wasShut := c.About.Shut
	b.know(c, i, about)
	switch {
	case c.Held:
		b.judge(c, now)
	case closed:
		b.end(c, cmp.Or(i.ClosedAt, now), endOf(about.Shut, "cases.event.taken"))
	case wasShut && !about.Shut, !about.Shut && now.Sub(about.Last) >= b.opts.Confirm:
		// A path becomes healthy by probes and by a share of the mail that grew: that is the confirmation.
		b.end(c, now, "cases.event.taken")
	default:
		b.judge(c, now)
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

// know brings what is known about a case up to date.
func (b *Book) know(c *Case, i *incident.Incident, about About) {
	about.Incident, about.Range = i.ID, i.Blame == "range"
	about.Addresses = ours(c.Key, i.Addresses)
	about.Egresses = i.Egresses
	for n, top := range i.Senders.List() {
		if n == maxSenders {
			break
		}
		about.Senders = append(about.Senders, top.Name)
	}
	if !same(&c.About, &about) {
		b.dirty[c.ID] = true
	}
	c.About = about
}

// same tells whether there is nothing new to store. That the same provider has refused more mail is stored with the next news.
func same(a, b *About) bool {
	return a.Incident == b.Incident && a.Shut == b.Shut && a.Range == b.Range && a.Began.Equal(b.Began) && a.Reply == b.Reply &&
		a.URL == b.URL && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Egresses, b.Egresses) && slices.Equal(a.Senders, b.Senders) &&
		a.Refused == b.Refused && a.Listed == b.Listed
}

// ours returns the addresses that a case is about: the one that is listed, or those of ours within what is.
func ours(key Key, all []netip.Addr) (list []netip.Addr) {
	if ip, err := netip.ParseAddr(key.Place); err == nil {
		return []netip.Addr{ip}
	}
	net, err := netip.ParsePrefix(key.Place)
	for _, ip := range all {
		if len(list) < maxAddresses && (err != nil || net.Contains(ip)) {
			list = append(list, ip)
		}
	}
	return list
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
	facts := b.opts.Facts(c)
	state, due := Open, time.Time{}
	req := c.lastRequest()
	switch {
	case facts.Who == Wait:
		state, due = Waiting, c.Opened.Add(facts.Term)
		for !due.After(now) { // it was seen to stand longer: look again as much later
			due = due.Add(facts.Term)
		}
	case req != nil:
		state, due = Asked, req.At.Add(facts.Term)
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

// Order is what a person says about a case.
type Order struct {
	By    string
	Note  string
	Fixed string // what has been mended
	At    time.Time
}

func short(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxNote {
		s = strings.ToValidUTF8(s[:maxNote], "")
	}
	return s
}

// Done notes that a person has asked. ok is false when there is no such case, or nothing to ask for: it is over, or nobody can.
func (b *Book) Done(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State == Over || c.State == Waiting {
			return false
		}
		if len(c.Requests) == maxRequests {
			c.Requests = c.Requests[1:]
		}
		b.fixed(c, o)
		c.Requests = append(c.Requests, Request{At: o.At, By: o.By, Note: short(o.Note)})
		c.say(o.At, "cases.event.asked", "by", o.By, "note", short(o.Note))
		b.judge(c, o.At)
		return true
	})
}

// Fixed notes what a person has mended. ok is false when there is no such case, it is over, or nothing was said.
func (b *Book) Fixed(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State == Over || short(o.Fixed) == "" {
			return false
		}
		b.fixed(c, o)
		c.Checked = time.Time{} // it may be what was missing
		return true
	})
}

func (b *Book) fixed(c *Case, o Order) {
	what := short(o.Fixed)
	if what == "" {
		return
	}
	if len(c.Fixes) == maxFixes {
		c.Fixes = c.Fixes[1:]
	}
	c.Fixes = append(c.Fixes, Fix{At: o.At, By: o.By, What: what})
	c.say(o.At, "cases.event.fixed", "by", o.By, "what", what)
}

// Reopen takes back that somebody has asked (the answer was no, or it was a mistake), or opens a case that is over. ok is false
// when there is no such case, or it is open.
func (b *Book) Reopen(id int64, o Order) (ok bool) {
	return b.order(id, func(c *Case) bool {
		if c.State != Over && c.lastRequest() == nil {
			return false
		}
		over := c.State == Over
		b.open(c, o.At, "cases.event.reopened_by", "by", o.By, "note", short(o.Note))
		c.Held = over
		return true
	})
}

func (b *Book) order(id int64, f func(c *Case) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.find(id)
	if c == nil || !f(c) {
		return false
	}
	b.dirty[c.ID] = true
	return true
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
