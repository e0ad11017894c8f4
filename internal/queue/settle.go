package queue

import (
	"slices"
	"time"

	"ukai/internal/mail"
)

// Settle implements Store.
func (e *Embedded) Settle(s Settlement) error {
	if err := e.health.check(); err != nil {
		return err
	}
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.book.lookup(s.Key)
	if j == 0 {
		return e.missing(s.ID)
	}
	l := e.book.leased[j]
	if l == nil {
		return ErrNotFound // its lease has ended
	}
	open := l.remaining(s.Done)
	delete(e.book.leased, j)
	e.book.deliveries.at(j).set(deliveryLeased, false)
	if len(open) == 0 || l.order == DeleteOrder {
		return e.closeLocked(s.Key, j)
	}
	next := s.Next
	next.Last = shorten(next.Last, maxLast)
	next.Due = next.Due.Truncate(time.Millisecond)
	l.amend(&next)
	st := &state{DeliveryState: next, open: open}
	e.book.settledOnce(j)
	return e.stateLocked(s.Key, j, st, now)
}

// stateLocked gives a delivery a new state, in memory at once and on disk soon.
func (e *Embedded) stateLocked(k Key, j uint32, st *state, now time.Time) error {
	e.book.fresh[j] = st
	e.planLocked(j, &st.DeliveryState, now)
	return e.writer.put(stateEntry(k, st))
}

// closeLocked ends a delivery, and its message when it was the last.
func (e *Embedded) closeLocked(k Key, j uint32) error {
	e.book.settledOnce(j)
	i := e.book.deliveries.at(j).message
	if e.book.close(j) {
		return e.buryLocked(i)
	}
	st := &state{closed: true}
	e.book.fresh[j] = st
	return e.writer.put(stateEntry(k, st))
}

// buryLocked forgets a message and says so in the log.
func (e *Embedded) buryLocked(i uint32) error {
	m := e.book.messages.at(i)
	en := doneEntry(m.id, m.where(), e.book.big[m.id])
	e.book.drop(i)
	return e.writer.put(en)
}

// fill sets what is handed out. The caller gets recipients of his own.
func (l *lease) fill(k Key, env *mail.Envelope, domain string, rcpts []int) {
	both := make([]int, 2*len(rcpts))
	copy(both, rcpts)
	copy(both[len(rcpts):], rcpts)
	l.open = both[len(rcpts):]
	l.Delivery = Delivery{Key: k, Envelope: env, Domain: domain, Recipients: both[:len(rcpts):len(rcpts)]}
}

// remaining returns the open recipients without those that are done.
func (l *lease) remaining(done []int) []int {
	if len(done) == 0 {
		return l.open
	}
	if len(done) <= 16 {
		return slices.DeleteFunc(l.open, func(r int) bool { return slices.Contains(done, r) })
	}
	done = slices.Sorted(slices.Values(done))
	return slices.DeleteFunc(l.open, func(r int) bool {
		_, found := slices.BinarySearch(done, r)
		return found
	})
}

// amend applies the order that an admin gave while the delivery was leased.
func (l *lease) amend(s *DeliveryState) {
	if l.order != "" {
		l.order.amend(s, l.now)
	}
}

// amend applies an order to a state; DeleteOrder is not for states.
func (o Order) amend(s *DeliveryState, now time.Time) {
	switch o {
	case HoldOrder:
		s.Held = true
	case ReleaseOrder:
		s.Held, s.Due, s.Tag = false, now.Truncate(time.Millisecond), ""
	case RetryOrder:
		s.Due, s.Tag = now.Truncate(time.Millisecond), ""
	case DeleteOrder:
	}
}
