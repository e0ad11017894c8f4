package mail

import (
	"errors"
	"sync/atomic"
	"time"
)

// ID names a message in this installation. It sorts by time of acceptance: 44 bits of Unix milliseconds, then 20 bits
// that count up within the millisecond. Its text is 13 characters of Crockford's base 32.
type ID uint64

const idAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ErrID is returned for a text that is not a message ID.
var ErrID = errors.New("not a message ID: 13 characters of 0-9 and A-Z without I, L, O, U are expected")

// String returns the 13 characters of id.
func (id ID) String() string {
	var b [13]byte
	for i := 12; i >= 0; i-- {
		b[i] = idAlphabet[id&31]
		id >>= 5
	}
	return string(b[:])
}

// MarshalText makes an ID its text in JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// ParseID reads the text of an ID in either case; the letters I, L and O are read as the digits they look like.
func ParseID(s string) (ID, error) {
	if len(s) != 13 || idDigit(s[0]) > 15 { // 13 digits of 5 bits are 65: the first has only four
		return 0, ErrID
	}
	var id ID
	for i := 0; i < len(s); i++ {
		v := idDigit(s[i])
		if v < 0 {
			return 0, ErrID
		}
		id = id<<5 | ID(v)
	}
	return id, nil
}

func idDigit(c byte) int {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch c {
	case 'O':
		c = '0'
	case 'I', 'L':
		c = '1'
	}
	for i := 0; i < len(idAlphabet); i++ {
		if idAlphabet[i] == c {
			return i
		}
	}
	return -1
}

// Time returns when the ID was made, to the millisecond.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id >> 20)) }

// IDs makes message IDs. The zero value is ready; it is safe for concurrent use.
type IDs struct{ last atomic.Uint64 }

// Next returns an ID above every ID it returned before, even when the clock stands still or goes back.
func (g *IDs) Next(now time.Time) ID {
	for {
		last := g.last.Load()
		next := uint64(now.UnixMilli()) << 20
		if next <= last {
			next = last + 1
		}
		if g.last.CompareAndSwap(last, next) {
			return ID(next)
		}
	}
}

// Skip makes every later ID larger than id: a store that reopens calls it with the largest ID it holds.
func (g *IDs) Skip(id ID) {
	for {
		last := g.last.Load()
		if uint64(id) <= last || g.last.CompareAndSwap(last, uint64(id)) {
			return
		}
	}
}
