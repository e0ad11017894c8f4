package steer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// readLine reads up to the next LF, which is left out with a CR before it. The end of input ends a line, too: Exim closes its
// side after the question. A line that is longer than the buffer of r is garbage.
func readLine(r *bufio.Reader) ([]byte, error) {
	b, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errGarbage
	case errors.Is(err, io.EOF) && len(b) > 0:
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")), nil
}

// unquote takes the %XX of tcp_table(5) back, in place. It is false for a % that no two hexadecimal digits follow.
func unquote(b []byte) ([]byte, bool) {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '%' {
			out = append(out, b[i])
			continue
		}
		if i+2 >= len(b) {
			return nil, false
		}
		hi, lo := unhex(b[i+1]), unhex(b[i+2])
		if hi > 15 || lo > 15 {
			return nil, false
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	return out, true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// quote appends a text as tcp_table(5) wants it: what is not printable, the blank and % as %XX.
func quote(b []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '%' {
			b = append(b, '%', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, text[i])
	}
	return b
}
