package cases

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"ukai/internal/incident"
	"ukai/internal/provider"
)

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

// id returns the catalogue's id of a list, or the name itself. It is asked for the same few names every second.
func (b *Book) id(name string) string {
	if id, ok := b.ids[name]; ok {
		return id
	}
	if len(b.ids) >= maxCases {
		clear(b.ids)
	}
	b.ids[name] = name
	if row := b.opts.List(name); row != nil {
		b.ids[name] = row.ID
	}
	return b.ids[name]
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
	key.Name = b.id(l.Name)
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
	about := aboutBlock(i, id)
	c := b.byKey[key]
	closed := i.State == incident.Closed
	if c == nil || c.State == Over {
		if closed || !b.begins(c, &about, now) {
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
		c.Held = !about.Shut // what a person suspected is to be seen
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

// aboutBlock is what an incident says about one provider.
func aboutBlock(i *incident.Incident, id provider.ID) About {
	about := About{Began: i.Began}
	for n := range i.Providers {
		if p := &i.Providers[n]; p.ID == id {
			about = About{Began: p.First, Last: p.Last, Refused: p.Refused, Reply: p.Reply, URL: p.URL}
		}
	}
	about.Shut = slices.ContainsFunc(i.Shut, func(p incident.Path) bool { return p.Provider == id })
	return about
}

// begins tells whether what is known makes a case of a provider, or opens its old one (c, if there is one) again: a path is shut, or
// it refused often enough and lately. What it refused before the end of the old case opens nothing: it has taken mail since.
func (b *Book) begins(c *Case, about *About, now time.Time) bool {
	if about.Shut {
		return true
	}
	news := c == nil || about.Last.After(c.Ended)
	return news && about.Refused >= b.opts.Enough && now.Sub(about.Last) < b.opts.Confirm
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
