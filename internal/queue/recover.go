package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ukai/internal/i18n"
)

// Open opens or creates the queue in a directory. It returns ErrLocked when another process has it open.
func Open(dir string, opts Options) (*Embedded, error) {
	opts.defaults(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, i18n.Errorf("queue.unwritable", "dir", dir, "cause", err)
	}
	lock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{
		opts: opts, log: opts.Log, disk: opts.disk, lock: lock, book: newBook(),
		space:   space{disk: opts.disk, min: opts.MinFree, now: opts.Now},
		handles: handles{disk: opts.disk, max: maxHandles},
		aside:   aside{disk: opts.disk},
		spares:  spares{disk: opts.disk},
	}
	e.index = newIndex(filepath.Join(dir, "index.db"), &e.opts, e)
	if err := e.recover(); err != nil {
		e.release()
		return nil, fmt.Errorf("open queue %s: %w", dir, err)
	}
	go e.writer.run()
	go e.index.run()
	go e.keeper.run()
	return e, nil
}

// release lets go of what a failed Open had taken.
func (e *Embedded) release() {
	e.handles.close()
	if e.writer != nil && e.writer.f != nil {
		_ = e.writer.f.Close()
	}
	if e.bell.timer != nil {
		e.bell.timer.Stop()
	}
	_ = e.index.closeDB()
	e.lock.Close()
}

// recover brings the book to where the disk is: from the index up to where that has read the log, and from the log beyond.
// Without a usable index it reads the whole log.
func (e *Embedded) recover() error {
	began := time.Now()
	for _, dir := range []string{logDir, bigDir, asideDir} {
		if err := e.disk.MkdirAll(dir); err != nil {
			return i18n.Errorf("queue.unwritable", "dir", e.opts.dir, "cause", err)
		}
	}
	if err := e.aside.load(); err != nil {
		return err
	}
	e.newBell()
	segs, err := e.listSegments()
	if err != nil {
		return err
	}
	at, usable := e.loadIndex(segs)
	if !usable {
		e.book = newBook()
	}
	t, err := e.openTail(segs, at)
	if err != nil {
		return err
	}
	e.writer = newWriter(&e.opts, e, &e.spares, t)
	e.keeper = newKeeper(e)
	r := newReplay(e, segs, !usable)
	if err := r.run(at); err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	e.index.start(r.ops, t.place(), !usable, e.opts.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.armLocked(e.opts.Now())
	signal(e.bell.c)
	e.log.Info("queue opened", "messages", len(e.book.byID), "replayed", r.records, "from_index", usable, "took", time.Since(began))
	return nil
}

// listSegments returns the segments in order. A last one that has not even its first octets was never used: it is removed.
func (e *Embedded) listSegments() ([]*segment, error) {
	infos, err := e.disk.List(logDir)
	if err != nil {
		return nil, err
	}
	e.spares.load(infos)
	var segs []*segment
	for _, info := range infos {
		if s, ok := parseSegment(info.name); ok {
			s.size = info.size
			segs = append(segs, s)
		}
	}
	slices.SortFunc(segs, func(a, b *segment) int { return int(int64(a.no) - int64(b.no)) })
	if n := len(segs); n > 0 && segs[n-1].size < segmentStart {
		if err := e.disk.Remove(segs[n-1].name()); err != nil {
			return nil, err
		}
		if err := e.disk.SyncDir(logDir); err != nil {
			return nil, err
		}
		segs = segs[:n-1]
	}
	for i, s := range segs {
		if i > 0 && segs[i-1].no == s.no {
			return nil, fmt.Errorf("two segments have the number %d: %s and %s", s.no, segs[i-1].name(), s.name())
		}
		b := make([]byte, min(s.size, segmentStart))
		if err := e.handles.readAt(s, b, 0); err != nil {
			return nil, err
		}
		if err := checkStart(b); err != nil {
			return nil, i18n.Errorf("queue.later", "file", s.name(), "cause", err)
		}
	}
	return segs, nil
}

// openTail finds the end of the log and cuts off what a crash left there half written. synced is up to where the index has
// read it: that was on the disk.
func (e *Embedded) openTail(segs []*segment, synced pos) (tail, error) {
	if len(segs) == 0 {
		return tail{}, nil
	}
	s := segs[len(segs)-1]
	floor := int64(segmentStart)
	if synced.seg == s.no {
		floor = int64(synced.off)
	}
	end, err := e.tornAt(s, floor)
	if err != nil {
		return tail{}, err
	}
	f, err := e.disk.Open(s.name(), true)
	if err != nil {
		return tail{}, err
	}
	if err := e.cut(s, f, end); err != nil {
		_ = f.Close()
		return tail{}, err
	}
	return tail{s, f, end}, nil
}

// tornAt returns where the readable log ends: the first record that is damaged and behind which no group begins. A group is
// begun only when the one before it is synced, so what is damaged before that was on the disk, and is not passed over.
func (e *Embedded) tornAt(s *segment, floor int64) (int64, error) {
	sc := newScanner(&e.handles, s, floor, s.size, true)
	torn := int64(-1)
	for {
		f, err := sc.next()
		switch {
		case err != nil:
			return 0, err
		case f == nil && torn >= 0:
			return torn, nil
		case f == nil:
			return s.size, nil
		case !f.damage && f.flags&flagGroup != 0:
			torn = -1
		case f.damage && torn < 0:
			torn = int64(f.at.off)
		}
	}
}

// cut ends a segment and makes that durable, together with everything a killed process had written and not synced.
func (e *Embedded) cut(s *segment, f file, end int64) error {
	if end < s.size {
		e.log.Info("cut off the end of the log that was being written when ukai stopped", "segment", s.no, "octets", s.size-end)
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if end == segmentStart {
		if _, err := f.WriteAt(s.start(), 0); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.name(), err)
	}
	s.size = end
	return nil
}

// place is where the next record will stand; the zero pos when there is no segment.
func (t *tail) place() pos {
	if t.seg == nil {
		return pos{}
	}
	return pos{t.seg.no, uint32(t.end)}
}

// errIndex says why an index is not used.
var errIndex = errors.New("it does not fit the log")

// loadIndex fills the book from the index, if that is complete and fits the log.
func (e *Embedded) loadIndex(segs []*segment) (at pos, usable bool) {
	at, err := e.index.loadRows(context.Background(), e.book, segs, e.opts.Now())
	if err == nil && at != (pos{}) {
		err = e.reaches(e.book.segs[at.seg], at)
	}
	if err == nil {
		return at, true
	}
	if !errors.Is(err, errNoIndex) {
		e.log.Warn("the search index cannot be used: it is set aside and made anew from the log", "err", err)
		e.index.renew()
	}
	return pos{}, false
}

// reaches tests that the log has records up to a place. The length of a file says little: it may have been a spare.
func (e *Embedded) reaches(s *segment, at pos) error {
	sc := newScanner(&e.handles, s, 0, int64(at.off), false)
	whole := true
	for {
		f, err := sc.next()
		if err != nil {
			return err
		}
		if f == nil {
			break
		}
		whole = !f.damage
	}
	if !whole {
		return errIndex
	}
	return nil
}

// errNoIndex: there was none, or it was not complete.
var errNoIndex = errors.New("no complete index")

func (ix *index) loadRows(ctx context.Context, b *book, segs []*segment, now time.Time) (pos, error) {
	for _, s := range segs {
		b.segs[s.no] = s
	}
	if err := ix.open(ctx); err != nil {
		return pos{}, err
	}
	p, ok, err := ix.db.position(ctx)
	if err != nil {
		return pos{}, err
	}
	if !ok {
		return pos{}, errNoIndex
	}
	within := func(at pos, size int64) bool {
		s := b.segs[at.seg]
		return s != nil && int64(at.off)+size <= s.size
	}
	if p.at != (pos{}) && (!within(p.at, 0) || b.segs[p.at.seg].salt != p.salt) {
		return pos{}, errIndex
	}
	count := int64(0)
	err = ix.db.rows(ctx, func(r *row) error {
		count++
		if !within(r.at, int64(r.size)) {
			return errIndex
		}
		for i := range r.dels {
			if d := &r.dels[i]; d.at != (pos{}) && !within(d.at, int64(d.size)*recordAlign) {
				return errIndex
			}
		}
		b.enter(r, now.UnixMilli())
		return nil
	})
	if err == nil && count != p.count {
		err = errIndex
	}
	ix.pos = p
	b.newest = max(b.newest, p.newest)
	return p.at, err
}

// start gives the index what was replayed; with fill, it makes itself anew.
func (ix *index) start(ops []op, end pos, fill bool, now time.Time) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.end, ix.filling = end, fill
	if !fill && (len(ops) > 0 || ix.pos.at != end) {
		ix.ops = ops
		ix.marks = []mark{{len(ops), end, now}}
	}
}
