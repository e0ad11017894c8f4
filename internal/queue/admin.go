package queue

import (
	"context"
	"errors"
	"time"

	"ukai/internal/mail"
)

// defaultLimit is how many messages List returns when it is not told.
const defaultLimit = 1000

// batch is how many messages are looked at under one lock.
const batch = 256

// Get implements Store.
func (e *Embedded) Get(ctx context.Context, id mail.ID) (*Message, error) {
	if err := e.health.check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found *Message
	err := e.visit([]mail.ID{id}, func(v *view, l *loaded) bool {
		found = l.message(v)
		return true
	})
	if err == nil && found == nil {
		err = e.missing(id)
	}
	return found, err
}

// List implements Store.
func (e *Embedded) List(ctx context.Context, f Filter) ([]*Message, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	list := []*Message{}
	err := e.search(ctx, &f, func(v *view, l *loaded) bool {
		if len(f.selected(v, l)) > 0 {
			list = append(list, l.message(v))
		}
		return len(list) < f.Limit
	})
	return list, err
}

// Change implements Store.
func (e *Embedded) Change(ctx context.Context, f Filter, order Order, now time.Time) (int, error) {
	switch order {
	case HoldOrder, ReleaseOrder, RetryOrder, DeleteOrder:
	default:
		return 0, errors.New("no such order: " + string(order))
	}
	changed := 0
	err := e.search(ctx, &f, func(v *view, l *loaded) bool {
		if e.order(&f, v, l, order, now) {
			changed++
		}
		return f.Limit == 0 || changed < f.Limit
	})
	if changed > 0 {
		if ferr := e.writer.flush(); err == nil {
			err = ferr
		}
	}
	return changed, err
}

// order applies an order to the deliveries of a message that f selects. It returns false if there are none.
func (e *Embedded) order(f *Filter, v *view, l *loaded, order Order, now time.Time) (touched bool) {
	stale := false
	e.mu.Lock()
	for _, i := range f.selected(v, l) {
		switch e.orderOneLocked(&v.dels[i], Key{v.id, v.dels[i].n}, &l.states[i], order, now) {
		case orderStale:
			stale = true
		case orderDone:
			touched = true
		case orderGone:
		}
	}
	e.mu.Unlock()
	if !stale {
		return touched
	}
	// A delivery was settled between the look at it and the order: look again. An order given twice does no harm.
	_ = e.visit([]mail.ID{v.id}, func(v *view, l *loaded) bool {
		touched = e.order(f, v, l, order, now) || touched
		return true
	})
	return touched
}

type orderResult int

const (
	orderGone orderResult = iota
	orderDone
	orderStale
)

// orderOneLocked applies an order to a delivery whose state was read as st.
func (e *Embedded) orderOneLocked(dv *deliveryView, k Key, st *state, order Order, now time.Time) orderResult {
	j := e.book.lookup(k)
	switch {
	case j == 0:
		return orderGone
	case !e.book.currentLocked(j, dv):
		return orderStale
	}
	if ls := e.book.leased[j]; ls != nil {
		e.orderLeasedLocked(k, ls, st, order, now)
		return orderDone
	}
	if order == DeleteOrder {
		_ = e.closeLocked(k, j) // a dead writer says so at flush
		return orderDone
	}
	next := *st
	order.amend(&next.DeliveryState, now)
	_ = e.stateLocked(k, j, &next, now)
	return orderDone
}

// currentLocked tells whether what a view led to still is the last state of a delivery.
func (b *book) currentLocked(j uint32, dv *deliveryView) bool {
	return j == dv.index && b.fresh[j] == dv.fresh && (dv.fresh != nil || b.deliveries.at(j).at == dv.at)
}

// orderLeasedLocked notes an order for when the attempt ends. One that decides whether mail goes out is written at once as
// well: a crash ends the attempt, too.
func (e *Embedded) orderLeasedLocked(k Key, ls *lease, st *state, order Order, now time.Time) {
	if ls.order == DeleteOrder {
		return
	}
	ls.order, ls.now = order, now
	next := *st
	if order.amend(&next.DeliveryState, now); order == DeleteOrder {
		next = state{closed: true}
	}
	_ = e.writer.put(stateEntry(k, &next))
}

// Release implements Store.
func (e *Embedded) Release(ctx context.Context, tag string, now time.Time) (int, error) {
	released := 0
	for {
		if err := e.health.check(); err != nil {
			return released, err
		}
		if err := ctx.Err(); err != nil {
			return released, err
		}
		views := e.waiting(tag)
		if len(views) == 0 {
			return released, nil
		}
		for _, v := range views {
			var st state
			err := e.loadState(Key{v.id, v.dels[0].n}, &v.dels[0], &st)
			v.release()
			if err == nil {
				released += e.releaseOne(v, &st, tag, now)
				continue
			}
			if err := e.unreadable(v.id, err); !errors.Is(err, ErrSetAside) && !errors.Is(err, ErrNotFound) {
				return released, err
			}
		}
	}
}

// waiting looks at some of the deliveries that wait for a tag.
func (e *Embedded) waiting(tag string) []*view {
	if tag == "" {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var views []*view
	for _, j := range e.book.tags.waiting(tag) {
		if len(views) == batch {
			break
		}
		if e.book.leased[j] == nil {
			views = append(views, e.book.viewOf(j))
		}
	}
	return views
}

// releaseOne ends the waiting of a delivery, if it still waits. One that was settled meanwhile is looked at again.
func (e *Embedded) releaseOne(v *view, st *state, tag string, now time.Time) int {
	dv := &v.dels[0]
	k := Key{v.id, dv.n}
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.book.lookup(k)
	if j == 0 || !e.book.currentLocked(j, dv) || e.book.leased[j] != nil || e.book.tags.name(e.book.deliveries.at(j)) != tag {
		return 0
	}
	RetryOrder.amend(&st.DeliveryState, now)
	if err := e.stateLocked(k, j, st, now); err != nil {
		return 0
	}
	return 1
}
