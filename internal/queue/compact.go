package queue

import (
	"errors"
	"fmt"
	"time"
)

// Compaction works on one sealed segment after the other, the oldest first, and never passes over one that failed. That
// order is what lets a kindDone record go: a message that was moved from A to B has no record in A any more when B is
// removed, so that "B is gone" means "no record of the message is left".
//
// A segment is removed when
//   - no message and no delivery has its record there,
//   - no kindDone record there is needed for a segment that still exists,
//   - the copies of what was moved are synced, and
//   - the index has durably read all that, so that no start will look for the segment.

// errBusy: a segment cannot be removed yet.
var errBusy = errors.New("the segment is still needed")

// maxRound is how many segments are emptied before the first of them is removed.
const maxRound = 64

// compact does what can be done: it empties segments, waits for the disk and for the index once, and removes them.
func (k *keeper) compact() error {
	for {
		round, err := k.emptyAll()
		if len(round) == 0 {
			return err
		}
		if rerr := k.removeAll(round); rerr != nil {
			k.spare(round)
			if err == nil && !errors.Is(rerr, errBusy) {
				err = rerr
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}

// emptyAll empties segments. What comes later in the round may take them for gone: it is removed later, too.
func (k *keeper) emptyAll() (round []*segment, err error) {
	for len(round) < maxRound {
		s := k.candidate()
		switch {
		case s == nil:
			return round, nil
		case !s.known:
			if err := k.countTombs(s); err != nil {
				return round, err
			}
			continue
		}
		if err := k.empty(s); err != nil {
			return round, err
		}
		k.e.mu.Lock()
		s.doomed = true
		k.e.mu.Unlock()
		round = append(round, s)
	}
	return round, nil
}

// spare takes back what emptyAll said of segments.
func (k *keeper) spare(round []*segment) {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	for _, s := range round {
		s.doomed = false
	}
}

// candidate returns the oldest sealed segment of which less than a third counts. While there are messages in it, it is left
// alone for a while: what was written a moment ago is likely to be done a moment later, and need not be moved.
func (k *keeper) candidate() *segment {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	b := k.e.book
	last, now := b.lastSegment(), time.Now()
	var oldest *segment
	for _, s := range b.segs {
		if s.no == last || s.doomed || oldest != nil && s.no > oldest.no {
			continue
		}
		if (s.alive == 0 || now.Sub(s.sealed) >= k.e.opts.calm) && b.worth(s) < s.size/3 {
			oldest = s
		}
	}
	return oldest
}

func (b *book) lastSegment() uint32 {
	last := uint32(0)
	for no := range b.segs {
		last = max(last, no)
	}
	return last
}

// tombSize is the usual size of a kindDone record.
const tombSize = 48

// worth is how many octets of a segment count.
func (b *book) worth(s *segment) int64 {
	n := s.alive
	for in, count := range s.tombs {
		if b.needed(in, s.no) {
			n += int64(count) * tombSize
		}
	}
	return n
}

// needed tells whether a kindDone record in a segment still ends something: whether one of the segments exists in which a
// record of its message may stand, besides the one that would go with it.
func (b *book) needed(in span, own uint32) bool {
	exists := func(no uint32) bool {
		s := b.segs[no]
		return no != own && s != nil && !s.doomed
	}
	if in.hi-in.lo < 8 {
		for no := in.lo; no <= in.hi; no++ {
			if exists(no) {
				return true
			}
		}
		return false
	}
	for no := range b.segs {
		if no >= in.lo && no <= in.hi && exists(no) {
			return true
		}
	}
	return false
}

// removeAll removes segments that were emptied, in order.
func (k *keeper) removeAll(round []*segment) error {
	if err := k.e.writer.flush(); err != nil {
		return err
	}
	if !k.indexed() {
		return errBusy
	}
	for _, s := range round {
		if err := k.remove(s); err != nil {
			return err
		}
	}
	return nil
}

// patience is how long compaction waits for the index. If that is in trouble, so is compaction, and comes back later.
const patience = 5 * time.Second

// indexed waits until the index has durably read the log as it is now.
func (k *keeper) indexed() bool {
	want := k.e.index.logEnd()
	for began := time.Now(); time.Since(began) < patience; {
		at, ok := k.e.index.position()
		switch {
		case !ok:
			return false
		case !at.before(want):
			return true
		}
		select {
		case <-k.stop:
			return false
		case <-time.After(min(k.e.opts.tick/4, 20*time.Millisecond)):
		}
	}
	return false
}

func (k *keeper) remove(s *segment) error {
	e := k.e
	if !k.take(s) {
		return errBusy
	}
	if !k.unread(s) {
		return errBusy
	}
	e.handles.forget(s)
	if err := e.spares.retire(s, e.opts.segmentSize); err != nil {
		e.mu.Lock()
		e.book.segs[s.no] = s // it is still there, and what stands in it counts
		e.mu.Unlock()
		return fmt.Errorf("retire segment: %w", err)
	}
	if err := e.disk.SyncDir(logDir); err != nil {
		e.fail(err)
		return err
	}
	return nil
}

// take takes a segment out of the book if nothing in it counts.
func (k *keeper) take(s *segment) bool {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	if s.alive != 0 || k.e.book.worth(s) != 0 {
		return false
	}
	delete(k.e.book.segs, s.no)
	return true
}

// unread waits until nobody reads a segment.
func (k *keeper) unread(s *segment) bool {
	for s.users.Load() > 0 {
		select {
		case <-k.stop:
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return true
}
