package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// bodyHash hashes a body in the "relaxed" form (RFC 6376, section 3.4.4) while it passes by: blanks at the end of a line and
// empty lines at the end of the body do not count, other blanks count as one space. Only CRLF ends a line.
type bodyHash struct {
	sum   hash.Hash
	out   []byte // what is not hashed yet
	lines int    // line ends that count only if text follows
	blank bool   // so does a blank
	cr    bool   // a CR that may be half of a line end
	text  bool   // there was text
}

// hashRoom is how much is collected for the hash at a time.
const hashRoom = 4 << 10

func newBodyHash() *bodyHash {
	return &bodyHash{sum: sha256.New(), out: make([]byte, 0, hashRoom)}
}

func (b *bodyHash) write(p []byte) {
	for i := 0; i < len(p); {
		c := p[i]
		if b.cr {
			b.cr = false
			if c == '\n' {
				b.lines, b.blank = b.lines+1, false
				i++
				continue
			}
			b.add([]byte{'\r'})
		}
		switch c {
		case '\r':
			b.cr = true
			i++
		case ' ', '\t':
			b.blank = true
			i++
		default:
			j := i + 1
			for j < len(p) && (p[j] > ' ' || p[j] != ' ' && p[j] != '\t' && p[j] != '\r') {
				j++
			}
			b.add(p[i:j])
			i = j
		}
	}
}

// add takes text, after what was held back.
func (b *bodyHash) add(p []byte) {
	for ; b.lines > 0; b.lines-- {
		b.put('\r')
		b.put('\n')
	}
	if b.blank {
		b.put(' ')
	}
	b.blank, b.text = false, true
	if len(b.out)+len(p) > hashRoom {
		b.flush()
	}
	if len(p) > hashRoom {
		b.sum.Write(p)
		return
	}
	b.out = append(b.out, p...)
}

func (b *bodyHash) put(c byte) {
	if len(b.out) == hashRoom {
		b.flush()
	}
	b.out = append(b.out, c)
}

func (b *bodyHash) flush() {
	b.sum.Write(b.out)
	b.out = b.out[:0]
}

// digest ends the body: one that holds text ends with exactly one line end, one that holds none is empty.
func (b *bodyHash) digest() []byte {
	if b.cr {
		b.add([]byte{'\r'})
	}
	if b.text {
		b.put('\r')
		b.put('\n')
	}
	b.flush()
	return b.sum.Sum(nil)
}

// relaxedField appends a header field in the "relaxed" form (RFC 6376, section 3.4.2): the name in lower case, the value
// unfolded, its blanks reduced to single spaces. The line end is left to the caller.
func relaxedField(to, field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	for _, c := range bytes.TrimRight(name, " \t") {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	to = append(to, ':')
	gap, start := false, len(to)
	for _, c := range value {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			gap = true
			continue
		}
		if gap && len(to) > start {
			to = append(to, ' ')
		}
		gap = false
		to = append(to, c)
	}
	return to
}
