package steer

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"ukai/internal/provider"
)

// domains are those that one server writes to.
type domains struct {
	mu    sync.Mutex // guards the fields below
	all   map[string]visit
	fresh map[string]bool // to be written to the database, or, where it is not in all, removed there
}

// visit is what is known of one domain.
type visit struct {
	id   provider.ID
	last int64 // Unix seconds: when the server last wrote to it
}

// note remembers a domain. It is true where that is news: the domain, or who receives for it. That the server wrote to it once
// more is kept by the day.
func (d *domains) note(domain string, id provider.ID, at time.Time, most int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.all[domain]
	news := !ok || v.id != id
	last := max(v.last, at.Unix())
	if !news && last/86400 == v.last/86400 {
		return false
	}
	if !ok && len(d.all) >= most {
		d.evict()
	}
	if d.all == nil {
		d.all = make(map[string]visit)
	}
	d.all[domain] = visit{id, last}
	d.mark(domain)
	return news
}

func (d *domains) mark(domain string) {
	if d.fresh == nil {
		d.fresh = make(map[string]bool)
	}
	d.fresh[domain] = true
}

// evict forgets the one of a few that was written to longest ago.
func (d *domains) evict() {
	const few = 16
	oldest, last, seen := "", int64(0), 0
	for domain, v := range d.all {
		if seen == 0 || v.last < last {
			oldest, last = domain, v.last
		}
		if seen++; seen == few {
			break
		}
	}
	delete(d.all, oldest)
	d.mark(oldest)
}

// forget drops the domains that were not written to since before, but for those that take the detour: the server's own log tells
// nothing of mail that goes to ukai.
func (d *domains) forget(before time.Time, detoured func(provider.ID) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain, v := range d.all {
		if v.last < before.Unix() && !detoured(v.id) {
			delete(d.all, domain)
			d.mark(domain)
		}
	}
}

func (d *domains) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// each calls f with all domains, while nobody else gets at them.
func (d *domains) each(f func(domain string, id provider.ID)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain, v := range d.all {
		f(domain, v.id)
	}
}

// change is what is to be done to one row.
type change struct {
	domain string
	visit  visit
	gone   bool
}

// take returns what is to be written and forgets that it is.
func (d *domains) take() (list []change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain := range d.fresh {
		v, ok := d.all[domain]
		list = append(list, change{domain, v, !ok})
	}
	d.fresh = nil
	return list
}

// back puts changes back that could not be written.
func (d *domains) back(list []change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range list {
		d.mark(c.domain)
	}
}

// How often domains are written down, old ones forgotten, and those in files looked up again.
const (
	flushEvery   = 5 * time.Second
	forgetEvery  = 6 * time.Hour
	revisitEvery = time.Hour
)

// keepDomains writes down what was learned, and sees to it that it stays true.
func (s *Steer) keepDomains(ctx context.Context) {
	flush, forget, revisit := time.NewTicker(flushEvery), time.NewTicker(forgetEvery), time.NewTicker(revisitEvery)
	defer flush.Stop()
	defer forget.Stop()
	defer revisit.Stop()
	for {
		select {
		case <-ctx.Done():
			s.flush(context.WithoutCancel(ctx))
			return
		case <-flush.C:
			s.flush(ctx)
		case now := <-forget.C:
			s.forget(now)
		case <-revisit.C:
			s.revisit(ctx)
		}
	}
}

func (s *Steer) flush(ctx context.Context) {
	if err := s.Sync(ctx); err != nil && ctx.Err() == nil {
		s.Log.Warn("domains of servers not written down, it is tried again", "error", err)
	}
}

func (s *Steer) forget(now time.Time) {
	for _, srv := range *s.byName.Load() {
		path := srv.Load().path()
		srv.domains.forget(now.Add(-s.opts.Forget), func(id provider.ID) bool { return s.unwell.has(path, hashID(id)) })
	}
}

// revisit looks up the domains that take the detour by a file: the server's log no longer tells when one of them has moved to
// another provider. They are asked about one after the other, so that the questions of live lookups find room.
func (s *Steer) revisit(ctx context.Context) {
	for _, srv := range *s.byName.Load() {
		conf := srv.Load()
		if len(conf.Files) == 0 {
			continue
		}
		var list []string
		srv.domains.each(func(domain string, id provider.ID) {
			if s.unwell.has(conf.path(), hashID(id)) {
				list = append(list, domain)
			}
		})
		for _, domain := range list {
			if ctx.Err() != nil {
				return
			}
			if s.moved(ctx, srv, domain) {
				s.touch()
			}
		}
	}
}

// moved asks who receives for a domain and tells whether that is somebody else than before.
func (s *Steer) moved(ctx context.Context, srv *server, domain string) bool {
	buf := make([]byte, 0, longestDomain)
	id := s.find(ctx, string(domainOf(append([]byte{'@'}, domain...), buf)))
	if id == "" {
		return false
	}
	srv.domains.mu.Lock()
	defer srv.domains.mu.Unlock()
	v, ok := srv.domains.all[domain]
	if !ok || v.id == id {
		return false
	}
	v.id = id
	srv.domains.all[domain] = v
	srv.domains.mark(domain)
	return true
}

// order is a number by which a domain takes its turn; with another salt the turns are others.
func order(domain string, salt int64) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(domain) // it never fails
	for i := range 8 {
		_ = h.WriteByte(byte(salt >> (8 * i)))
	}
	return h.Sum64()
}
