package smtpserver

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decodeXtext undoes "+41" for "A" (RFC 3461, section 4): two hexadecimal digits in upper case behind each plus.
func decodeXtext(b []byte) (string, bool) {
	if bytes.IndexByte(b, '+') < 0 {
		return string(b), isXchar(b)
	}
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		if b[i] != '+' {
			if !isXchar(b[i : i+1]) {
				return "", false
			}
			out.WriteByte(b[i])
			continue
		}
		if i+2 >= len(b) {
			return "", false
		}
		hi, lo := hexDigit(b[i+1]), hexDigit(b[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		out.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return out.String(), true
}

// isXchar tells whether all of b may stand in xtext as it is.
func isXchar(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' || c == '+' || c == '=' {
			return false
		}
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// decodeUTF8Address undoes "\x{6F22}" (RFC 6533, section 3). UTF-8 may stand in it as it is, as in a session with SMTPUTF8.
func decodeUTF8Address(b []byte) (string, bool) {
	var out strings.Builder
	for len(b) > 0 {
		if b[0] != '\\' {
			out.WriteByte(b[0])
			b = b[1:]
			continue
		}
		end := bytes.IndexByte(b, '}')
		if !bytes.HasPrefix(b, []byte(`\x{`)) || end < 5 || end > 9 { // two to six digits
			return "", false
		}
		r, err := strconv.ParseUint(string(b[3:end]), 16, 32)
		if err != nil || !utf8.ValidRune(rune(r)) {
			return "", false
		}
		out.WriteRune(rune(r))
		b = b[end+1:]
	}
	return out.String(), true
}

// isPrintable tells whether s can be repeated in a report: no control characters, well-formed UTF-8.
func isPrintable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}
