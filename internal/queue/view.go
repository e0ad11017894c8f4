package queue

import (
	"time"

	"ukai/internal/mail"
)

// view is what the book said about a message at one moment, with the segments pinned that hold the rest. It is made under
// the lock and read without it.
type view struct {
	id   mail.ID
	at   pos
	size int64
	seg  *segment
	warm *warm
	dels []deliveryView
}

// deliveryView is one delivery of a view.
type deliveryView struct {
	index  uint32
	n      int
	domain string
	at     pos // of its last state record
	size   int64
	seg    *segment // nil: it never had a state
	fresh  *state
	// What the book knows itself.
	due    time.Time
	held   bool
	leased bool
	tag    string
}

// viewLocked looks at a message and those of its deliveries that are not done. The caller calls release.
func (b *book) viewLocked(i uint32) *view {
	m := b.messages.at(i)
	v := &view{id: m.id, at: m.at, size: int64(m.size), warm: b.warm[i]}
	if v.warm == nil {
		v.seg = b.segs[m.at.seg]
		v.seg.pin()
	}
	for j := m.first; j != 0; j = b.deliveries.at(j).next {
		if !b.deliveries.at(j).is(deliveryClosed) {
			v.dels = append(v.dels, b.deliveryViewLocked(j))
		}
	}
	return v
}

func (b *book) deliveryViewLocked(j uint32) deliveryView {
	d := b.deliveries.at(j)
	dv := deliveryView{
		index: j, n: int(d.n), domain: b.lines.all[d.domain].name, at: d.at, size: int64(d.size) * recordAlign,
		fresh: b.fresh[j], due: milli(d.due), held: d.is(deliveryHeld), leased: d.is(deliveryLeased),
		tag: b.tags.name(d),
	}
	if dv.fresh == nil && d.at != (pos{}) {
		dv.seg = b.segs[d.at.seg]
		dv.seg.pin()
	}
	return dv
}

func (v *view) release() {
	if v.seg != nil {
		v.seg.unpin()
	}
	for i := range v.dels {
		if v.dels[i].seg != nil {
			v.dels[i].seg.unpin()
		}
	}
}

// loaded is a message as the disk has it.
type loaded struct {
	env    *mail.Envelope
	groups []group
	states []state // of view.dels, one each
}

// load reads what a view does not hold. errDamaged means that the message is to be set aside.
func (e *Embedded) load(v *view) (*loaded, error) {
	l := &loaded{states: make([]state, len(v.dels))}
	if v.warm != nil {
		l.env, l.groups = v.warm.env, v.warm.groups
	} else {
		env, _, err := e.handles.envelope(v.seg, v.at, v.size)
		if err != nil {
			return nil, err
		}
		if env.ID != v.id {
			return nil, errDamaged
		}
		l.env, l.groups = env, groups(env)
	}
	for i := range v.dels {
		dv := &v.dels[i]
		if dv.n >= len(l.groups) {
			return nil, errDamaged
		}
		if err := e.loadState(Key{v.id, dv.n}, dv, &l.states[i]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (e *Embedded) loadState(k Key, dv *deliveryView, into *state) error {
	switch {
	case dv.fresh != nil:
		*into = *dv.fresh
	case dv.seg != nil:
		got, s, err := e.handles.state(dv.seg, dv.at, dv.size)
		if err != nil {
			return err
		}
		if got != k {
			return errDamaged
		}
		*into = *s
	default:
		into.all = true
	}
	into.Due, into.Held, into.Tag = dv.due, dv.held, dv.tag
	return nil
}

// recipients returns the open recipients of the ith delivery of a view, as a slice of the caller's own.
func (l *loaded) recipients(i int, dv *deliveryView) []int {
	s := &l.states[i]
	if s.all {
		return append([]int(nil), l.groups[dv.n].rcpts...)
	}
	return append([]int(nil), s.open...)
}

// message makes what the admin sees.
func (l *loaded) message(v *view) *Message {
	m := &Message{Envelope: l.env}
	for i := range v.dels {
		dv := &v.dels[i]
		if l.states[i].closed { // an admin deleted it while it is leased
			continue
		}
		m.Deliveries = append(m.Deliveries, &Delivery{
			Key: Key{v.id, dv.n}, Envelope: l.env, Domain: dv.domain, Recipients: l.recipients(i, dv), State: l.states[i].DeliveryState,
		})
	}
	return m
}
