package steer

import (
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/provider"
)

// Status is how a server is steered, at a glance.
type Status struct {
	Server string `json:"server"`
	// Shut are the providers whose mail takes the detour, or a part of it.
	Shut []provider.ID `json:"shut"`
	// Domains is how many domains the server writes to, as far as is known; Detoured those that stand in its files.
	Domains  int `json:"domains"`
	Detoured int `json:"detoured"`
	// Lookups, Detours and Told count the questions, those answered with the detour, and outcomes that were told, since the start.
	Lookups int64 `json:"lookups"`
	Detours int64 `json:"detours"`
	Told    int64 `json:"told"`
	// P99 is within what time 99 of 100 questions were answered, from when they were read, rounded up to a power of two.
	P99   time.Duration `json:"p99_ns"`
	Heard time.Time     `json:"heard,omitzero"` // when it last asked or told something
	Files []FileStatus  `json:"files,omitempty"`
}

// FileStatus is how a file of routes stands.
type FileStatus struct {
	Path    string         `json:"path"` // inside the root
	Format  mtaconf.Format `json:"format"`
	Routes  int            `json:"routes"`
	Written time.Time      `json:"written,omitzero"` // last; zero: it was as it should be since the start
	Trouble string         `json:"trouble,omitempty"`
	// Err is the trouble in the operator's words; nil when all is well.
	Err error `json:"-"`
}

// counts are the numbers of a server. The times of answers are counted by powers of two of nanoseconds.
type counts struct {
	lookups, detours, told atomic.Int64
	contact                atomic.Int64 // Unix seconds
	took                   [40]atomic.Int64
}

func (c *counts) count(detour bool, took time.Duration) {
	c.lookups.Add(1)
	if detour {
		c.detours.Add(1)
	}
	c.took[min(bits.Len64(uint64(max(took, 0))), len(c.took)-1)].Add(1)
}

// p99 returns the upper end of the class in which the hundredth part of the answers begins.
func (c *counts) p99() time.Duration {
	var n [len(c.took)]int64
	var all int64
	for i := range n {
		n[i] = c.took[i].Load()
		all += n[i]
	}
	slow := all / 100
	for i := len(n) - 1; i >= 0; i-- {
		if n[i] > slow {
			return time.Duration(1) << i
		}
		slow -= n[i]
	}
	return 0
}

// heard notes that a server asks.
func (s *Steer) heard(srv *server, now time.Time) {
	at, sec := srv.contact.Load(), now.Unix()
	if at == sec || !srv.contact.CompareAndSwap(at, sec) || s.Heard == nil {
		return
	}
	s.Heard(srv.name, now)
}

// Status returns the servers by name.
func (s *Steer) Status() []Status {
	var list []Status
	for _, srv := range *s.byName.Load() {
		list = append(list, s.status(srv))
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Server, b.Server) })
	return list
}

// StatusOf returns one server; ok is false for one that is not steered.
func (s *Steer) StatusOf(name string) (st Status, ok bool) {
	srv := (*s.byName.Load())[name]
	if srv == nil {
		return st, false
	}
	return s.status(srv), true
}

func (s *Steer) status(srv *server) Status {
	conf := srv.Load()
	st := Status{
		Server: srv.name, Domains: srv.domains.len(), Detoured: int(srv.files.detoured.Load()), P99: srv.p99(),
		Lookups: srv.lookups.Load(), Detours: srv.detours.Load(), Told: srv.told.Load(), Files: srv.files.list(conf.Files),
	}
	if at := srv.contact.Load(); at > 0 {
		st.Heard = time.Unix(at, 0)
	}
	if !s.observe.Load() {
		st.Shut = s.unwell.of(conf.path())
		slices.Sort(st.Shut)
	}
	return st
}

// Known returns how many domains are in memory, for all servers.
func (s *Steer) Known() int { return s.cache.len() }
