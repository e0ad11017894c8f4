package queue

import (
	"time"

	"ukai/internal/mail"
)

// message is what is kept in memory of each message: about 90 octets with its one delivery, so that a million fit in little.
// Everything else is read from the log when it is wanted.
type message struct {
	id    mail.ID
	at    pos    // its kindAdd record
	size  uint32 // of that record
	first uint32 // its deliveries: a chain in order of n
	open  uint32 // deliveries that are not done
	flags uint8
}

const (
	messageMoving = 1 << iota // compaction has queued a copy of the record
	messageAside              // it is being set aside
)

// delivery is what is kept in memory of each delivery. One that is done stays until its message is, for its record in the
// log says so and must be moved along by compaction.
type delivery struct {
	due     int64 // Unix milliseconds
	message uint32
	next    uint32 // of the same message
	domain  uint32
	tag     uint32
	heap    uint32 // place in the domain's line: see line; 0: not in it
	tagged  uint32 // place in the tag's list
	at      pos    // its last kindState record; zero: never settled
	size    uint16 // of that record, in units of recordAlign
	n       uint16
	flags   uint8
}

const (
	deliveryLeased = 1 << iota
	deliveryHeld
	deliveryClosed // done
	deliveryMoving // compaction has queued a copy of its state record
	deliverySettled
)

func (d *delivery) is(flag uint8) bool { return d.flags&flag != 0 }

func (d *delivery) set(flag uint8, on bool) {
	d.flags &^= flag
	if on {
		d.flags |= flag
	}
}

// lease is a delivery in the hands of a caller.
type lease struct {
	Delivery       // as handed out
	open     []int // its recipients
	order    Order // given by an admin meanwhile
	now      time.Time
}

// warm is what is kept of a message until each of its deliveries was tried once: a first attempt reads no disk.
type warm struct {
	env    *mail.Envelope
	groups []group
	left   int // deliveries not yet settled once
}

// maxWarm bounds the warm envelopes. A backlog beyond it is read from the log.
const maxWarm = 1 << 14

// book is the truth about the queue in memory: which messages there are, where they lie in the log, what is due when. It
// does no I/O and has no lock: Embedded.mu guards it.
type book struct {
	messages   slab[message]
	deliveries slab[delivery]
	byID       map[mail.ID]uint32
	lines      lines
	tags       tags
	leased     map[uint32]*lease
	// fresh are the states that are not on the disk yet; delivery.at still is that of the one before.
	fresh map[uint32]*state
	warm  map[uint32]*warm
	big   map[mail.ID]int64 // size of the file of those that have one
	segs  map[uint32]*segment

	open, held int // deliveries
	oldest     mail.ID
	newest     mail.ID // that was ever in the log
	bigBytes   int64
}

func newBook() *book {
	b := &book{
		byID: make(map[mail.ID]uint32), leased: make(map[uint32]*lease), fresh: make(map[uint32]*state),
		warm: make(map[uint32]*warm), big: make(map[mail.ID]int64), segs: make(map[uint32]*segment),
	}
	b.lines.init(&b.deliveries, &b.messages)
	b.tags.init(&b.deliveries)
	return b
}

// add enters a message whose record is durable; its deliveries follow by addDelivery.
func (b *book) add(id mail.ID, at pos, size uint32) uint32 {
	i := b.messages.get()
	b.byID[id] = i
	m := b.messages.at(i)
	m.id, m.at, m.size = id, at, size
	b.weigh(at, int64(size))
	b.newest = max(b.newest, id)
	if id < b.oldest {
		b.oldest = id // its upload took longer than others that began later
	}
	return i
}

// addDelivery enters the nth delivery of a message; the last one first. It is due from the moment of acceptance, but stands
// in no line yet.
func (b *book) addDelivery(i uint32, n int, domain string) uint32 {
	j := b.deliveries.get()
	d, m := b.deliveries.at(j), b.messages.at(i)
	d.message, d.n, d.due, d.domain = i, uint16(n), m.id.Time().UnixMilli(), b.lines.domain(domain)
	d.next, m.first = m.first, j
	m.open++
	b.open++
	return j
}

// weigh adds to what is alive in the segment of a place.
func (b *book) weigh(at pos, size int64) {
	if s := b.segs[at.seg]; s != nil {
		s.alive += size
	}
}

// find returns the index of a message and whether it is there.
func (b *book) find(id mail.ID) (uint32, *message) {
	i, ok := b.byID[id]
	if !ok {
		return 0, nil
	}
	return i, b.messages.at(i)
}

// nth returns the index of a message's nth delivery, 0 if it has none.
func (b *book) nth(m *message, n int) uint32 {
	for j := m.first; j != 0; j = b.deliveries.at(j).next {
		if int(b.deliveries.at(j).n) == n {
			return j
		}
	}
	return 0
}

// lookup returns the index of a delivery that is not done, 0 if it is not there.
func (b *book) lookup(k Key) uint32 {
	_, m := b.find(k.ID)
	if m == nil {
		return 0
	}
	j := b.nth(m, k.N)
	if j == 0 || b.deliveries.at(j).is(deliveryClosed) {
		return 0
	}
	return j
}

// plan sets when a delivery is tried, and puts it in its line unless it is held or leased.
func (b *book) plan(j uint32, s *DeliveryState, now int64) {
	d := b.deliveries.at(j)
	b.lines.remove(j)
	if d.is(deliveryHeld) != s.Held {
		d.set(deliveryHeld, s.Held)
		if s.Held {
			b.held++
		} else {
			b.held--
		}
	}
	d.due = s.Due.UnixMilli()
	b.tags.set(j, s.Tag)
	if !s.Held && !d.is(deliveryLeased) {
		b.lines.push(j, now)
	}
}

// close ends a delivery. It returns true when it was the message's last.
func (b *book) close(j uint32) bool {
	d := b.deliveries.at(j)
	b.lines.remove(j)
	b.tags.set(j, "")
	if d.is(deliveryHeld) {
		d.set(deliveryHeld, false)
		b.held--
	}
	d.set(deliveryLeased, false)
	d.set(deliveryClosed, true)
	delete(b.leased, j)
	b.open--
	m := b.messages.at(d.message)
	m.open--
	return m.open == 0
}

// settledOnce lets go of the envelope when each delivery of the message was tried.
func (b *book) settledOnce(j uint32) {
	d := b.deliveries.at(j)
	if d.is(deliverySettled) {
		return
	}
	d.set(deliverySettled, true)
	if w := b.warm[d.message]; w != nil {
		if w.left--; w.left <= 0 {
			delete(b.warm, d.message)
		}
	}
}

// stated notes where the last state record of a delivery lies, and that the one before is dead.
func (b *book) stated(d *delivery, at pos, size int64) {
	b.weigh(d.at, -int64(d.size)*recordAlign)
	d.at, d.size = at, uint16(size/recordAlign)
	b.weigh(at, size)
}

// moved notes that a message's record lies elsewhere, and that the one before is dead.
func (b *book) moved(m *message, at pos, size uint32) {
	b.weigh(m.at, -int64(m.size))
	m.at, m.size = at, size
	b.weigh(at, int64(size))
}

// drop forgets a message, whether its deliveries are done or not.
func (b *book) drop(i uint32) {
	m := b.messages.at(i)
	for j := m.first; j != 0; {
		d := b.deliveries.at(j)
		if !d.is(deliveryClosed) {
			b.close(j)
		}
		b.weigh(d.at, -int64(d.size)*recordAlign)
		delete(b.fresh, j)
		b.lines.leave(d.domain)
		next := d.next
		b.deliveries.put(j)
		j = next
	}
	b.weigh(m.at, -int64(m.size))
	b.bigBytes -= b.big[m.id]
	delete(b.big, m.id)
	delete(b.warm, i)
	delete(b.byID, m.id)
	b.messages.put(i)
}

// where is the span of segments that may hold a kindAdd record of a message.
func (m *message) where() span {
	if m.flags&messageMoving != 0 {
		return span{m.at.seg, 0}
	}
	return span{m.at.seg, m.at.seg}
}

// oldestID returns the first message that is in the queue, 0 when it is empty. It looks through all when the one it named
// last time has gone.
func (b *book) oldestID() mail.ID {
	if _, ok := b.byID[b.oldest]; ok {
		return b.oldest
	}
	b.oldest = 0
	for i := uint32(1); i < b.messages.used; i++ {
		if id := b.messages.at(i).id; id != 0 && (b.oldest == 0 || id < b.oldest) {
			b.oldest = id
		}
	}
	return b.oldest
}

// milli is the time of a number of Unix milliseconds.
func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
