package maillog

import (
	"bytes"
	"net/netip"
	"time"
)

// The helpers here look at octets without making strings: a log has a hundred million lines, and of most of them nothing is kept.

// cut returns what stands before and after the first sep.
func cut(b []byte, sep string) (before, after []byte, found bool) {
	if i := index(b, sep); i >= 0 {
		return b[:i], b[i+len(sep):], true
	}
	return b, nil, false
}

// index is bytes.Index for a text that is written out.
func index(b []byte, sep string) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], sep[0])
		if i < 0 || from+i+len(sep) > len(b) {
			return -1
		}
		from += i
		if string(b[from:from+len(sep)]) == sep {
			return from
		}
		from++
	}
}

func contains(b []byte, sep string) bool { return index(b, sep) >= 0 }

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

func hasSuffix(b []byte, s string) bool { return len(b) >= len(s) && string(b[len(b)-len(s):]) == s }

// hasAny tells whether b begins with one of the texts.
func hasAny(b []byte, prefixes []string) bool {
	for _, p := range prefixes {
		if hasPrefix(b, p) {
			return true
		}
	}
	return false
}

// word splits b at its first space.
func word(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// angle reads an address in angle brackets at the start of b. A quoted local part may hold a closing bracket (RFC 5321, section
// 4.1.2), hence the look at what follows: end is the octet that must stand behind the bracket, unless the text ends there.
func angle(b []byte, end byte) (addr, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != '<' {
		return nil, b, false
	}
	for i := 1; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '>')
		if n < 0 {
			break
		}
		if i += n; i+1 == len(b) || b[i+1] == end {
			return b[1:i], b[i+1:], true
		}
	}
	return nil, b, false
}

// bare takes the angle brackets off.
func bare(b []byte) []byte {
	if len(b) >= 2 && b[0] == '<' && b[len(b)-1] == '>' {
		return b[1 : len(b)-1]
	}
	return b
}

// number reads a decimal number that fills b; ok is false for anything else and above 18 digits.
func number(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// digits returns how many digits b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// seconds reads "12", "12.5" or "0.05" as a duration.
func seconds(b []byte) time.Duration {
	whole := digits(b)
	n, ok := number(b[:whole])
	if !ok || n > 1<<31 {
		return 0
	}
	d := time.Duration(n) * time.Second
	if whole < len(b) && b[whole] == '.' {
		unit := time.Second / 10
		for _, c := range b[whole+1:] {
			if c < '0' || c > '9' || unit == 0 {
				break
			}
			d += time.Duration(c-'0') * unit
			unit /= 10
		}
	}
	return d
}

// address reads an IP address, with the brackets and the "IPv6:" prefix that mail puts around it (RFC 5321, section 4.1.3).
func address(b []byte) netip.Addr {
	if len(b) >= 2 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	if len(b) > 5 && (b[0] == 'I' || b[0] == 'i') && b[4] == ':' {
		b = b[5:]
	}
	if len(b) == 0 || len(b) > 64 {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// between returns what stands between two texts.
func between(b []byte, left, right string) ([]byte, bool) {
	_, b, ok := cut(b, left)
	if !ok {
		return nil, false
	}
	in, _, ok := cut(b, right)
	return in, ok
}
