package dsn

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"ukai/internal/dns"
	"ukai/internal/mail"
)

// Line lengths: what is wanted and what is allowed (RFC 5322, section 2.1.1).
const (
	wantedLine = 76
	maxLine    = 998
)

// field writes one header field, folded in front of blanks. A word that is longer than a line may be is cut.
func field(b *bytes.Buffer, name, value string) {
	b.WriteString(name + ":")
	n := len(name) + 1
	value = " " + strings.TrimSpace(value)
	for value != "" {
		word := unit(value)
		value = value[len(word):]
		if blanks := len(word) - len(strings.TrimLeft(word, " ")); blanks > wantedLine/2 {
			word = word[blanks-1:]
		}
		if n+len(word) > wantedLine && n > len(name)+1 {
			b.WriteString("\r\n")
			n = 0
		}
		for n+len(word) > maxLine {
			k := cut(word, maxLine-n)
			b.WriteString(word[:k] + "\r\n ")
			word, n = word[k:], 1
		}
		b.WriteString(word)
		n += len(word)
	}
	b.WriteString("\r\n")
}

// unit returns the blanks at the start of s and the word behind them.
func unit(s string) string {
	i := 0
	for i < len(s) && s[i] == ' ' {
		i++
	}
	if j := strings.IndexByte(s[i:], ' '); j >= 0 {
		return s[:i+j]
	}
	return s
}

// cut returns the length of the longest start of s of at most n octets that ends with a whole character.
func cut(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for k := n; k > n-utf8.UTFMax && k > 0; k-- {
		if utf8.RuneStart(s[k]) {
			return k
		}
	}
	return n
}

// clip bounds s to about n octets.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:cut(s, n)] + "..."
}

// printable makes a stranger's text fit for a field: controls and line ends become blanks; what is not ASCII stays if utf8Too
// and it is good UTF-8, and becomes a question mark otherwise.
func printable(s string, utf8Too bool) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f || r >= 0x80 && unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case r >= utf8.RuneSelf && !utf8Too, r == utf8.RuneError:
			return '?'
		}
		return r
	}, s))
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// atom tells whether s can be an address type.
func atom(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>[]:;@\,."`, c) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// unicodeAddr writes an address as a utf-8-address: as it is where UTF-8 may stand, else with \x{HEX} (RFC 6533, section 3).
func unicodeAddr(addr string, raw bool) string {
	var b strings.Builder
	for _, r := range addr {
		switch {
		case r > ' ' && r < 0x7f && r != '\\' && r != '+' && r != '=':
			b.WriteRune(r)
		case r >= 0xa0 && raw && r != utf8.RuneError:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return b.String()
}

// addrSpec writes an address for a header field; what stands in it can not leave the angle brackets around it.
func addrSpec(addr string) string {
	local, domain := printable(mail.Local(addr), true), mail.Domain(addr)
	if !dotAtom(local) && !quoted(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if domain == "" {
		return clip(local, 900)
	}
	return clip(local, 600) + "@" + domainName(domain)
}

func dotAtom(s string) bool {
	for _, r := range s {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>[]:;@\,"`, r) {
			return false
		}
	}
	return s != "" && s[0] != '.' && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

// quoted tells whether s is one whole quoted string.
func quoted(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s)-1 {
				return false
			}
		case '"':
			return false
		}
	}
	return true
}

// hostName writes a domain name or an address literal in ASCII; what cannot be part of one becomes a question mark.
func hostName(s string) string {
	if !ascii(s) {
		if a, err := dns.ASCII(s); err == nil {
			s = a
		}
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, domainName(s))
}

// domainName is hostName with UTF-8 left as it is.
func domainName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-._[]:", r):
			return r
		case r >= 0xa0 && unicode.In(r, unicode.L, unicode.M, unicode.N):
			return r
		}
		return '?'
	}, s)
	if s == "" {
		return "localhost"
	}
	return s[:cut(s, 255)]
}

// msgID writes a Message-ID in angle brackets, or "" for one that cannot be written.
func msgID(id string) string {
	if id == "" || len(id) > 900 || !ascii(id) || strings.ContainsAny(id, "<> ") || printable(id, false) != id {
		return ""
	}
	return "<" + id + ">"
}

// encodeWords writes a text of ours for a header field (RFC 2047).
func encodeWords(s string) string { return mime.BEncoding.Encode("utf-8", s) }
