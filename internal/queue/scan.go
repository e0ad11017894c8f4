package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// found is what a scanner comes to.
type found struct {
	header
	at   pos
	size int64
	meta []byte // valid until the next one
	// damage: the record is not what it was. With a readable header, meta is what stands where meta should be; without one,
	// kind is 0 and the found is the gap up to the next record.
	damage bool
}

// scanner reads a segment from front to back. It skips bodies unless told to check them.
type scanner struct {
	handles *handles
	seg     *segment
	end     int64
	bodies  bool

	off int64
	buf []byte // of the octets from base on
	at  int64  // where buf begins in the file
}

const scanBuffer = 1 << 20

func newScanner(h *handles, s *segment, from, end int64, bodies bool) *scanner {
	return &scanner{handles: h, seg: s, off: max(from, segmentStart), end: end, bodies: bodies}
}

// bytes returns n octets from off on; fewer at the end of the segment.
func (sc *scanner) bytes(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), sc.end-off))
	if n <= 0 {
		return nil, nil
	}
	if off < sc.at || off+int64(n) > sc.at+int64(len(sc.buf)) {
		want := int(min(int64(max(n, scanBuffer)), sc.end-off))
		if cap(sc.buf) < want {
			sc.buf = make([]byte, want)
		}
		sc.buf, sc.at = sc.buf[:want], off
		got, err := sc.handles.read(sc.seg, sc.buf, off)
		sc.buf = sc.buf[:got]
		if err != nil && !errors.Is(err, io.EOF) {
			if !errors.Is(err, os.ErrClosed) {
				err = fmt.Errorf("read %s: %w", sc.seg.name(), err)
			}
			return nil, err
		}
		n = min(n, got)
	}
	return sc.buf[off-sc.at:][:n], nil
}

// next returns the next record or gap; nil at the end.
func (sc *scanner) next() (*found, error) {
	if sc.off >= sc.end {
		return nil, nil //nolint:nilnil // the end
	}
	f, err := sc.record(sc.off)
	if err != nil || f != nil {
		return f, err
	}
	return sc.gap()
}

// record reads the record at off; nil if its header is not readable.
func (sc *scanner) record(off int64) (*found, error) {
	b, err := sc.bytes(off, headerSize)
	if err != nil {
		return nil, err
	}
	hd, ok := decodeHeader(b, sc.seg.stamp(off))
	if !ok {
		return nil, nil //nolint:nilnil // none
	}
	f := &found{header: hd, at: pos{sc.seg.no, uint32(off)}, size: hd.size()}
	want := headerSize + int(hd.metaLen)
	if sc.bodies {
		want += int(hd.bodyLen)
	}
	if b, err = sc.bytes(off, want); err != nil {
		return nil, err
	}
	f.meta = b[min(headerSize, len(b)):min(headerSize+int(hd.metaLen), len(b))]
	switch {
	case off+f.size > sc.end || len(b) < want || checksum(0, f.meta) != hd.metaCRC:
		f.damage = true
	case sc.bodies:
		f.damage = !hd.whole(b)
	}
	f.size = min(f.size, sc.end-off)
	sc.off = off + f.size
	return f, nil
}

// gap looks for the next readable header and returns what lies before it.
func (sc *scanner) gap() (*found, error) {
	from := sc.off
	sc.off = sc.end
	for off := from + recordAlign; off+headerSize <= sc.end; {
		b, err := sc.bytes(off, scanBuffer)
		if err != nil {
			return nil, err
		}
		i := sc.headerIn(b, off)
		if i >= 0 {
			sc.off = off + int64(i)
			break
		}
		if len(b) < scanBuffer {
			break
		}
		off += int64(len(b)) - headerSize // the last octets may be the beginning of one
	}
	return &found{at: pos{sc.seg.no, uint32(from)}, size: sc.off - from, damage: true}, nil
}

// headerIn returns where in b, which stands at off, the first readable header begins; -1 if there is none.
func (sc *scanner) headerIn(b []byte, off int64) int {
	for i := 0; i+headerSize <= len(b); i += recordAlign {
		if binary.LittleEndian.Uint32(b[i:]) != magic {
			continue
		}
		if _, ok := decodeHeader(b[i:], sc.seg.stamp(off+int64(i))); ok {
			return i
		}
	}
	return -1
}
