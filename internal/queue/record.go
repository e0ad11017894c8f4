package queue

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment is a row of records. A record is a header of 32 octets, meta, body, and zeros up to a multiple of 8:
//
//	 0  magic     "uKR1"
//	 4  crc       of octets 8 to 31, seeded with the segment's salt, its number and the record's offset
//	 8  kind, flags, 0, 0
//	12  length of meta
//	16  crc of meta
//	20  length of body
//	24  crc of body
//	28  stamp     of the segment's salt, its number and the record's offset
//
// Numbers are little-endian, checksums CRC-32C. Three checksums, because they fail differently: without the header nobody
// knows where the next record begins; without meta nobody knows whose body it is; without the body there is still an
// envelope to tell an admin about. Seed and stamp make sure that bytes which merely look like a record are not taken for
// one: not what stood in the file when it was another segment, and not what a sender put into a message, for he does not
// know the salt.

const (
	headerSize  = 32
	recordAlign = 8
	magic       = uint32('u') | uint32('K')<<8 | uint32('R')<<16 | uint32('1')<<24

	maxMeta = 64 << 20 // an envelope of 65,000 recipients is about 20 MB
	maxBody = 64 << 20
)

// kind says what a record tells.
type kind uint8

const (
	kindAdd   kind = 1 + iota // a message, or the copy of one that compaction moved: envelope in meta, content in body
	kindState                 // what is left of a delivery and when it is due; the last one counts
	kindDone                  // a message is done: no other record of it counts, wherever it stands
	kindMark                  // nothing; its flag tells that all before it was synced
	kindLast  = kindMark
)

// flagGroup stands on the first record of a group. A group is written when the one before is synced: what lies before a
// record with this flag was on the disk for good, and if it is unreadable, then the disk is at fault and not a power cut.
const flagGroup = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// header is the decoded header of a record.
type header struct {
	kind    kind
	flags   uint8
	metaLen uint32
	metaCRC uint32
	bodyLen uint32
	bodyCRC uint32
}

// size is the length of the whole record.
func (h *header) size() int64 {
	n := headerSize + int64(h.metaLen) + int64(h.bodyLen)
	return (n + recordAlign - 1) &^ (recordAlign - 1)
}

// stamp is what makes a place in the log unique. Its lower half seeds the header's checksum, the upper half stands in it.
type stamp uint64

func newStamp(salt uint64, segment uint32, off int64) stamp {
	x := salt ^ uint64(segment)<<32 ^ uint64(off)
	// The finalizer of splitmix64: every bit of the result depends on every bit of x, and no two x give the same.
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return stamp(x ^ x>>31)
}

// encode writes the header into b, which has headerSize octets.
func (h *header) encode(b []byte, at stamp) {
	le := binary.LittleEndian
	le.PutUint32(b, magic)
	b[8], b[9], b[10], b[11] = byte(h.kind), h.flags, 0, 0
	le.PutUint32(b[12:], h.metaLen)
	le.PutUint32(b[16:], h.metaCRC)
	le.PutUint32(b[20:], h.bodyLen)
	le.PutUint32(b[24:], h.bodyCRC)
	le.PutUint32(b[28:], uint32(at>>32))
	le.PutUint32(b[4:], checksum(uint32(at), b[8:headerSize]))
}

// decodeHeader reads a header; ok is false for anything that encode did not write for this place.
func decodeHeader(b []byte, at stamp) (h header, ok bool) {
	le := binary.LittleEndian
	if len(b) < headerSize || le.Uint32(b) != magic || uint64(le.Uint32(b[28:])) != uint64(at)>>32 ||
		le.Uint32(b[4:]) != checksum(uint32(at), b[8:headerSize]) {
		return header{}, false
	}
	h = header{
		kind: kind(b[8]), flags: b[9],
		metaLen: le.Uint32(b[12:]), metaCRC: le.Uint32(b[16:]),
		bodyLen: le.Uint32(b[20:]), bodyCRC: le.Uint32(b[24:]),
	}
	return h, h.kind >= kindAdd && h.kind <= kindLast && h.metaLen <= maxMeta && h.bodyLen <= maxBody
}

// pos is a place in the log. Segments are numbered from 1: the zero pos is nowhere.
type pos struct{ seg, off uint32 }

// before tells whether p lies before q.
func (p pos) before(q pos) bool { return p.seg < q.seg || p.seg == q.seg && p.off < q.off }
