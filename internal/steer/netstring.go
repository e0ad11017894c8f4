package steer

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// The sizes of questions and replies: those of socketmap_table(5) of Postfix (socketmap_max_query_size and
// socketmap_max_reply_size).
const (
	maxQuery = 10_000
	maxReply = 100_000
)

// errGarbage is for input that follows no protocol. The connection that it came over is closed: nobody knows where the next
// question begins.
var errGarbage = errors.New("not a question")

// readNetstring reads one netstring (cr.yp.to/proto/netstrings.txt) of at most most octets. What it returns stays valid until the
// next read from r where it fits into its buffer; else it is in spare, which grows.
func readNetstring(r *bufio.Reader, spare []byte, most int) (text, kept []byte, err error) {
	n, err := readLength(r, most)
	if err != nil {
		return nil, spare, err
	}
	if n+1 <= r.Size() {
		b, err := r.Peek(n + 1)
		if err != nil {
			return nil, spare, cut(err)
		}
		if b[n] != ',' {
			return nil, spare, errGarbage
		}
		_, _ = r.Discard(n + 1) // it is in the buffer
		return b[:n], spare, nil
	}
	if cap(spare) < n+1 {
		spare = make([]byte, n+1)
	}
	if _, err := io.ReadFull(r, spare[:n+1]); err != nil {
		return nil, spare, cut(err)
	}
	if spare[n] != ',' {
		return nil, spare, errGarbage
	}
	return spare[:n], spare, nil
}

// readLength reads the digits and the colon. A length is written without leading zeros.
func readLength(r *bufio.Reader, most int) (n int, err error) {
	for i := 0; ; i++ {
		c, err := r.ReadByte()
		if err != nil {
			if i == 0 {
				return 0, err // between two questions: the other side has ended
			}
			return 0, cut(err)
		}
		switch {
		case c == ':' && i > 0:
			return n, nil
		case c < '0' || c > '9', i == 1 && n == 0:
			return 0, errGarbage
		}
		if n = n*10 + int(c-'0'); n > most {
			return 0, errGarbage
		}
	}
}

// cut makes the end of input within a question what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendNetstring appends a netstring made of parts.
func appendNetstring(b []byte, parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ':')
	for _, p := range parts {
		b = append(b, p...)
	}
	return append(b, ',')
}
