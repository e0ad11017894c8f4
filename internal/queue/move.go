package queue

import (
	"fmt"
	"io"
	"strconv"

	"ukai/internal/mail"
)

// moveBatch is how much compaction has queued at a time: new mail does not wait behind more than that.
const moveBatch = 1 << 20

// empty queues copies of what counts in a segment.
func (k *keeper) empty(s *segment) error {
	e := k.e
	e.mu.Lock()
	nothing := e.book.worth(s) == 0
	s.pin()
	e.mu.Unlock()
	defer s.unpin()
	if nothing {
		return nil
	}
	queued := int64(0)
	sc := newScanner(&e.handles, s, 0, s.size, false)
	for {
		f, err := sc.next()
		if err != nil {
			return err
		}
		if f == nil {
			break
		}
		n, err := k.move(s, f)
		if err != nil {
			return err
		}
		if queued += n; queued >= moveBatch {
			queued = 0
			if err := e.writer.flush(); err != nil {
				return err
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for in := range s.tombs { // they stand elsewhere too; or were damaged, and cannot be kept
		if e.book.needed(in, s.no) {
			delete(s.tombs, in)
		}
	}
	return nil
}

// countTombs finds the kindDone records of a segment that an earlier process wrote.
func (k *keeper) countTombs(s *segment) error {
	k.e.mu.Lock()
	s.pin()
	k.e.mu.Unlock()
	defer s.unpin()
	tombs := make(map[span]int)
	sc := newScanner(&k.e.handles, s, 0, s.size, false)
	for {
		f, err := sc.next()
		if err != nil {
			return err
		}
		if f == nil {
			break
		}
		if f.kind != kindDone || f.damage {
			continue
		}
		if _, in, err := decodeDone(f.meta); err == nil {
			if in = in.standing(s.no); in != (span{s.no, s.no}) {
				tombs[in]++
			}
		}
	}
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	s.tombs, s.known = tombs, true
	return nil
}

// standing is the span of a kindDone record that stands in a segment.
func (in span) standing(own uint32) span {
	if in.hi == 0 {
		in.hi = max(own, in.lo)
	}
	return in
}

// move queues a copy of a record if it counts, and returns its size.
func (k *keeper) move(s *segment, f *found) (int64, error) {
	switch {
	case f.damage:
		return 0, k.e.damaged(f)
	case f.kind == kindAdd:
		return k.moveMessage(s, f)
	case f.kind == kindState:
		return k.moveState(f)
	case f.kind == kindDone:
		return k.moveDone(s, f)
	}
	return 0, nil
}

func (k *keeper) moveMessage(s *segment, f *found) (int64, error) {
	e := k.e
	id := addID(f.meta)
	counts := func() bool {
		_, m := e.book.find(id)
		return m != nil && m.at == f.at && m.flags&messageMoving == 0
	}
	e.mu.Lock()
	wanted := counts()
	e.mu.Unlock()
	if !wanted {
		return 0, nil
	}
	hd, buf, err := e.handles.record(s, f.at, f.size, kindAdd)
	if err != nil {
		return 0, ignoreDamage(e.unreadable(id, err))
	}
	defer putBuffer(buf)
	en := newEntry(kindAdd, Key{ID: id})
	meta, body := hd.split(*buf)
	en.from = f.at
	en.buf = append(en.buf, meta...)
	en.body = append(en.body, append([]byte(nil), body...))
	en.seal()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !counts() {
		return 0, nil
	}
	_, m := e.book.find(id)
	m.flags |= messageMoving
	return f.size, e.writer.put(en)
}

func (k *keeper) moveState(f *found) (int64, error) {
	e := k.e
	key, _, err := decodeState(f.meta)
	if err != nil {
		return 0, nil // its checksum is right: what this version would not write counts for nobody
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, m := e.book.find(key.ID)
	if m == nil {
		return 0, nil
	}
	j := e.book.nth(m, key.N)
	if j == 0 {
		return 0, nil
	}
	d := e.book.deliveries.at(j)
	if d.at != f.at || d.is(deliveryMoving) || e.book.fresh[j] != nil {
		return 0, nil
	}
	en := newEntry(kindState, key)
	en.from = f.at
	en.buf = append(en.buf, f.meta...)
	en.seal()
	d.set(deliveryMoving, true)
	return f.size, e.writer.put(en)
}

func (k *keeper) moveDone(s *segment, f *found) (int64, error) {
	e := k.e
	id, in, err := decodeDone(f.meta)
	if err != nil {
		return 0, nil // as in moveState
	}
	in = in.standing(s.no)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.book.needed(in, s.no) {
		return 0, nil
	}
	en := newEntry(kindDone, Key{ID: id})
	en.span, en.from = in, f.at
	en.buf = appendDone(en.buf, id, in)
	return f.size, e.writer.put(en.seal())
}

// damaged sets aside the messages that have a record in a part of a segment that cannot be read. Where there are none,
// nothing that counts was lost.
func (e *Embedded) damaged(f *found) error {
	for _, id := range e.owners(f) {
		if err := ignoreDamage(e.unreadable(id, errDamaged)); err != nil {
			return err
		}
	}
	return nil
}

// owners returns the messages that have a record in a part of the log. It looks through all of them.
func (e *Embedded) owners(f *found) []mail.ID {
	inside := func(at pos) bool {
		return at.seg == f.at.seg && at.off >= f.at.off && int64(at.off) < int64(f.at.off)+f.size
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []mail.ID
	for i := uint32(1); i < e.book.messages.used; i++ {
		m := e.book.messages.at(i)
		if m.id == 0 {
			continue
		}
		hit := inside(m.at)
		for j := m.first; j != 0 && !hit; j = e.book.deliveries.at(j).next {
			hit = inside(e.book.deliveries.at(j).at)
		}
		if hit {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// keepGap keeps octets of the log of which nobody knows whose they are.
func (e *Embedded) keepGap(s *segment, f *found) error {
	name := fmt.Sprintf("%010d-%s%s", s.no, strconv.FormatUint(uint64(f.at.off), 10), rawSuffix)
	if e.aside.hasFile(name) {
		return nil
	}
	from := io.NewSectionReader(sectionOf{&e.handles, s}, int64(f.at.off), f.size)
	if err := e.aside.write(name, nil, from); err != nil {
		return err
	}
	e.log.Error("a part of the queue's log is unreadable: it was set aside", "file", name, "octets", f.size)
	return nil
}

// sectionOf reads from a pinned segment.
type sectionOf struct {
	h *handles
	s *segment
}

// ReadAt implements io.ReaderAt.
func (r sectionOf) ReadAt(b []byte, off int64) (int, error) { return r.h.read(r.s, b, off) }
