package queue

import (
	"context"
	"errors"
	"time"

	"ukai/internal/mail"
)

// picked is a delivery chosen by Lease.
type picked struct {
	index uint32
	view  *view  // what has to be read; nil when everything is known
	out   *lease // given to the caller
}

// Lease implements Store.
func (e *Embedded) Lease(ctx context.Context, q LeaseQuery) ([]*Delivery, error) {
	if err := e.health.check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	picks, cold := e.pick(&q)
	if cold {
		picks = e.complete(picks)
	}
	out := make([]*Delivery, len(picks))
	for i := range picks {
		out[i] = &picks[i].out.Delivery
	}
	return out, nil
}

// pick takes due deliveries out of their lines. Those of new messages are complete; cold tells whether others are among them.
func (e *Embedded) pick(q *LeaseQuery) (picks []picked, cold bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.book
	b.lines.take(q, func(j uint32) {
		d := b.deliveries.at(j)
		d.set(deliveryLeased, true)
		l := &lease{}
		b.leased[j] = l
		p := picked{index: j, out: l}
		if w := b.warm[d.message]; w != nil && !d.is(deliverySettled) && d.at == (pos{}) && b.fresh[j] == nil {
			l.fill(Key{w.env.ID, int(d.n)}, w.env, w.groups[d.n].domain, w.groups[d.n].rcpts)
			l.State.Due = milli(d.due)
		} else {
			cold = true
			p.view = b.viewOf(j)
		}
		picks = append(picks, p)
	})
	e.armLocked(q.Now)
	return picks, cold
}

// viewOf looks at one delivery of a message.
func (b *book) viewOf(j uint32) *view {
	i := b.deliveries.at(j).message
	m := b.messages.at(i)
	v := &view{id: m.id, at: m.at, size: int64(m.size), warm: b.warm[i], dels: []deliveryView{b.deliveryViewLocked(j)}}
	if v.warm == nil {
		v.seg = b.segs[m.at.seg]
		v.seg.pin()
	}
	return v
}

// complete reads what the book does not hold of the deliveries, and returns those that can be read.
func (e *Embedded) complete(picks []picked) []picked {
	good := picks[:0]
	seen := make(map[mail.ID]*warm) // one envelope for the deliveries of a message
	for _, p := range picks {
		if p.view == nil {
			good = append(good, p)
			continue
		}
		if w := seen[p.view.id]; w != nil {
			p.view.warm = w
		}
		l, err := e.load(p.view)
		p.view.release()
		if err != nil {
			e.unlease(p, err)
			continue
		}
		dv := &p.view.dels[0]
		p.out.fill(Key{p.view.id, dv.n}, l.env, dv.domain, l.recipients(0, dv))
		p.out.State = l.states[0].DeliveryState
		seen[p.view.id] = &warm{env: l.env, groups: l.groups}
		good = append(good, p)
	}
	return good
}

// unlease answers a delivery that cannot be read: damaged ones are set aside; when only the disk or the process is in
// trouble, it is tried again after a minute.
func (e *Embedded) unlease(p picked, err error) {
	if err := e.unreadable(p.view.id, err); errors.Is(err, ErrSetAside) || errors.Is(err, ErrNotFound) {
		return
	}
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.book.leased[p.index] != p.out {
		return
	}
	delete(e.book.leased, p.index)
	d := e.book.deliveries.at(p.index)
	d.set(deliveryLeased, false)
	e.planLocked(p.index, &DeliveryState{Due: now.Add(time.Minute), Held: d.is(deliveryHeld), Tag: e.book.tags.name(d)}, now)
}
