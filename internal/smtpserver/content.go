package smtpserver

import (
	"bytes"
	"encoding/binary"
)

// breach is the rule that a content broke.
type breach uint8

const (
	noBreach    breach = iota
	bareLineEnd        // a CR or LF that stands alone
	lineTooLong
	nulOctet
	tooBig
)

// heldTail is how much of an unfinished line is left in the input until its end has come.
const heldTail = 4096

var crlf = []byte("\r\n")

// scanner takes the content of one message as it comes from the wire, checks its lines, and hands it on in pieces as large as
// possible without copying them. It sees one message and is then reset.
type scanner struct {
	sink    Content // nil as soon as the content is broken: it has been aborted
	broken  breach
	failed  bool // sink did not take a write; the reason comes from its Commit
	maxSize int64
	maxLine int

	size     int64 // octets handed on
	taken    int64 // octets seen, those of a broken content too
	eightBit bool

	inLine bool // part of the present line has been handed on already:
	column int  // so many octets of it
	heldCR bool // and a CR behind them that has not been handed on, nor counted
	// properStart tells that the present line begins behind a CRLF, not behind a bare LF: only there a dot means something.
	properStart bool
	last        [2]byte // what was handed on last
}

func (c *scanner) start(sink Content, maxSize int64, maxLine int) {
	*c = scanner{sink: sink, maxSize: maxSize, maxLine: maxLine, properStart: true}
}

// abort throws away what was taken.
func (c *scanner) abort() {
	if c.sink != nil {
		c.sink.Abort()
		c.sink = nil
	}
}

// refuse remembers the first rule that was broken. The rest of the content is still read to its end.
func (c *scanner) refuse(b breach) {
	if c.broken == noBreach {
		c.broken = b
		c.abort()
	}
}

// data takes what it can of b, content of DATA with its dots (RFC 5321, section 4.5.2). It returns how much that was; the rest
// is to be shown again with more behind it. With end, the octets taken include the final CRLF "." CRLF.
func (c *scanner) data(b []byte) (n int, end bool) {
	span, pos := 0, 0 // b[span:pos] is checked and not handed on
	if c.heldCR && len(b) > 0 {
		pos = c.settleCR(b[0])
		span = pos
	}
	for {
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			break
		}
		lf := pos + i
		proper := lf > pos && b[lf-1] == '\r'
		if !c.inLine && b[pos] == '.' {
			c.emit(b[span:pos])
			if proper && lf-pos == 2 && c.properStart {
				c.taken += int64(lf + 1)
				return lf + 1, true
			}
			pos++
			span = pos
		}
		c.checkLine(b[pos:lf], proper)
		pos = lf + 1
	}
	if tail := b[pos:]; len(tail) > heldTail {
		if !c.inLine && tail[0] == '.' {
			c.emit(b[span:pos])
			pos++
			span = pos
		}
		pos += c.checkPart(b[pos:])
		c.emit(b[span:pos])
		pos = len(b)
	} else {
		c.emit(b[span:pos])
	}
	c.taken += int64(pos)
	return pos, false
}

// chunk takes all of b, a piece of a BDAT chunk (RFC 3030), in which dots mean nothing.
func (c *scanner) chunk(b []byte) {
	c.taken += int64(len(b))
	pos := 0
	if c.heldCR && len(b) > 0 {
		pos = c.settleCR(b[0])
	}
	span := pos
	for {
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			break
		}
		lf := pos + i
		c.checkLine(b[pos:lf], lf > pos && b[lf-1] == '\r')
		pos = lf + 1
	}
	if pos < len(b) {
		pos += c.checkPart(b[pos:])
	}
	c.emit(b[span:pos])
}

// finishChunks ends a content that came by BDAT: it need not end with a line end, but what we pass on does.
func (c *scanner) finishChunks() {
	if c.heldCR {
		c.refuse(bareLineEnd)
	}
	if c.size > 0 && c.last != [2]byte{'\r', '\n'} {
		c.emit(crlf)
	}
}

// settleCR decides about a held CR when the octet behind it is known; it returns how many octets of the new input belong to it.
func (c *scanner) settleCR(next byte) int {
	c.heldCR = false
	if next != '\n' {
		c.refuse(bareLineEnd)
		return 0
	}
	c.emit(crlf)
	c.inLine, c.column, c.properStart = false, 0, true
	return 1
}

// checkLine checks the rest of a line; b has its CR, when it is proper, but not its LF.
func (c *scanner) checkLine(b []byte, proper bool) {
	if !proper {
		c.refuse(bareLineEnd)
	} else {
		b = b[:len(b)-1]
	}
	if bytes.IndexByte(b, '\r') >= 0 {
		c.refuse(bareLineEnd)
	}
	if c.column+len(b) > c.maxLine {
		c.refuse(lineTooLong)
	}
	c.inLine, c.column, c.properStart = false, 0, proper
}

// checkPart checks the beginning of a line whose end is not there, and returns how much of it can be handed on: all but a CR at
// its end, which is held.
func (c *scanner) checkPart(b []byte) int {
	n := len(b)
	if b[n-1] == '\r' {
		c.heldCR = true
		n--
	}
	if bytes.IndexByte(b[:n], '\r') >= 0 {
		c.refuse(bareLineEnd)
	}
	c.inLine = true
	c.column += n
	if c.column > c.maxLine {
		c.refuse(lineTooLong)
	}
	return n
}

// emit hands on what has been checked.
func (c *scanner) emit(b []byte) {
	if len(b) == 0 || c.sink == nil {
		return
	}
	c.size += int64(len(b))
	if c.size > c.maxSize {
		c.refuse(tooBig)
		return
	}
	if bytes.IndexByte(b, 0) >= 0 {
		c.refuse(nulOctet)
		return
	}
	c.eightBit = c.eightBit || hasHighBit(b)
	if n := len(b); n > 1 {
		c.last = [2]byte(b[n-2:])
	} else {
		c.last = [2]byte{c.last[1], b[0]}
	}
	if c.failed {
		return
	}
	if _, err := c.sink.Write(b); err != nil {
		c.failed = true // the sink keeps the reason for Commit
	}
}

// hasHighBit tells whether b has an octet above 127.
func hasHighBit(b []byte) bool {
	const high = 0x8080808080808080
	for len(b) >= 32 {
		le := binary.LittleEndian
		if (le.Uint64(b)|le.Uint64(b[8:])|le.Uint64(b[16:])|le.Uint64(b[24:]))&high != 0 {
			return true
		}
		b = b[32:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
