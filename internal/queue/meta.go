package queue

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"

	"ukai/internal/mail"
)

// errMeta is returned for bytes that are not what the encoders of this file write.
var errMeta = errors.New("not readable as a record")

// cursor reads the values of a record one after the other. After the first thing that is not there it stays bad.
type cursor struct {
	s   string
	bad bool
}

func (c *cursor) uvarint() uint64 {
	var x uint64
	for i := range min(len(c.s), binary.MaxVarintLen64) {
		b := c.s[i]
		if b < 0x80 {
			if i == binary.MaxVarintLen64-1 && b > 1 {
				break // more than 64 bits
			}
			c.s = c.s[i+1:]
			return x | uint64(b)<<(7*i)
		}
		x |= uint64(b&0x7f) << (7 * i)
	}
	c.bad = true
	return 0
}

// count reads a number of things of which each needs at least one octet: a larger one is a lie that would cost memory.
func (c *cursor) count() int {
	n := c.uvarint()
	if n > uint64(len(c.s)) {
		c.bad = true
		return 0
	}
	return int(n)
}

func (c *cursor) varint() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) take(n int) string {
	if c.bad || n > len(c.s) {
		c.bad = true
		return ""
	}
	v := c.s[:n]
	c.s = c.s[n:]
	return v
}

func (c *cursor) text() string { return c.take(c.count()) }

func (c *cursor) octet() byte {
	if v := c.take(1); v != "" {
		return v[0]
	}
	return 0
}

func (c *cursor) u32() uint32 {
	v := c.take(4)
	if c.bad {
		return 0
	}
	return uint32(v[0]) | uint32(v[1])<<8 | uint32(v[2])<<16 | uint32(v[3])<<24
}

func (c *cursor) id() mail.ID {
	lo := c.u32()
	return mail.ID(c.u32())<<32 | mail.ID(lo)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendID(b []byte, id mail.ID) []byte { return binary.LittleEndian.AppendUint64(b, uint64(id)) }

// content says where a message's content lies: in the record's body, and for a large one the rest of it in a file.
type content struct {
	big  bool
	size int64 // of the file
	crc  uint32
}

// appendAdd appends the meta of a kindAdd record.
func appendAdd(b []byte, env *mail.Envelope, c content) []byte {
	b = appendID(b, env.ID)
	if !c.big {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		b = binary.AppendUvarint(b, uint64(c.size))
		b = binary.LittleEndian.AppendUint32(b, c.crc)
	}
	return appendEnvelope(b, env)
}

func decodeAdd(meta []byte) (*mail.Envelope, content, error) {
	cur := cursor{s: string(meta)} // one copy: the envelope's texts are parts of it
	id := cur.id()
	var c content
	if c.big = cur.octet() != 0; c.big {
		c.size, c.crc = int64(cur.uvarint()), cur.u32()
	}
	env, err := decodeEnvelope(&cur)
	if err != nil || c.size < 0 {
		return nil, c, errMeta
	}
	env.ID = id
	return env, c, nil
}

// addID reads the message of a kindAdd record's meta without the rest.
func addID(meta []byte) mail.ID {
	if len(meta) < 8 {
		return 0
	}
	return mail.ID(binary.LittleEndian.Uint64(meta))
}

// maxLast is how much of DeliveryState.Last is kept.
const maxLast = 500

// state is what is left of a delivery: DeliveryState and the open recipients.
type state struct {
	DeliveryState
	closed bool  // nothing is left
	all    bool  // every recipient of the delivery is open, and open is nil
	open   []int // ascending
}

const (
	stateHeld = 1 << iota
	stateWarned
	stateClosed
	stateAll
)

// appendState appends the meta of a kindState record.
func appendState(b []byte, k Key, s *state) []byte {
	var flags byte
	for _, f := range [...]struct {
		on  bool
		bit byte
	}{{s.Held, stateHeld}, {s.Warned, stateWarned}, {s.closed, stateClosed}, {s.all, stateAll}} {
		if f.on {
			flags |= f.bit
		}
	}
	b = appendID(b, k.ID)
	b = binary.AppendUvarint(b, uint64(k.N))
	b = append(b, flags)
	if s.closed {
		return b
	}
	b = binary.AppendVarint(b, s.Due.UnixMilli())
	b = binary.AppendUvarint(b, uint64(max(s.Attempts, 0)))
	b = appendText(b, s.Tag)
	b = appendText(b, s.Last)
	if s.all {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(s.open)))
	last := 0
	for _, r := range s.open {
		b = binary.AppendUvarint(b, uint64(r-last))
		last = r
	}
	return b
}

func decodeState(meta []byte) (k Key, s *state, err error) {
	cur := cursor{s: string(meta)}
	k = Key{ID: cur.id(), N: int(cur.uvarint() & 0xffff)}
	flags := cur.octet()
	s = &state{closed: flags&stateClosed != 0, all: flags&stateAll != 0}
	if !s.closed {
		s.Held, s.Warned = flags&stateHeld != 0, flags&stateWarned != 0
		s.Due = time.UnixMilli(cur.varint()).UTC()
		s.Attempts = int(cur.uvarint())
		s.Tag, s.Last = cur.text(), cur.text()
		if !s.all {
			s.open = make([]int, cur.count())
			last := 0
			for i := range s.open {
				last += int(cur.uvarint())
				s.open[i] = last
			}
		}
	}
	if cur.bad {
		return Key{}, nil, errMeta
	}
	return k, s, nil
}

// shorten cuts a text to at most n octets without cutting a character in two.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// span is a range of segments, both ends included: those that may hold a kindAdd record of a message that is done. hi 0 is
// the segment that the kindDone record itself stands in; it occurs when compaction was just moving the message.
type span struct{ lo, hi uint32 }

// appendDone appends the meta of a kindDone record.
func appendDone(b []byte, id mail.ID, in span) []byte {
	b = appendID(b, id)
	b = binary.AppendUvarint(b, uint64(in.lo))
	return binary.AppendUvarint(b, uint64(in.hi))
}

func decodeDone(meta []byte) (mail.ID, span, error) {
	cur := cursor{s: string(meta)}
	id := cur.id()
	in := span{uint32(cur.uvarint()), uint32(cur.uvarint())}
	if cur.bad {
		return 0, span{}, errMeta
	}
	return id, in, nil
}
