package queue

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"sync"

	"ukai/internal/mail"
)

// errDamaged is the cause where the log does not hold what it held: the message is set aside.
var errDamaged = errors.New("damaged record")

// errReader is returned by a content that was closed.
var errReader = errors.New("the content is closed")

// buffers are pooled by size: 4 KB, 16 KB, 64 KB, 256 KB, 1 MB.
const (
	smallestBuffer = 12 // as a power of two
	bufferClasses  = 5
)

var buffers [bufferClasses]sync.Pool

// bufferClass is the pool of buffers with at least n octets; bufferClasses if there is none.
func bufferClass(n int) int {
	return min(max((bits.Len(uint(max(n, 1)-1))-smallestBuffer+1)/2, 0), bufferClasses)
}

func getBuffer(n int) *[]byte {
	c := bufferClass(n)
	if c < bufferClasses {
		if b, ok := buffers[c].Get().(*[]byte); ok {
			*b = (*b)[:n]
			return b
		}
		b := make([]byte, n, 1<<(smallestBuffer+2*c))
		return &b
	}
	b := make([]byte, n)
	return &b
}

func putBuffer(b *[]byte) {
	if c := bufferClass(cap(*b)); c < bufferClasses && cap(*b) == 1<<(smallestBuffer+2*c) {
		buffers[c].Put(b)
	}
}

// readAt fills b from a segment. That the file is too short means damage; other errors are the disk's.
func (h *handles) readAt(s *segment, b []byte, off int64) error {
	_, err := h.read(s, b, off)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrNotExist):
		return errDamaged
	case errors.Is(err, os.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("read %s: %w", s.name(), err)
}

// firstRead is how much is read in the hope that it holds header and meta.
const firstRead = 1 << 10

// meta reads the header and the meta of a record of at most size octets. The caller puts the buffer back.
func (h *handles) meta(s *segment, at pos, size int64, want kind) (meta []byte, buf *[]byte, err error) {
	buf = getBuffer(int(min(size, firstRead)))
	defer func() {
		if err != nil {
			putBuffer(buf)
			buf = nil
		}
	}()
	if err := h.readAt(s, *buf, int64(at.off)); err != nil {
		return nil, buf, err
	}
	hd, ok := decodeHeader(*buf, s.stamp(int64(at.off)))
	if !ok || hd.kind != want || hd.size() > size {
		return nil, buf, errDamaged
	}
	end := headerSize + int(hd.metaLen)
	if end > len(*buf) {
		putBuffer(buf)
		buf = getBuffer(end)
		if err := h.readAt(s, *buf, int64(at.off)); err != nil {
			return nil, buf, err
		}
	}
	meta = (*buf)[headerSize:end]
	if checksum(0, meta) != hd.metaCRC {
		return nil, buf, errDamaged
	}
	return meta, buf, nil
}

// envelope reads the envelope of a message.
func (h *handles) envelope(s *segment, at pos, size int64) (*mail.Envelope, content, error) {
	meta, buf, err := h.meta(s, at, size, kindAdd)
	if err != nil {
		return nil, content{}, err
	}
	defer putBuffer(buf)
	env, c, err := decodeAdd(meta)
	if err != nil {
		return nil, c, errDamaged
	}
	return env, c, nil
}

// state reads a state record.
func (h *handles) state(s *segment, at pos, size int64) (Key, *state, error) {
	meta, buf, err := h.meta(s, at, size, kindState)
	if err != nil {
		return Key{}, nil, err
	}
	defer putBuffer(buf)
	k, st, err := decodeState(meta)
	if err != nil {
		return k, nil, errDamaged
	}
	return k, st, nil
}

// record reads a whole record and checks it. The caller puts the buffer back.
func (h *handles) record(s *segment, at pos, size int64, want kind) (hd header, buf *[]byte, err error) {
	buf = getBuffer(int(size))
	if err := h.readAt(s, *buf, int64(at.off)); err != nil {
		putBuffer(buf)
		return hd, nil, err
	}
	hd, ok := decodeHeader(*buf, s.stamp(int64(at.off)))
	if !ok || hd.kind != want || hd.size() != size || !hd.whole(*buf) {
		putBuffer(buf)
		return hd, nil, errDamaged
	}
	return hd, buf, nil
}

// whole tells whether meta and body of a record are what its header says.
func (h *header) whole(record []byte) bool {
	meta, body := h.split(record)
	return checksum(0, meta) == h.metaCRC && checksum(0, body) == h.bodyCRC
}

// split returns meta and body of a record.
func (h *header) split(record []byte) (meta, body []byte) {
	m := headerSize + int(h.metaLen)
	return record[headerSize:m], record[m : m+int(h.bodyLen)]
}

// Open implements Store.
func (e *Embedded) Open(id mail.ID) (io.ReadCloser, error) {
	if err := e.health.check(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	_, m := e.book.find(id)
	if m == nil {
		e.mu.Unlock()
		return nil, e.missing(id)
	}
	at, size, s := m.at, int64(m.size), e.book.segs[m.at.seg]
	s.pin()
	e.mu.Unlock()
	defer s.unpin()
	hd, buf, err := e.handles.record(s, at, size, kindAdd)
	if err != nil {
		return nil, e.unreadable(id, err)
	}
	meta, body := hd.split(*buf)
	if len(meta) < 9 || addID(meta) != id {
		putBuffer(buf)
		return nil, e.unreadable(id, errDamaged)
	}
	r := &bodyReader{buf: buf, rest: body}
	if meta[8] == 0 {
		return r, nil
	}
	return e.openBig(id, meta, r)
}

func (e *Embedded) openBig(id mail.ID, meta []byte, head *bodyReader) (io.ReadCloser, error) {
	_, c, err := decodeAdd(meta)
	if err != nil {
		_ = head.Close()
		return nil, e.unreadable(id, errDamaged)
	}
	f, err := e.disk.Open(bigName(id), false)
	if errors.Is(err, os.ErrNotExist) {
		err = errDamaged
	}
	if err != nil {
		_ = head.Close()
		return nil, e.unreadable(id, err)
	}
	if size, err := f.Size(); err != nil || size != c.size {
		_ = head.Close()
		_ = f.Close()
		if err == nil {
			err = errDamaged
		}
		return nil, e.unreadable(id, err)
	}
	return newBigReader(head, f, c, func() error { return e.unreadable(id, errDamaged) }), nil
}

// missing is the error for a message that is not in the queue.
func (e *Embedded) missing(id mail.ID) error {
	if e.aside.has(id) {
		return ErrSetAside
	}
	return ErrNotFound
}

// bodyReader is a content in memory.
type bodyReader struct {
	buf  *[]byte
	rest []byte
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	if r.buf == nil {
		return 0, errReader
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: the content in one piece, without a copy.
func (r *bodyReader) WriteTo(w io.Writer) (int64, error) {
	if r.buf == nil {
		return 0, errReader
	}
	if len(r.rest) == 0 {
		return 0, nil
	}
	n, err := w.Write(r.rest)
	r.rest = r.rest[n:]
	return int64(n), err
}

// Close implements io.Closer.
func (r *bodyReader) Close() error {
	if r.buf != nil {
		putBuffer(r.buf)
		r.buf, r.rest = nil, nil
	}
	return nil
}
