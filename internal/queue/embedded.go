package queue

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/mail"
)

// Options are the settings of the embedded engine. The zero value is ready.
type Options struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// MinFree is how many octets of the disk are left to others: below it mail is refused with ErrFull, while settlements and
	// compaction, which make room, go on. Default 64 MB.
	MinFree int64

	segmentSize int64         // a segment that has it is sealed
	inline      int           // content up to this size stands in the log, more in a file of its own
	lazy        time.Duration // how long a settlement waits for a group to ride with
	settle      time.Duration // how long the index leaves a change alone: what is done by then never touches it
	tick        time.Duration // how often index and compaction look for work
	dir         string
	calm        time.Duration // how long compaction leaves a sealed segment alone that something is left in
	disk        disk
}

func (o *Options) defaults(dir string) {
	o.dir = dir
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.disk == nil {
		o.disk = osDisk{dir}
	}
	def(&o.MinFree, 64<<20)
	def(&o.segmentSize, segmentSize)
	def(&o.inline, 256<<10)
	def(&o.lazy, 25*time.Millisecond)
	def(&o.settle, 500*time.Millisecond)
	def(&o.tick, 250*time.Millisecond)
	def(&o.calm, 10*time.Second)
}

func def[T int | int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Embedded is the Store of one node: segments hold envelopes and contents and are the truth, memory holds the schedule, an
// index holds what is searched.
//
// Locks, in this order: mu (the book and all that is named after it), writer.mu, index.mu, aside.mu, handles.mu,
// segment.fmu. None is held across a disk access, except the last two while a file is opened or closed.
type Embedded struct {
	opts    Options
	log     *slog.Logger
	disk    disk
	lock    *os.File
	ids     mail.IDs
	space   space
	spares  spares
	handles handles
	writer  *writer
	index   *index
	keeper  *keeper
	aside   aside
	health  health

	mu   sync.Mutex // guards book and bell
	book *book
	bell bell
}

var _ Store = (*Embedded)(nil)

// health says whether the store still works, and counts.
type health struct {
	broken  atomic.Pointer[error]
	closed  atomic.Bool
	commits atomic.Uint64
}

// check returns why the store takes no calls, or nil.
func (h *health) check() error {
	if err := h.broken.Load(); err != nil {
		return *err
	}
	if h.closed.Load() {
		return ErrClosed
	}
	return nil
}

// fail ends the work after a disk error. What memory knows and what the disk holds may differ from here on; a restart reads
// the disk.
func (e *Embedded) fail(err error) {
	if !errors.Is(err, ErrBroken) {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if e.health.broken.CompareAndSwap(nil, &err) {
		e.log.Error("the queue stopped after a disk error: look at the disk, then restart", "err", err)
	}
}

// diskError turns an error of a write into what the caller is told; one that is not for want of space ends the work.
func (e *Embedded) diskError(err error) error {
	if isFull(err) {
		e.noRoom()
		return ErrFull
	}
	e.fail(err)
	return e.health.check()
}

// reserve tells whether there is room for n octets of mail.
func (e *Embedded) reserve(n int64) error {
	if e.space.take(n) || e.spares.dismiss() && e.space.take(n) {
		return nil
	}
	return ErrFull
}

// noRoom notes that the disk has no room, and makes what can be made at once.
func (e *Embedded) noRoom() {
	e.space.exhausted()
	e.spares.dismiss()
}

// bell rings when a delivery may have become due.
type bell struct {
	c     chan struct{}
	timer *time.Timer
	at    int64 // when the timer goes off; the far future: it does not
}

// newBell makes the bell of e; its timer takes e.mu.
func (e *Embedded) newBell() {
	e.bell = bell{c: make(chan struct{}, 1), at: math.MaxInt64}
	e.bell.timer = time.AfterFunc(time.Hour, func() {
		e.mu.Lock()
		e.bell.at = math.MaxInt64
		e.mu.Unlock()
		signal(e.bell.c)
	})
	e.bell.timer.Stop()
}

// armLocked sets the timer to when the next delivery is due.
func (e *Embedded) armLocked(now time.Time) {
	next := e.book.lines.next()
	if next >= e.bell.at {
		return
	}
	e.bell.at = next
	e.bell.timer.Reset(max(time.UnixMilli(next).Sub(now), 0))
}

// planLocked says when a delivery is tried next, and rings if that is at once.
func (e *Embedded) planLocked(j uint32, s *DeliveryState, now time.Time) {
	e.book.plan(j, s, now.UnixMilli())
	switch {
	case s.Held:
	case s.Due.After(now):
		e.armLocked(now)
	default:
		signal(e.bell.c)
	}
}

// Wake implements Store.
func (e *Embedded) Wake() <-chan struct{} { return e.bell.c }

// Stats implements Store.
func (e *Embedded) Stats() Stats {
	lag := e.index.lag(e.opts.Now())
	setAside := e.aside.count()
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.book
	s := Stats{
		Messages: len(b.byID), Deliveries: b.open, Leased: len(b.leased), Held: b.held,
		Bytes: b.bigBytes + e.spares.size(), SetAside: setAside, IndexLag: lag,
		Commits: e.health.commits.Load(), Syncs: e.writer.syncs.Load(),
	}
	for _, seg := range b.segs {
		s.Bytes += seg.size
	}
	if id := b.oldestID(); id != 0 {
		s.Oldest = id.Time().UTC()
	}
	if err := e.health.broken.Load(); err != nil {
		s.Broken = (*err).Error()
	}
	return s
}

// Close writes what is queued, ends the goroutines and lets go of the directory. What is leased comes back after a restart.
func (e *Embedded) Close() error {
	if e.health.closed.Swap(true) {
		return nil
	}
	e.writer.close()
	e.keeper.close()
	err := e.index.close()
	e.mu.Lock()
	e.bell.timer.Stop()
	e.mu.Unlock()
	e.handles.close()
	if lerr := e.lock.Close(); err == nil {
		err = lerr
	}
	return err
}
