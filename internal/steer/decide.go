package steer

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"ukai/internal/health"
	"ukai/internal/provider"
)

func trimLower(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// unwell are the providers whose paths are not simply open, by path name and hash of the provider. Most answers need no more
// than to see that a provider is not among them.
type unwell struct {
	mu  sync.RWMutex // guards all
	all map[string]map[uint64]provider.ID
}

func (u *unwell) fill(b *health.Book, now time.Time) {
	for _, info := range b.List(now) {
		u.note(info.Key, info.State)
	}
}

func (u *unwell) note(k health.Key, st health.State) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.all[k.Egress]
	if st == health.Healthy {
		delete(of, hashID(k.Provider))
		return
	}
	if of == nil {
		if u.all == nil {
			u.all = make(map[string]map[uint64]provider.ID)
		}
		of = make(map[uint64]provider.ID)
		u.all[k.Egress] = of
	}
	of[hashID(k.Provider)] = k.Provider
}

func (u *unwell) get(path string, id uint64) (provider.ID, bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	p, ok := u.all[path][id]
	return p, ok
}

func (u *unwell) has(path string, id uint64) bool {
	_, ok := u.get(path, id)
	return ok
}

// of returns the providers of one path name.
func (u *unwell) of(path string) []provider.ID {
	u.mu.RLock()
	defer u.mu.RUnlock()
	list := make([]provider.ID, 0, len(u.all[path]))
	for _, id := range u.all[path] {
		list = append(list, id)
	}
	return list
}

// way is where mail goes.
type way uint8

const (
	former way = iota // as before
	detour
	trying // the former route, as a probe, when nobody else is one
	shared // the former route for a share
)

// way says what a path means for a server's mail.
func (s *Server) way(p *health.Path, now time.Time) way {
	switch {
	case p.State == health.Recovering:
		return shared
	case p.State == health.Suspect && !s.Net:
		return detour // each further refusal would be a bounce; the path is clean again by itself after a while
	case !p.Shut():
		return former
	case p.Pinned || s.Egress != "" || !s.Net || now.Before(probeFrom(p)):
		return detour
	}
	return trying
}

// lag is how much later than a probe is due mail is let go as one: times in logs are cut off at the second, and an outcome from
// before its time would not be taken for the probe's.
const lag = 2 * time.Second

func probeFrom(p *health.Path) time.Time { return p.ProbeAt.Add(lag) }

// inShare tells whether what has this hash is in the share of a recovering path. As long as the share stays, so does the answer.
func inShare(h uint64, p *health.Path) bool { return h>>32 <= uint64(p.Share) && p.Share > 0 }

// route says whether the mail of a question takes the detour. domain is that of key.
func (s *Steer) route(srv *server, key, domain []byte, now time.Time) bool {
	if s.observe.Load() {
		return false
	}
	id := s.provider(domain, now)
	if id == 0 {
		return false
	}
	conf := srv.Load()
	name, ok := s.unwell.get(conf.path(), id)
	if !ok {
		return false
	}
	p := s.Health.Path(conf.path(), name)
	switch conf.way(&p, now) {
	case detour:
		return true
	case shared:
		return !inShare(maphash.Bytes(seed, key), &p)
	case trying:
		return !srv.trial.grant(name, maphash.Bytes(seed, key), p.ProbeAt, now)
	}
	return false
}

// trialFor is how long one recipient, or one domain of a file, goes on as the probe: a server asks several times for one
// message (when it takes it, when it sends it), and for a domain the next message has to come. After that it is another's turn.
const (
	trialFor     = time.Minute
	fileTrialFor = 3 * time.Minute
)

// trials are the probes of a server that has paths of its own: one recipient for each provider.
type trials struct {
	mu  sync.Mutex // guards all
	all map[provider.ID]trial
}

type trial struct {
	who   uint64    // hash of the recipient
	due   time.Time // Path.ProbeAt when it was granted: when that moves, the outcome was seen
	until time.Time
}

// grant tells whether this recipient is the probe. The first one who asks while nobody is, is.
func (t *trials) grant(id provider.ID, who uint64, due, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.all[id]
	if ok && x.due.Equal(due) && now.Before(x.until) {
		return x.who == who
	}
	if t.all == nil {
		t.all = make(map[provider.ID]trial)
	}
	t.all[id] = trial{who, due, now.Add(trialFor)}
	return true
}
