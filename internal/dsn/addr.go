package dsn

import (
	"bytes"
	"strings"
)

// isLocal and isDomain tell which octets may stand in the halves of an address (RFC 5321, section 4.1.2; RFC 6531, section 3.3).
var isLocal, isDomain = func() (l, d [256]bool) {
	for c := range 256 {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
		l[c] = alnum || strings.IndexByte(".!#$%&*+-/=?^_{|}~'`", byte(c)) >= 0
		d[c] = alnum || c == '-' || c == '.' || c == '_'
	}
	return l, d
}()

// Bounds of an address (RFC 5321, section 4.5.3.1), with room for those that keep to none.
const (
	maxLocal  = 256
	maxDomain = 255
	maxAddrs  = 64
)

// findAddr returns where the first address at or behind from stands in b; end is 0 if there is none.
func findAddr(b []byte, from int) (start, end int) {
	for i := from; i < len(b); {
		n := bytes.IndexByte(b[i:], '@')
		if n < 0 {
			return 0, 0
		}
		at := i + n
		start, end = localStart(b, i, at), domainEnd(b, at+1)
		if start < at && end > at+1 {
			return start, end
		}
		i = at + 1
	}
	return 0, 0
}

// localStart goes back from the @ to the start of the local part, not before low.
func localStart(b []byte, low, at int) int {
	low = max(low, at-maxLocal)
	if at > low && b[at-1] == '"' { // a quoted string
		if n := bytes.LastIndexByte(b[low:at-1], '"'); n >= 0 {
			return low + n
		}
		return at
	}
	i := at
	for i > low && isLocal[b[i-1]] {
		i--
	}
	for i < at && (b[i] == '\'' || b[i] == '`' || b[i] == '=' && !isSRS(b[i:at])) { // quotes around it, "to=user@..."
		i++
	}
	for k := i; k+2 < at; k++ { // in CJK texts no blank stands between words and addresses, but such a mark
		if wideMark(b[k], b[k+1]) {
			i = k + 3
		}
	}
	if n := bytes.LastIndexByte(b[i:at], '='); n >= 0 && isKey(b[i:i+n]) {
		i += n + 1
	}
	return i
}

func isSRS(b []byte) bool { return bytes.HasPrefix(b, []byte("=SRS")) }

// isKey tells whether what stands before a = in front of an address is a key: "to=", "orig_to=".
func isKey(b []byte) bool {
	switch string(b) {
	case "to", "from", "rcpt", "orig_to", "addr", "address", "recipient", "user", "mailto", "email":
		return true
	}
	return false
}

// domainEnd goes on from behind the @ to the end of the domain.
func domainEnd(b []byte, from int) int {
	if from < len(b) && b[from] == '[' { // an address literal
		if n := bytes.IndexByte(b[from:min(len(b), from+64)], ']'); n > 0 {
			return from + n + 1
		}
		return from
	}
	i := from
	for i < len(b) && i < from+maxDomain && isDomain[b[i]] {
		if b[i] >= 0x80 && i > from && b[i-1] < 0x80 && b[i-1] != '.' && b[i-1] != '-' { // the next word
			break
		}
		if i+1 < len(b) && wideMark(b[i], b[i+1]) {
			break
		}
		i++
	}
	for i > from && (b[i-1] == '.' || b[i-1] == '-' || b[i-1] == '_') {
		i--
	}
	return i
}

// wideMark tells whether two octets begin a punctuation mark of three: U+2000 to U+203F, U+3000 to U+303F, U+FF00 to U+FF3F.
func wideMark(a, b byte) bool {
	return a == 0xe2 && b == 0x80 || a == 0xe3 && b == 0x80 || a == 0xef && b == 0xbc
}

// firstAddr returns the first address of a field. What stands in angle brackets counts before what stands in a display name.
func firstAddr(v []byte) string {
	if i := bytes.LastIndexByte(v, '<'); i >= 0 {
		if s, e := findAddr(v, i+1); e > 0 {
			return string(v[s:e])
		}
	}
	if s, e := findAddr(v, 0); e > 0 {
		return string(v[s:e])
	}
	return ""
}

// appendAddrs appends the addresses of a field that are not there yet.
func appendAddrs(to []string, v []byte) []string {
	for s, e := findAddr(v, 0); e > 0 && len(to) < maxAddrs; s, e = findAddr(v, e) {
		if !contains(to, v[s:e]) {
			to = append(to, string(v[s:e]))
		}
	}
	return to
}

func contains(all []string, b []byte) bool {
	for _, s := range all {
		if s == string(b) {
			return true
		}
	}
	return false
}
