package dsn

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// textOf returns the text of an entity in UTF-8.
func (rd *reader) textOf(h *header, m *media, body []byte) []byte {
	if len(body) > 2*MaxText {
		rd.skip("the end of a very long text")
	}
	return toUTF8(rd.decode(h, body), m.charset)
}

// toUTF8 returns b in UTF-8. The label is what the mail says of its charset, which is often wrong: escape sequences and valid
// UTF-8 count for more, and 8-bit text whose label is missing or says ASCII is guessed.
func toUTF8(b []byte, label string) []byte {
	label = strings.Trim(label, " \"'")
	high, escape := octets(b)
	switch {
	case escape && bytes.Contains(b, []byte("\x1b$)C")):
		return decodeWith(korean.EUCKR, iso2022KR(b))
	case escape && (bytes.Contains(b, []byte("\x1b$")) || bytes.Contains(b, []byte("\x1b("))):
		return decodeWith(japanese.ISO2022JP, b)
	case !high && strings.HasPrefix(label, "utf-7"), !high && strings.HasPrefix(label, "unicode-1-1-utf-7"):
		return decodeUTF7(b)
	case !high && strings.HasPrefix(label, "utf-16"), !high && label == "hz-gb-2312":
		return decodeWith(byLabel(label), b)
	case !high, utf8.Valid(b):
		return b
	}
	if e := byLabel(label); e != nil {
		return decodeWith(e, b)
	}
	return decodeWith(guess(b), b)
}

// octets tells whether b has octets above ASCII and escapes.
func octets(b []byte) (high, escape bool) {
	for _, c := range b {
		if c >= 0x80 {
			high = true
		} else if c == 0x1b {
			escape = true
		}
	}
	return high, escape
}

// byLabel returns the charset of a label; nil where it says nothing, or cannot be true of a text that is not valid UTF-8.
func byLabel(label string) encoding.Encoding {
	switch label {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "7bit", "8bit", "unknown", "unknown-8bit", "iso-2022-jp":
		return nil
	case "cp932", "ms932", "sjis", "x-sjis", "shift-jis", "windows-932":
		return japanese.ShiftJIS
	case "gb2312", "gbk", "cp936", "x-gbk", "gb_2312-80":
		return simplifiedchinese.GB18030
	case "hz-gb-2312":
		return simplifiedchinese.HZGB2312
	case "cp949", "ks_c_5601-1987", "ksc5601":
		return korean.EUCKR
	}
	if n, ok := strings.CutPrefix(label, "cp125"); ok {
		label = "windows-125" + n
	}
	e, err := htmlindex.Get(label)
	if err != nil {
		return nil
	}
	return e
}

// decodeWith decodes b; octets that cannot be decoded become U+FFFD. Nothing is lost when the charset is not known.
func decodeWith(e encoding.Encoding, b []byte) []byte {
	if e == nil {
		e = charmap.Windows1252
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	return out
}

// guess returns the charset in which the octets of b make the best sense: a Japanese one if nearly all of its pairs can be
// decoded and are kana or common marks, then Chinese, and that of Western Europe for all else.
func guess(b []byte) encoding.Encoding {
	if len(b) > 4<<10 {
		b = b[:4<<10]
	}
	best, score := encoding.Encoding(charmap.Windows1252), 0
	all := []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP, simplifiedchinese.GB18030}
	if !paired(b) {
		all = all[:1]
	}
	for _, e := range all {
		if s := sense(decodeWith(e, b), e == japanese.ShiftJIS); s > score {
			best, score = e, s
		}
	}
	return best
}

// paired tells whether octets above ASCII stand side by side, as in the charsets of two octets, and not alone among letters, as
// in those of Europe.
func paired(b []byte) bool {
	pairs, single := 0, 0
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] < 0x80:
		case i+1 < len(b) && b[i+1] >= 0x80:
			pairs++
			i++
		default:
			single++
		}
	}
	return pairs > 2*single
}

// sense scores a text: kana and ideographs speak for it, what could not be decoded and half-width kana speak against it. Where
// kana are asked for, nothing counts without two of them: the second octets of Shift_JIS are ASCII letters too often.
func sense(text []byte, kana bool) (score int) {
	found := 0
	for _, r := range string(text) {
		switch {
		case r == utf8.RuneError:
			score -= 20
		case r >= 0xff61 && r <= 0xff9f:
			score -= 2
		case r >= 0x3040 && r <= 0x30ff, r == 0x3002, r == 0x3001:
			score += 4
			found++
		case r >= 0x4e00 && r <= 0x9fff:
			score++
		case r >= 0xe000 && r <= 0xf8ff:
			score -= 4
		}
	}
	if kana && found < 2 {
		return 0
	}
	return score
}

// iso2022KR brings text between shift-out and shift-in into EUC-KR (RFC 1557).
func iso2022KR(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\x1b$)C"), nil)
	out := make([]byte, 0, len(b))
	shifted := false
	for _, c := range b {
		switch {
		case c == 0x0e:
			shifted = true
		case c == 0x0f, c == '\n':
			shifted = false
			if c == '\n' {
				out = append(out, c)
			}
		case shifted && c > ' ':
			out = append(out, c|0x80)
		default:
			out = append(out, c)
		}
	}
	return out
}

// decodeUTF7 decodes UTF-7 (RFC 2152): + begins UTF-16 in base64, - ends it.
func decodeUTF7(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			break
		}
		out = append(out, b[:i]...)
		b = b[i+1:]
		n := 0
		for n < len(b) && base64Values[b[n]] >= 0 {
			n++
		}
		if n == 0 {
			out = append(out, '+')
		} else {
			out = appendUTF16(out, decodeWordB(b[:n]))
		}
		b = b[n:]
		if len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	return append(out, b...)
}
