package queue

import (
	"context"
	"errors"
	"slices"

	"ukai/internal/mail"
)

// page is how many messages are asked of the index at once.
const page = 1024

// search calls fn for each message that f may select, in order, until fn returns false.
func (e *Embedded) search(ctx context.Context, f *Filter, fn func(v *view, l *loaded) bool) error {
	if err := e.health.check(); err != nil {
		return err
	}
	if len(f.IDs) > 0 {
		ids := slices.Clone(f.IDs)
		slices.Sort(ids)
		ids = slices.DeleteFunc(slices.Compact(ids), func(id mail.ID) bool { return id <= f.After })
		return e.visit(ids, fn)
	}
	goOn := true
	once := func(v *view, l *loaded) bool {
		goOn = fn(v, l)
		return goOn
	}
	for after := f.After; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		ids, more, err := e.index.candidates(ctx, f, after, page)
		if err != nil {
			return err
		}
		if err := e.visit(ids, once); err != nil || !goOn || !more {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// visit calls fn for each of the messages that is in the queue, until fn returns false. No lock is held while fn runs.
func (e *Embedded) visit(ids []mail.ID, fn func(v *view, l *loaded) bool) error {
	for part := range slices.Chunk(ids, batch) {
		views := e.views(part)
		for i, v := range views {
			l, err := e.load(v)
			v.release()
			if err != nil {
				err = ignoreDamage(e.unreadable(v.id, err))
			} else if !fn(v, l) {
				releaseAll(views[i+1:])
				return nil
			}
			if err != nil {
				releaseAll(views[i+1:])
				return err
			}
		}
	}
	return nil
}

func (e *Embedded) views(ids []mail.ID) []*view {
	e.mu.Lock()
	defer e.mu.Unlock()
	views := make([]*view, 0, len(ids))
	for _, id := range ids {
		if i, m := e.book.find(id); m != nil {
			views = append(views, e.book.viewLocked(i))
		}
	}
	return views
}

func releaseAll(views []*view) {
	for _, v := range views {
		v.release()
	}
}

// everyone implements indexSource.
func (e *Embedded) everyone() []mail.ID {
	e.mu.Lock()
	ids := make([]mail.ID, 0, len(e.book.byID))
	for i := uint32(1); i < e.book.messages.used; i++ {
		if id := e.book.messages.at(i).id; id != 0 {
			ids = append(ids, id)
		}
	}
	e.mu.Unlock()
	slices.Sort(ids)
	return ids
}

// newest implements indexSource.
func (e *Embedded) newest() mail.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.newest
}

// salt implements indexSource.
func (e *Embedded) salt(segment uint32) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.book.segs[segment]; s != nil {
		return s.salt
	}
	return 0
}

// flush implements indexSource.
func (e *Embedded) flush() error { return e.writer.flush() }

// readAdd implements indexSource.
func (e *Embedded) readAdd(id mail.ID, at pos, size uint32) (env *mail.Envelope, c content, err error) {
	s := e.pinned(at.seg)
	if s == nil {
		return nil, c, ErrNotFound
	}
	defer s.unpin()
	if env, c, err = e.handles.envelope(s, at, int64(size)); err == nil && env.ID != id {
		err = errDamaged
	}
	if err != nil {
		return nil, c, e.unreadable(id, err)
	}
	return env, c, nil
}

// readState implements indexSource.
func (e *Embedded) readState(k Key, at pos, size uint32) (*state, error) {
	s := e.pinned(at.seg)
	if s == nil {
		return nil, ErrNotFound
	}
	defer s.unpin()
	got, st, err := e.handles.state(s, at, int64(size))
	if err == nil && got != k {
		err = errDamaged
	}
	if err != nil {
		return nil, e.unreadable(k.ID, err)
	}
	return st, nil
}

// pinned returns a segment for reading, nil if it is not there.
func (e *Embedded) pinned(no uint32) *segment {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.book.segs[no]
	if s != nil {
		s.pin()
	}
	return s
}

// rowOf implements indexSource. The row says what is durable, not what memory knows beyond.
func (e *Embedded) rowOf(id mail.ID) (*row, *mail.Envelope, error) {
	e.mu.Lock()
	_, m := e.book.find(id)
	if m == nil {
		e.mu.Unlock()
		return nil, nil, ErrNotFound
	}
	at, size := m.at, m.size
	states := make(map[Key]delivery)
	for j := m.first; j != 0; j = e.book.deliveries.at(j).next {
		if d := e.book.deliveries.at(j); d.at != (pos{}) {
			states[Key{id, int(d.n)}] = *d
		}
	}
	e.mu.Unlock()
	// Compaction may move a record, but it removes none before the index has read where it went.
	env, c, err := e.readAdd(id, at, size)
	if err != nil {
		return nil, nil, err
	}
	r := newRow(at, size, env, c)
	for k, d := range states {
		st, err := e.readState(k, d.at, uint32(d.size)*recordAlign)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		r.state(k, st, d.at, uint32(d.size)*recordAlign)
	}
	return r, env, nil
}
