package queue

import (
	"sync"

	"ukai/internal/mail"
)

// entry is a record on its way into the log, with what is to be done in memory once it is durable.
type entry struct {
	header        // kind 0: no record, only a place in the queue to wait for
	key    Key    // of the message or delivery
	at     pos    // where it was written
	from   pos    // a copy that compaction makes: where the record stood; else zero
	span   span   // kindDone
	fresh  *state // kindState: what it says, until it is durable
	warm   *warm  // kindAdd of a new message
	big    int64  // size of the message's file: kindAdd to keep, kindDone to remove

	buf  []byte   // headerSize octets for the header, then meta
	body [][]byte // the content, in pieces
	// urgent: somebody waits, and result receives once when the entry is durable or has failed. Otherwise the entry is lazy:
	// it rides with the next group.
	urgent bool
	result chan error
}

var entries = sync.Pool{New: func() any { return &entry{buf: make([]byte, headerSize, 1024)} }}

// newEntry returns an empty entry with room for the header.
func newEntry(k kind, key Key) *entry {
	e := entries.Get().(*entry)
	e.kind, e.key = k, key
	return e
}

// recycle gives an entry back. Nobody knows it any more.
func (e *entry) recycle() {
	buf, body, result := e.buf[:headerSize], e.body[:0], e.result
	if cap(buf) > 8192 || cap(body) > 64 {
		return
	}
	clear(body[:cap(body)])
	*e = entry{buf: buf, body: body, result: result}
	entries.Put(e)
}

// seal computes lengths and checksums; meta and body are complete.
func (e *entry) seal() *entry {
	meta := e.buf[headerSize:]
	e.metaLen, e.metaCRC = uint32(len(meta)), checksum(0, meta)
	e.bodyLen, e.bodyCRC = 0, 0
	for _, b := range e.body {
		e.bodyLen += uint32(len(b))
		e.bodyCRC = checksum(e.bodyCRC, b)
	}
	return e
}

// stateEntry makes the record of a delivery's state.
func stateEntry(k Key, s *state) *entry {
	e := newEntry(kindState, k)
	e.fresh = s
	e.buf = appendState(e.buf, k, s)
	return e.seal()
}

// doneEntry makes the record that ends a message.
func doneEntry(id mail.ID, in span, big int64) *entry {
	e := newEntry(kindDone, Key{ID: id})
	e.span, e.big = in, big
	e.buf = appendDone(e.buf, id, in)
	return e.seal()
}
