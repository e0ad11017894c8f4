package dsn

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendUTF16 appends big-endian UTF-16 as UTF-8.
func appendUTF16(out, b []byte) []byte {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])<<8|uint16(b[1]))
	}
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// maxHeaderText bounds a decoded field.
const maxHeaderText = 2 << 10

// headerText returns the text of a field on one line with its encoded words decoded (RFC 2047), in UTF-8.
func headerText(v []byte) string {
	if len(v) > 2*maxHeaderText {
		v = v[:2*maxHeaderText]
	}
	if !bytes.Contains(v, []byte("=?")) {
		return clone(oneLine(toUTF8(v, "")), maxHeaderText)
	}
	var out []byte
	word := false // an encoded word was the last
	for len(v) > 0 {
		i := bytes.Index(v, []byte("=?"))
		if i < 0 {
			break
		}
		text, n := encodedWord(v[i:])
		if n == 0 {
			out = append(out, v[:i+2]...)
			v, word = v[i+2:], false
			continue
		}
		if gap := v[:i]; !word || !blank(gap) { // blanks between encoded words are not part of the text (RFC 2047, section 6.2)
			out = append(out, gap...)
		}
		out = append(out, text...)
		v, word = v[i+n:], true
	}
	return clone(oneLine(append(out, toUTF8(v, "")...)), maxHeaderText)
}

// encodedWord decodes the encoded word that v begins with and returns its length; 0 if it is none.
func encodedWord(v []byte) (text []byte, n int) {
	charset, rest, ok := bytes.Cut(v[2:min(len(v), 1024)], []byte("?"))
	if !ok || len(rest) < 2 || rest[1] != '?' || len(charset) > 40 {
		return nil, 0
	}
	code, data := rest[0], rest[2:]
	end := bytes.Index(data, []byte("?="))
	if end < 0 {
		return nil, 0
	}
	n = 2 + len(charset) + 1 + 2 + end + 2
	data = data[:end]
	switch code {
	case 'B', 'b':
		text = decodeWordB(data)
	case 'Q', 'q':
		text = decodeQP(bytes.ReplaceAll(data, []byte("_"), []byte(" ")), maxHeaderText)
	default:
		return nil, 0
	}
	label, _, _ := strings.Cut(strings.ToLower(string(charset)), "*") // a language behind * (RFC 2231, section 5)
	return toUTF8(text, label), n
}

// oneLine returns b with each run of blanks and controls as one blank, and none at the ends.
func oneLine(b []byte) string {
	out := make([]byte, 0, len(b))
	gap := false
	for i := 0; i < len(b); {
		c := b[i]
		if c <= ' ' || c == 0x7f {
			gap = true
			i++
			continue
		}
		if gap && len(out) > 0 {
			out = append(out, ' ')
		}
		gap = false
		if c < utf8.RuneSelf {
			out = append(out, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == 0x3000 || r == 0xa0 || r == 0xfeff || r >= 0x200b && r <= 0x200f {
			gap = true
		} else {
			out = utf8.AppendRune(out, r)
		}
		i += n
	}
	return string(out)
}
