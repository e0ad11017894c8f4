package smtpclient

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
)

const (
	inSize  = 32 << 10
	outSize = 64 << 10 // holds inSize with a dot before each second octet, and what goes around it
)

// block is the memory of one transaction: commands, then content.
type block struct {
	in      []byte
	out     []byte
	awaited []awaited
}

var blocks = sync.Pool{New: func() any {
	return &block{in: make([]byte, inSize), out: make([]byte, 0, outSize), awaited: make([]awaited, 0, maxBatch)}
}}

func getBlock() *block {
	b, ok := blocks.Get().(*block)
	if !ok {
		panic("bug: not a block")
	}
	return b
}

func putBlock(b *block) {
	if cap(b.out) > 2*outSize { // a batch of very long addresses: not to be kept
		b.out = make([]byte, 0, outSize)
	}
	blocks.Put(b)
}

func (b *block) reset() { b.out, b.awaited = b.out[:0], b.awaited[:0] }

var errSize = errors.New("the content is not as long as its envelope says")

// content is a message's content on its way into blocks as they are sent: with dots doubled and a last dot for DATA, or as it
// is with a length in front for BDAT.
type content struct {
	src  io.Reader
	bdat bool
	size int64 // of BDAT
	sent int64
	tail [2]byte // the last octets: whether a line begins, and whether the last one ended
}

// next puts the next part into b.out and tells whether it is the last. After an error nothing more may be sent: the server
// must not get to the end.
func (s *content) next(b *block) (last bool, err error) {
	b.out = b.out[:0]
	if s.bdat {
		return s.chunk(b)
	}
	n, last, err := fill(s.src, b.in)
	if err != nil {
		return false, err
	}
	if s.sent == 0 {
		s.tail = [2]byte{'\r', '\n'}
	}
	s.sent += int64(n)
	b.out = stuff(b.out, b.in[:n], s.tail[1] == '\n')
	switch {
	case n > 1:
		s.tail = [2]byte{b.in[n-2], b.in[n-1]}
	case n == 1:
		s.tail = [2]byte{s.tail[1], b.in[0]}
	}
	if last {
		if s.tail != [2]byte{'\r', '\n'} { // RFC 5321, section 4.1.1.4: the dot stands on a line of its own
			b.out = append(b.out, '\r', '\n')
		}
		b.out = append(b.out, '.', '\r', '\n')
	}
	return last, nil
}

// chunk is next for BDAT (RFC 3030, section 2): one chunk for all of the content. The server takes the message when the last of
// the promised octets has come. That one is therefore held back until the content has been seen to end there.
func (s *content) chunk(b *block) (last bool, err error) {
	if s.sent == 0 {
		b.out = append(b.out, "BDAT "...)
		b.out = strconv.AppendInt(b.out, s.size, 10)
		b.out = append(b.out, " LAST\r\n"...)
	}
	head := len(b.out)
	room := int64(cap(b.out) - head)
	if left := s.size - s.sent; left < room {
		room = left + 1 // room for one too many, which would show
	} else {
		room--
	}
	n, last, err := fill(s.src, b.out[head:head+int(room)])
	b.out = b.out[:head+n]
	s.sent += int64(n)
	if err == nil && (s.sent > s.size || last != (s.sent == s.size)) {
		err = errSize
	}
	return last, err
}

// fill reads until buf is full or the content ends.
func fill(src io.Reader, buf []byte) (n int, end bool, err error) {
	n, err = io.ReadFull(src, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, true, nil
	}
	return n, false, err
}

// stuff appends src to dst with the dot at the start of a line doubled (RFC 5321, section 4.5.2). A line begins behind any LF
// here: content has none without CR, and if it had, a server that takes LF for a line end must not find a last dot in it.
func stuff(dst, src []byte, lineStart bool) []byte {
	if lineStart && len(src) > 0 && src[0] == '.' {
		dst = append(dst, '.')
	}
	for {
		i := bytes.Index(src, []byte("\n."))
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i+1]...)
		dst = append(dst, '.')
		src = src[i+1:]
	}
}
