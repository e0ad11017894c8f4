package queue

import (
	"ukai/internal/mail"
)

// replay reads the log into the book. Only the order of the states of one delivery matters: a kindDone record ends its
// message wherever it stands, for compaction may have moved either; and a state may stand before its message for the same
// reason.
type replay struct {
	e     *Embedded
	segs  []*segment
	whole bool // the book knows nothing from the index
	now   int64

	done    map[mail.ID]bool
	stash   map[mail.ID][]stashed // states of messages that were not met yet
	spoiled map[mail.ID]pos       // messages whose content is damaged
	ops     []op                  // for the index
	records int
	lost    bool // something unreadable is left of which nobody knows whose it was
}

type stashed struct {
	n     int
	state *state
	at    pos
	size  uint32
}

func newReplay(e *Embedded, segs []*segment, whole bool) *replay {
	return &replay{
		e: e, segs: segs, whole: whole, now: e.opts.Now().UnixMilli(),
		done: make(map[mail.ID]bool), stash: make(map[mail.ID][]stashed), spoiled: make(map[mail.ID]pos),
	}
}

// run reads everything behind a place.
func (r *replay) run(from pos) error {
	for i, s := range r.segs {
		if r.whole {
			s.alive = 0 // what an index that was not used counted
		}
		r.e.book.segs[s.no] = s
		if s.no < from.seg {
			continue
		}
		start := int64(segmentStart)
		if s.no == from.seg {
			start = max(start, int64(from.off))
		}
		s.known = start == segmentStart
		// What the index has not read was written lately: a look at the contents costs little. So does the last segment.
		if err := r.segment(s, start, !r.whole || i == len(r.segs)-1); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) segment(s *segment, start int64, bodies bool) error {
	sc := newScanner(&r.e.handles, s, start, s.size, bodies)
	for {
		f, err := sc.next()
		if f == nil || err != nil {
			return err
		}
		if err := r.record(s, f); err != nil {
			return err
		}
	}
}

func (r *replay) record(s *segment, f *found) error {
	r.records++
	switch {
	case f.kind == kindAdd && checksum(0, f.meta) == f.metaCRC:
		env, c, err := decodeAdd(f.meta)
		if err != nil {
			return r.gap(s, f)
		}
		r.add(env, c, f)
	case f.damage:
		return r.gap(s, f)
	case f.kind == kindState:
		k, st, err := decodeState(f.meta)
		if err != nil {
			return r.gap(s, f)
		}
		r.state(k, st, f)
	case f.kind == kindDone:
		id, in, err := decodeDone(f.meta)
		if err != nil {
			return r.gap(s, f)
		}
		r.end(s, id, in, f)
	}
	return nil
}

func (r *replay) gap(s *segment, f *found) error {
	r.lost = true
	return r.e.keepGap(s, f)
}

// note tells the index of a record.
func (r *replay) note(id mail.ID, n int, f *found) {
	r.e.book.newest = max(r.e.book.newest, id)
	if !r.whole {
		r.ops = append(r.ops, op{id: id, at: f.at, size: uint32(f.size), n: uint16(n), kind: f.kind})
	}
}

func (r *replay) add(env *mail.Envelope, c content, f *found) {
	r.note(env.ID, 0, f)
	if f.damage {
		r.spoiled[env.ID] = f.at
	}
	if r.done[env.ID] {
		return
	}
	b := r.e.book
	if _, m := b.find(env.ID); m != nil {
		b.moved(m, f.at, uint32(f.size))
		return
	}
	row := newRow(f.at, uint32(f.size), env, c)
	for _, st := range r.stash[env.ID] {
		row.state(Key{env.ID, st.n}, st.state, st.at, st.size)
	}
	delete(r.stash, env.ID)
	b.enter(row, r.now)
}

func (r *replay) state(k Key, st *state, f *found) {
	r.note(k.ID, k.N, f)
	if r.done[k.ID] {
		return
	}
	b := r.e.book
	_, m := b.find(k.ID)
	if m == nil {
		r.stash[k.ID] = append(r.stash[k.ID], stashed{k.N, st, f.at, uint32(f.size)})
		return
	}
	j := b.nth(m, k.N)
	if j == 0 {
		return
	}
	d := b.deliveries.at(j)
	d.set(deliverySettled, true)
	b.stated(d, f.at, f.size)
	b.restate(j, &rowDelivery{closed: st.closed, held: st.Held, due: st.Due.UnixMilli(), tag: st.Tag}, r.now)
}

func (r *replay) end(s *segment, id mail.ID, in span, f *found) {
	r.note(id, 0, f)
	r.done[id] = true
	delete(r.stash, id)
	b := r.e.book
	if i, m := b.find(id); m != nil {
		b.drop(i)
	}
	if in = in.standing(s.no); in != (span{s.no, s.no}) {
		s.tombs[in]++
	}
}

// finish ends what is left over: messages that are done but not ended, damaged ones, files that nobody names.
func (r *replay) finish() error {
	e := r.e
	b := e.book
	for i := uint32(1); i < b.messages.used; i++ {
		m := b.messages.at(i)
		if m.id == 0 {
			continue
		}
		if m.open == 0 {
			if err := e.buryLocked(i); err != nil {
				return err
			}
		}
	}
	e.ids.Skip(b.newest)
	if err := e.sweepBig(r.lost); err != nil {
		return err
	}
	for id, at := range r.spoiled {
		if _, m := b.find(id); m == nil || m.at != at {
			continue // done, or a good copy stands elsewhere
		}
		if err := ignoreDamage(e.unreadable(id, errDamaged)); err != nil {
			return err
		}
	}
	return nil
}
