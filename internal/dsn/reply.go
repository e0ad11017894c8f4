package dsn

import (
	"bytes"
	"strings"

	"ukai/internal/mail"
)

// maxLines bounds the lines of one reply.
const maxLines = 64

// parseReply finds the reply of a server in a text on one line, in which somebody has joined the lines of the reply and left
// their codes: "said: 550-5.7.1 first 550 5.7.1 last (in reply to RCPT TO command)". Code is 0 where there is none.
func parseReply(s string) (r mail.Reply) {
	at, code := findCode(s)
	if code == 0 {
		return r
	}
	r.Code = code
	digits, rest := s[at:at+3], s[at+3:]
	for len(r.Lines) < maxLines {
		more := rest != "" && rest[0] == '-'
		line := strings.TrimLeft(rest, "- ")
		end := -1
		if more {
			end = nextCode(line, digits)
		}
		if end < 0 {
			r.Lines = append(r.Lines, trimReply(line))
			break
		}
		r.Lines = append(r.Lines, strings.TrimRight(line[:end], " "))
		rest = line[end+3:]
	}
	for i, l := range r.Lines {
		r.Lines[i] = strings.Clone(l)
		if st, _ := mail.ParseStatus(l); st.Class != 0 && r.Status.Class == 0 {
			r.Status = st
		}
	}
	return r
}

// findCode returns the place of the first reply code and its number; 0 if there is none. A number counts as one at the start,
// behind the marks by which people introduce what they quote, and in front of an enhanced status of its class.
func findCode(s string) (at, code int) {
	for i := 0; i+3 <= len(s); i++ {
		if s[i] < '2' || s[i] > '5' || i > 0 && (isWord(s[i-1]) || s[i-1] == '.') {
			continue
		}
		if !isDigit(s[i+1]) || s[i+1] > '7' || !isDigit(s[i+2]) {
			continue
		}
		tail := s[i+3:]
		if tail != "" && tail[0] != ' ' && tail[0] != '-' || !introduced(s[:i], tail) {
			continue
		}
		return i, int(s[i]-'0')*100 + int(s[i+1]-'0')*10 + int(s[i+2]-'0')
	}
	return 0, 0
}

// introduced tells whether the number between the two texts is a reply code.
func introduced(before, after string) bool {
	before = strings.TrimRight(before, " ")
	if before == "" || strings.IndexByte(":;<>(\"'[", before[len(before)-1]) >= 0 {
		return true
	}
	st, _ := mail.ParseStatus(strings.TrimLeft(after, "- '\"<([#"))
	return st.Class != 0
}

// nextCode returns where the next line of a reply with this code begins in s; -1 if there is none.
func nextCode(s, digits string) int {
	for i := 0; ; {
		n := strings.Index(s[i:], digits)
		if n < 0 {
			return -1
		}
		i += n
		end := i + len(digits)
		if (i == 0 || s[i-1] == ' ') && (end == len(s) || s[end] == ' ' || s[end] == '-') {
			return i
		}
		i = end
	}
}

// trimReply takes off what reporters put behind a reply.
func trimReply(s string) string {
	if i := strings.LastIndex(s, " (in reply to "); i >= 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, " ")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// findStatus returns the first enhanced status in a text: bare, in brackets, or as "#5.1.1" (RFC 3463, section 2).
func findStatus(s string) mail.Status {
	for i := 0; i+5 <= len(s); i++ {
		if c := s[i]; c != '2' && c != '4' && c != '5' || s[i+1] != '.' || i > 0 && (isWord(s[i-1]) || s[i-1] == '.' || s[i-1] == '-') {
			continue
		}
		tail := s[i:]
		if n := strings.IndexFunc(tail, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); n >= 0 {
			tail = tail[:n]
		}
		if strings.Count(strings.TrimRight(tail, "."), ".") != 2 || len(tail) > 9 {
			continue
		}
		if st, _ := mail.ParseStatus(strings.TrimRight(tail, ".") + " "); st.Class != 0 {
			return st
		}
	}
	return mail.Status{}
}

// hostAt returns the name of a host, or the address, that stands at the start of b.
func hostAt(b []byte) string {
	b = bytes.TrimLeft(b, " :[(<'\"=")
	if bytes.HasPrefix(b, []byte("dns;")) {
		b = bytes.TrimLeft(b[4:], " ")
	}
	n := 0
	dots := 0
	for n < len(b) && n <= maxDomain && (isDomain[b[n]] || b[n] == ':' && dots == 0) {
		if b[n] == '.' {
			dots++
		}
		n++
	}
	h := bytes.TrimRight(b[:n], ".:-")
	if dots == 0 && bytes.Count(h, []byte(":")) < 2 || len(h) < 4 || n < len(b) && b[n] == '@' {
		return ""
	}
	return strings.ToLower(string(h))
}
