package dsn

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// decode undoes the transfer encoding of a body (RFC 2045, section 6) without caring for its mistakes. It gives back at most
// MaxText octets, and no more than MaxDecoded in all.
func (rd *reader) decode(h *header, body []byte) []byte {
	enc := bytes.TrimSpace(h.get(fieldEncoding))
	switch {
	case foldedAt(enc, 0, "base64"):
		body = decodeBase64(body, rd.room())
	case foldedAt(enc, 0, "quoted-printable"):
		body = decodeQP(body, rd.room())
	default:
		return rd.cutText(body)
	}
	rd.decoded += len(body)
	return body
}

// room is how many octets may be decoded for one part; it says so when there is none left.
func (rd *reader) room() int {
	n := min(MaxText, MaxDecoded-rd.decoded)
	if n <= 0 {
		rd.skip(fmt.Sprintf("text beyond %d octets: too much of it", MaxDecoded))
	}
	return max(n, 0)
}

// cutText bounds a body that needs no decoding.
func (rd *reader) cutText(body []byte) []byte {
	if len(body) > MaxText {
		body = body[:MaxText]
	}
	return body
}

// decodeBase64 decodes up to limit octets, passing over what is no letter of the alphabet (RFC 2045, section 6.8).
func decodeBase64(b []byte, limit int) []byte {
	out := make([]byte, 0, min(limit, len(b)*3/4)+3)
	var word uint32
	n := 0
	for _, c := range b {
		v := base64Values[c]
		if v < 0 {
			if c == '=' {
				break
			}
			continue
		}
		word = word<<6 | uint32(v)
		if n++; n == 4 {
			out = append(out, byte(word>>16), byte(word>>8), byte(word))
			word, n = 0, 0
			if len(out) >= limit {
				return plainEnds(out[:limit])
			}
		}
	}
	switch n {
	case 2:
		out = append(out, byte(word>>4))
	case 3:
		out = append(out, byte(word>>10), byte(word>>2))
	}
	return plainEnds(out[:min(limit, len(out))])
}

// base64Values is the value of each letter; -1 for every other octet.
var base64Values = func() (v [256]int8) {
	for i := range v {
		v[i] = -1
	}
	all := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(all) {
		v[all[i]] = int8(i)
	}
	return v
}()

// decodeQP decodes up to limit octets. What is no code stands for itself (RFC 2045, section 6.7, note 2).
func decodeQP(b []byte, limit int) []byte {
	out := make([]byte, 0, min(limit, len(b)))
	for len(b) > 0 && len(out) < limit {
		i := bytes.IndexByte(b, '=')
		if i < 0 || i > limit-len(out) {
			out = append(out, b[:min(len(b), limit-len(out))]...)
			break
		}
		out = append(out, b[:i]...)
		b = b[i+1:]
		if n := softBreak(b); n > 0 {
			b = b[n:]
			continue
		}
		if len(b) >= 2 {
			if hi, lo := hex(b[0]), hex(b[1]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				b = b[2:]
				continue
			}
		}
		out = append(out, '=')
	}
	return plainEnds(out[:min(limit, len(out))])
}

// softBreak returns the length of the line end that b begins with, blanks before it included; 0 if there is none.
func softBreak(b []byte) int {
	for i := 0; i < len(b) && i < 80; i++ {
		switch b[i] {
		case '\n':
			return i + 1
		case ' ', '\t':
		default:
			return 0
		}
	}
	return 0
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// decodeWord decodes the text of an encoded word in B (RFC 2047, section 4.1).
func decodeWordB(b []byte) []byte {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(b))+3)
	out = decodeBase64(b, len(out))
	return out
}
