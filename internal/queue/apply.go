package queue

import "time"

// applied enters a durable group into the book. It runs in the writer's goroutine.
func (e *Embedded) applied(group []*entry, end pos) {
	now := e.opts.Now()
	fresh, big := e.applyAll(group, end, now)
	if fresh > 0 {
		e.health.commits.Add(uint64(fresh))
		signal(e.bell.c)
	}
	if len(big) > 0 {
		e.keeper.discard(big)
	}
	e.index.feed(group, end, now)
}

// applyAll returns how many messages are new, and which large contents nobody needs any more.
func (e *Embedded) applyAll(group []*entry, end pos, now time.Time) (fresh int, big []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, en := range group {
		switch en.kind {
		case kindAdd:
			if en.from == (pos{}) {
				e.addedLocked(en, now)
				fresh++
			} else {
				e.book.copied(en)
			}
		case kindState:
			e.book.stateWritten(en)
		case kindDone:
			e.book.buried(en)
			if en.big > 0 {
				big = append(big, bigName(en.key.ID))
			}
		}
	}
	if s := e.book.segs[end.seg]; s != nil {
		s.size = int64(end.off)
	}
	return fresh, big
}

// addedLocked makes a new message leasable.
func (e *Embedded) addedLocked(en *entry, now time.Time) {
	b := e.book
	i := b.add(en.key.ID, en.at, uint32(en.size()))
	if en.big > 0 {
		b.big[en.key.ID] = en.big
		b.bigBytes += en.big
	}
	if len(b.warm) < maxWarm {
		b.warm[i] = en.warm
	}
	for n := len(en.warm.groups) - 1; n >= 0; n-- {
		b.lines.push(b.addDelivery(i, n, en.warm.groups[n].domain), now.UnixMilli())
	}
}

// copied notes that compaction's copy of a message is durable. If the message was ended meanwhile, its kindDone record
// stands behind the copy and names this segment too: see where.
func (b *book) copied(en *entry) {
	_, m := b.find(en.key.ID)
	if m == nil || m.at != en.from {
		return
	}
	m.flags &^= messageMoving
	b.moved(m, en.at, uint32(en.size()))
}

// stateWritten notes where a delivery's last state stands.
func (b *book) stateWritten(en *entry) {
	_, m := b.find(en.key.ID)
	if m == nil {
		return
	}
	j := b.nth(m, en.key.N)
	if j == 0 {
		return
	}
	d := b.deliveries.at(j)
	if en.from != (pos{}) {
		d.set(deliveryMoving, false)
		if d.at != en.from {
			return // superseded by one that stands before the copy: cannot be, for the copy was queued under the lock
		}
	} else if b.fresh[j] == en.fresh {
		delete(b.fresh, j)
	}
	b.stated(d, en.at, en.size())
}

// buried counts a kindDone record in its segment as long as it is needed for one elsewhere.
func (b *book) buried(en *entry) {
	in := en.span
	if in.hi == 0 {
		in.hi = en.at.seg
	}
	if s := b.segs[en.at.seg]; s != nil && (in.lo != s.no || in.hi != s.no) {
		s.tombs[in]++
	}
}

// opened enters a new segment. It runs in the writer's goroutine.
func (e *Embedded) opened(s *segment) {
	e.mu.Lock()
	if before := e.book.segs[s.no-1]; before != nil {
		before.sealed = time.Now()
	}
	e.book.segs[s.no] = s
	e.mu.Unlock()
}
