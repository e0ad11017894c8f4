package queue

import (
	"encoding/binary"

	"ukai/internal/mail"
)

// row is what the index keeps of a message: with all of them the schedule is made at the start, without reading the log.
type row struct {
	id   mail.ID
	at   pos
	size uint32
	big  int64
	dels []rowDelivery // all, those that are done included
}

// rowDelivery is one delivery of a row.
type rowDelivery struct {
	domain string
	at     pos // of the last state record; zero: never settled, and the fields below say nothing
	size   uint16
	closed bool
	held   bool
	due    int64 // Unix milliseconds
	tag    string
}

const rowVersion = 1

const (
	rowStated = 1 << iota
	rowClosed
	rowHeld
	rowTagged
)

// encode returns a row as one value, with a checksum: SQLite has none of its own.
func (r *row) encode(b []byte) []byte {
	b = append(b, rowVersion)
	b = appendPos(b, r.at)
	b = binary.AppendUvarint(b, uint64(r.size))
	b = binary.AppendUvarint(b, uint64(r.big))
	b = binary.AppendUvarint(b, uint64(len(r.dels)))
	for i := range r.dels {
		b = r.dels[i].encode(b)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(uint32(r.id), b))
}

func (d *rowDelivery) encode(b []byte) []byte {
	var flags byte
	if d.at != (pos{}) {
		flags |= rowStated
	}
	if d.closed {
		flags |= rowClosed
	}
	if d.held {
		flags |= rowHeld
	}
	if d.tag != "" {
		flags |= rowTagged
	}
	b = append(b, flags)
	b = appendText(b, d.domain)
	if flags&rowStated == 0 {
		return b
	}
	b = appendPos(b, d.at)
	b = binary.AppendUvarint(b, uint64(d.size))
	if d.closed {
		return b
	}
	b = binary.AppendVarint(b, d.due)
	if d.tag != "" {
		b = appendText(b, d.tag)
	}
	return b
}

func appendPos(b []byte, p pos) []byte {
	b = binary.AppendUvarint(b, uint64(p.seg))
	return binary.AppendUvarint(b, uint64(p.off))
}

func (c *cursor) pos() pos { return pos{uint32(c.uvarint()), uint32(c.uvarint())} }

// decode reads what encode wrote. The texts are parts of one copy of b; the room of r.dels is used again.
func (r *row) decode(id mail.ID, b []byte) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b[len(b)-4:]) != checksum(uint32(id), b[:len(b)-4]) {
		return errMeta
	}
	cur := cursor{s: string(b[:len(b)-4])}
	if cur.octet() != rowVersion {
		return errMeta
	}
	*r = row{id: id, at: cur.pos(), size: uint32(cur.uvarint()), big: int64(cur.uvarint()), dels: r.dels[:0]}
	for range cur.count() {
		var d rowDelivery
		d.decode(&cur)
		r.dels = append(r.dels, d)
	}
	if cur.bad || cur.s != "" {
		return errMeta
	}
	return nil
}

func (d *rowDelivery) decode(cur *cursor) {
	flags := cur.octet()
	d.domain = cur.text()
	if flags&rowStated == 0 {
		return
	}
	d.at, d.size = cur.pos(), uint16(cur.uvarint())
	if d.closed = flags&rowClosed != 0; d.closed {
		return
	}
	d.held = flags&rowHeld != 0
	d.due = cur.varint()
	if flags&rowTagged != 0 {
		d.tag = cur.text()
	}
}

// newRow makes the row of a message that was never settled.
func newRow(at pos, size uint32, env *mail.Envelope, c content) *row {
	r := &row{id: env.ID, at: at, size: size, big: c.size}
	for _, g := range groups(env) {
		r.dels = append(r.dels, rowDelivery{domain: g.domain})
	}
	return r
}

// state enters a state record.
func (r *row) state(k Key, s *state, at pos, size uint32) {
	if k.N >= len(r.dels) {
		return
	}
	d := &r.dels[k.N]
	*d = rowDelivery{domain: d.domain, at: at, size: uint16(size / recordAlign), closed: s.closed}
	if !s.closed {
		d.held, d.due, d.tag = s.Held, s.Due.UnixMilli(), s.Tag
	}
}

// enter puts the message of a row into the book, in its lines and all.
func (b *book) enter(r *row, now int64) {
	i := b.add(r.id, r.at, r.size)
	if r.big > 0 {
		b.big[r.id] = r.big
		b.bigBytes += r.big
	}
	for n := len(r.dels) - 1; n >= 0; n-- {
		b.enterDelivery(i, n, &r.dels[n], now)
	}
}

func (b *book) enterDelivery(i uint32, n int, r *rowDelivery, now int64) {
	j := b.addDelivery(i, n, r.domain)
	if r.at == (pos{}) {
		b.lines.push(j, now)
		return
	}
	d := b.deliveries.at(j)
	d.set(deliverySettled, true)
	b.stated(d, r.at, int64(r.size)*recordAlign)
	b.restate(j, r, now)
}

// restate gives a delivery the schedule that a row says.
func (b *book) restate(j uint32, r *rowDelivery, now int64) {
	d := b.deliveries.at(j)
	if d.is(deliveryClosed) {
		return
	}
	if r.closed {
		b.close(j)
		return
	}
	b.plan(j, &DeliveryState{Due: milli(r.due), Held: r.held, Tag: r.tag}, now)
}
