package queue

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A segment is a file "log/NNNNNNNNNN-SSSSSSSSSSSSSSSS.seg": its number and its salt, both in the name, so that a damaged block at the
// start of the file does not cost all that is behind it. It begins with segmentStart octets that say what it is, and goes on
// with records. Records are appended to the last segment only; the others are sealed and only read, until compaction has
// nothing left in them to keep.
const (
	segmentStart   = 32
	segmentSize    = 64 << 20
	segmentFormat  = 1
	segmentSuffix  = ".seg"
	segmentPurpose = "ukai segment "
)

type segment struct {
	no   uint32
	salt uint64
	size int64 // what is synced of it

	// Guarded by Embedded.mu.
	alive  int64        // octets of records that count
	tombs  map[span]int // kindDone records by where their message may lie
	sealed time.Time    // when the next one was begun; zero: before the start
	known  bool         // tombs has them all; false for those that were not read since the start
	doomed bool         // emptied, about to be removed

	users atomic.Int32  // readers between pin and unpin
	used  atomic.Uint64 // by the clock of handles

	fmu sync.Mutex // guards f
	f   file
}

func (s *segment) name() string {
	return fmt.Sprintf("%s/%010d-%016x%s", logDir, s.no, s.salt, segmentSuffix)
}

// parseSegment reads the name of a segment's file.
func parseSegment(name string) (*segment, bool) {
	no, salt, ok := strings.Cut(strings.TrimSuffix(name, segmentSuffix), "-")
	if !ok || !strings.HasSuffix(name, segmentSuffix) {
		return nil, false
	}
	n, err := strconv.ParseUint(no, 10, 32)
	x, xerr := strconv.ParseUint(salt, 16, 64)
	if err != nil || xerr != nil || n == 0 {
		return nil, false
	}
	s := newSegment(uint32(n))
	s.salt, s.known = x, false
	return s, true
}

func newSegment(no uint32) *segment {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return &segment{no: no, salt: binary.LittleEndian.Uint64(b[:]), tombs: make(map[span]int), known: true}
}

func (s *segment) stamp(off int64) stamp { return newStamp(s.salt, s.no, off) }

// start returns the first octets of a segment.
func (s *segment) start() []byte {
	b := make([]byte, segmentStart)
	copy(b, segmentPurpose+strconv.Itoa(segmentFormat)+"\n")
	return b
}

// errLater is returned for a segment that a later version wrote: it is whole, and not to be touched.
var errLater = errors.New("written by a later version")

// checkStart looks at the first octets of a segment. Damaged ones are no error: the records speak for themselves.
func checkStart(b []byte) error {
	rest, ok := strings.CutPrefix(string(b), segmentPurpose)
	if !ok {
		return nil
	}
	version, _, ok := strings.Cut(rest, "\n")
	if n, err := strconv.Atoi(version); ok && err == nil && n > segmentFormat {
		return errLater
	}
	return nil
}
