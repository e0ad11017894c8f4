package dispatch

import (
	"slices"
	"sync"
	"time"

	"ukai/internal/mail"
)

type siteKey struct {
	egress int
	site   string // Destination.Site; empty for a smarthost: it takes everything
}

// site is one egress to one set of receiving hosts: a line of jobs and the connections that serve it.
// Waiting connections take jobs straight from push; a new connection is opened only when none waits and the limit allows.
type site struct {
	d      *Dispatcher
	egress *Egress
	key    siteKey
	dest   *Destination // of the job that opened the site: hosts and limits

	mu      sync.Mutex // guards the fields below; taken after Dispatcher.mu
	line    [2][]*job  // by mail.Class: transactional mail goes first
	idle    []*worker  // connections that wait for a job, the last one in takes the next
	workers int
	limit   limiter
	closed  bool
}

// worker is one connection's goroutine.
type worker struct {
	s    *site
	next chan *job // capacity 1; closed when the site closes
	link Link
	sent int
}

// site returns the site of a job, opening it when there is none; nil while the Dispatcher stops.
func (d *Dispatcher) site(j *job) *site {
	key := siteKey{egress: j.egress}
	eg := j.ways.Egresses[j.egress]
	if eg.Smarthost == "" {
		key.site = j.dest.Site
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return nil
	}
	if s := d.sites[key]; s != nil && s.egress == eg && !s.isClosed() {
		return s
	}
	s := &site{d: d, egress: eg, key: key, dest: j.dest, limit: newLimiter(d.maxConnections(eg, j.dest))}
	if j.ways == d.ways { // a job of before a reload gets a site of its own, which is not kept
		d.sites[key] = s
	}
	return s
}

func (d *Dispatcher) maxConnections(eg *Egress, dest *Destination) int {
	n := d.opts.MaxConnections
	if eg.MaxConnections > 0 {
		n = eg.MaxConnections
	}
	if eg.Smarthost == "" && dest.Limits.MaxConns > 0 {
		n = min(n, dest.Limits.MaxConns)
	}
	return n
}

// push gives a job to the site. It returns false when the site is closed; then the job must be routed again.
func (s *site) push(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if n := len(s.idle); n > 0 {
		w := s.idle[n-1]
		s.idle = s.idle[:n-1]
		w.next <- j
		return true
	}
	class := j.q.Envelope.Class & mail.Bulk
	s.line[class] = append(s.line[class], j)
	s.growLocked()
	return true
}

// growLocked opens one more connection when jobs wait and the limit allows.
func (s *site) growLocked() {
	if s.closed || s.workers >= s.limit.limit || s.waitingLocked() == 0 {
		return
	}
	if s.workers > 0 && s.limit.resting(time.Now()) {
		return
	}
	s.workers++
	s.d.running.Add(1)
	w := &worker{s: s, next: make(chan *job, 1)}
	go w.run()
}

func (s *site) waitingLocked() int { return len(s.line[0]) + len(s.line[1]) }

// take returns the next waiting job, or nil.
func (s *site) take() *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *site) takeLocked() *job {
	for class := range s.line {
		if l := s.line[class]; len(l) > 0 {
			j := l[0]
			l[0] = nil
			s.line[class] = l[1:]
			if len(s.line[class]) == 0 {
				s.line[class] = l[:0] // start over in the same memory
			}
			return j
		}
	}
	return nil
}

// wait parks a connection until a job comes, the site closes or the idle time is over; the last two return nil.
// A connection above the limit is not parked.
func (s *site) wait(w *worker, idle time.Duration) *job {
	s.mu.Lock()
	if j := s.takeLocked(); j != nil {
		s.mu.Unlock()
		return j
	}
	if s.closed || s.workers > s.limit.limit {
		s.mu.Unlock()
		return nil
	}
	s.idle = append(s.idle, w)
	s.mu.Unlock()
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case j := <-w.next:
		return j
	case <-timer.C:
	}
	if s.unpark(w) {
		return nil
	}
	return <-w.next // a job was handed over while the timer fired
}

// unpark takes w out of the idle list; false means that somebody took it out to hand it a job or to end it.
func (s *site) unpark(w *worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range s.idle {
		if x == w {
			s.idle = slices.Delete(s.idle, i, i+1)
			return true
		}
	}
	return false
}

// leave ends a worker. When nothing is left, the site is taken off the map.
func (s *site) leave() {
	s.d.mu.Lock()
	s.mu.Lock()
	s.workers--
	s.growLocked() // a job may have come between the last look at the line and now
	if s.workers == 0 && s.waitingLocked() == 0 && s.d.sites[s.key] == s {
		s.closed = true
		delete(s.d.sites, s.key)
	}
	s.mu.Unlock()
	s.d.mu.Unlock()
	s.d.running.Done()
}

// close ends the site: waiting connections end, no job is taken any more. It returns the jobs that waited.
func (s *site) close() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, w := range s.idle {
		close(w.next)
	}
	s.idle = nil
	return s.clearLocked()
}

// clear empties the line and returns what was in it.
func (s *site) clear() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clearLocked()
}

func (s *site) clearLocked() []*job {
	jobs := slices.Concat(s.line[0], s.line[1])
	s.line = [2][]*job{}
	return jobs
}

func (s *site) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *site) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers
}

// feedback passes what a transaction showed to the limiter.
func (s *site) feedback(f func(l *limiter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.limit)
	s.growLocked()
}
