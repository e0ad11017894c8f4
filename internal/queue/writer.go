package queue

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxGroup is how many octets are written between two syncs. It bounds how long the first of a group waits for the last,
// and how far a segment exceeds its size.
const maxGroup = 4 << 20

// writer is the one goroutine that appends to the log. What gathers while a group is being synced is the next group: the
// slower the disk, the larger the groups. Messages wait for the sync; settlements do not, and ride with the next group or go
// alone after a short while.
type writer struct {
	opts   *Options
	tell   listener
	spares *spares

	mu     sync.Mutex // guards the queue; a leaf: nothing is locked under it
	queue  []*entry
	urgent int   // entries in the queue that somebody waits for
	dead   error // nothing is taken any more
	kick   chan struct{}
	lazy   chan struct{}
	stop   chan struct{}
	done   chan struct{}
	syncs  atomic.Uint64

	tail
	group []*entry
	iov   [][]byte
}

// listener is told what the writer does, in its goroutine.
type listener interface {
	// applied is called for each durable group, before those who wait for it are told. end is where the log ends.
	applied(group []*entry, end pos)
	// opened is called for a new segment before anything is written to it.
	opened(s *segment)
	// fail is called once, with the error that stopped the writer.
	fail(err error)
}

// tail is the open end of the log, in the hands of the writer's goroutine.
type tail struct {
	seg *segment
	f   file
	end int64 // all before it is synced
}

func newWriter(opts *Options, tell listener, sp *spares, t tail) *writer {
	return &writer{
		opts: opts, tell: tell, spares: sp, tail: t,
		kick: make(chan struct{}, 1), lazy: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// put queues an entry. What was put first is first in the log.
func (w *writer) put(e *entry) error {
	w.mu.Lock()
	if dead := w.dead; dead != nil {
		w.mu.Unlock()
		return dead
	}
	w.queue = append(w.queue, e)
	first := len(w.queue) == 1
	if e.urgent {
		w.urgent++
	}
	w.mu.Unlock()
	switch {
	case e.urgent:
		signal(w.kick)
	case first:
		signal(w.lazy)
	}
	return nil
}

// wait queues an entry and waits until it is durable.
func (w *writer) wait(e *entry) error {
	if e.result == nil {
		e.result = make(chan error, 1)
	}
	e.urgent = true
	if err := w.put(e); err != nil {
		return err
	}
	return <-e.result
}

// flush waits until everything that was put before is durable.
func (w *writer) flush() error {
	return w.wait(&entry{})
}

// signal wakes the receiver of a channel with capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// close takes nothing more, writes what is queued, and waits for the end.
func (w *writer) close() {
	w.mu.Lock()
	if w.dead == nil {
		w.dead = ErrClosed
	}
	w.mu.Unlock()
	close(w.stop)
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.kick:
		case <-timer.C:
		case <-w.lazy:
			timer.Reset(w.opts.lazy)
			continue
		case <-w.stop:
			w.finish()
			return
		}
		left, full := w.drain()
		switch {
		case full:
			timer.Reset(100 * time.Millisecond) // what nobody waits for is kept until there is room
		case left:
			timer.Reset(w.opts.lazy)
		}
	}
}

// drain writes groups as long as somebody waits. It tells whether lazy entries are left, and whether the disk is full.
func (w *writer) drain() (left, full bool) {
	for {
		w.takeGroup()
		if len(w.group) == 0 {
			return false, false
		}
		err := w.writeGroup()
		switch {
		case err == nil:
		case isFull(err):
			w.keepLazy()
			return true, true
		default:
			w.fail(err)
			return false, false
		}
		w.mu.Lock()
		urgent, left := w.urgent > 0, len(w.queue) > 0
		w.mu.Unlock()
		if !urgent {
			return left, false
		}
	}
}

// takeGroup moves the beginning of the queue into w.group.
func (w *writer) takeGroup() {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(w.queue) && (n == 0 || size+w.queue[n].size() <= maxGroup) {
		size += w.queue[n].size()
		if w.queue[n].urgent {
			w.urgent--
		}
		n++
	}
	w.group = append(w.group[:0], w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
}

// writeGroup makes w.group durable. After an error that isFull accepts, the log ends where it ended before.
func (w *writer) writeGroup() error {
	if err := w.roll(); err != nil {
		return err
	}
	end := w.gather()
	if len(w.iov) > 0 {
		if _, err := w.f.Writev(w.iov, w.end); err != nil {
			return w.cutBack(err)
		}
		if err := w.f.Sync(); err != nil {
			return broken{fmt.Errorf("sync %s: %w", w.seg.name(), err)}
		}
		w.syncs.Add(1)
		w.end = end
	}
	w.tell.applied(w.group, pos{w.seg.no, uint32(w.end)})
	for i, e := range w.group {
		w.group[i] = nil
		if e.urgent {
			e.result <- nil // it belongs to the waiter again
		} else {
			e.recycle()
		}
	}
	return nil
}

var padding [recordAlign]byte

// gather gives each entry of the group its place and lays out the group for one write. It returns where the group ends.
func (w *writer) gather() int64 {
	clear(w.iov[:cap(w.iov)])
	w.iov = w.iov[:0]
	off := w.end
	for _, e := range w.group {
		if e.kind == 0 {
			continue
		}
		e.flags = 0
		if off == w.end {
			e.flags = flagGroup
		}
		e.at = pos{w.seg.no, uint32(off)}
		e.encode(e.buf, w.seg.stamp(off))
		w.iov = append(w.iov, e.buf)
		w.iov = append(w.iov, e.body...)
		size := e.size()
		if pad := size - headerSize - int64(e.metaLen) - int64(e.bodyLen); pad > 0 {
			w.iov = append(w.iov, padding[:pad])
		}
		off += size
	}
	return off
}

// keepLazy answers a full disk: those who wait are told, the others go back to the front of the queue.
func (w *writer) keepLazy() {
	var lazy []*entry
	for _, e := range w.group {
		if e.urgent {
			e.result <- ErrFull
		} else {
			lazy = append(lazy, e)
		}
	}
	clear(w.group)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(lazy, w.queue...)
}

// broken is an error after which nobody knows what is on the disk, even if its cause was that it is full.
type broken struct{ cause error }

func (b broken) Error() string { return b.cause.Error() }

// fail stops the writer: everybody who waits, now or later, is told.
func (w *writer) fail(err error) {
	dead := fmt.Errorf("%w: %w", ErrBroken, err)
	w.mu.Lock()
	rest := append(w.group, w.queue...) //nolint:gocritic // group is not used again
	w.queue, w.group, w.urgent = nil, nil, 0
	w.dead = dead
	w.mu.Unlock()
	w.tell.fail(dead)
	for _, e := range rest {
		if e != nil && e.urgent {
			e.result <- dead
		}
	}
}

// finish writes what is queued and a mark: its flag tells the next start that all before it was synced.
func (w *writer) finish() {
	if w.f == nil && len(w.queue) == 0 { // nothing is put any more
		return
	}
	if errors.Is(w.dead, ErrClosed) {
		w.queue = append(w.queue, newEntry(kindMark, Key{}).seal())
	}
	for {
		left, full := w.drain()
		if full {
			w.opts.Log.Warn("the disk is full: the last settlements are not written, their deliveries will be tried again", "records", len(w.queue))
		}
		if !left || full {
			break
		}
	}
	if w.f == nil {
		return
	}
	if w.alive() {
		if err := w.cutOff(); err != nil { // the next start does it
			w.opts.Log.Warn("the end of the log was not cut off", "err", err)
		}
	}
	_ = w.f.Close()
}

// alive tells whether the disk did not fail.
func (w *writer) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !errors.Is(w.dead, ErrBroken)
}
