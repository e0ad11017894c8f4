package mail

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxDomain is the longest domain name (RFC 1035, section 2.3.4).
const maxDomain = 255

// firstMailboxDomain returns the domain of the first mailbox of an address list (RFC 5322, section 3.4), lower case; "" where
// there is none. It understands display names (quoted, encoded, or with an @ in them), comments, groups and routes, and
// makes no demands on what it does not need.
func firstMailboxDomain(list []byte) string {
	s := mailboxScan{in: list}
	for len(s.in) > 0 {
		if s.next() {
			break
		}
	}
	return s.result()
}

// mailboxScan goes over an address list octet by octet.
type mailboxScan struct {
	in     []byte
	angle  bool // inside <...>
	at     bool // behind an @: what comes belongs to the domain
	gap    bool // blanks or a comment came after the domain had begun
	closed bool // the domain is over; what follows is skipped until the address ends
	loose  bool // a quote or parenthesis is never closed: they mean nothing from here on
	n      int
	domain [maxDomain]byte
}

// next looks at what comes next and tells whether a domain is complete.
func (s *mailboxScan) next() bool {
	c := s.in[0]
	if (c == '"' || c == '(') && !s.loose {
		s.skip(c)
		return false
	}
	s.in = s.in[1:]
	switch c {
	case '<': // what stood before was a display name
		s.forget()
		s.angle = true
	case '>':
		if s.angle && s.n > 0 {
			return true
		}
		s.forget()
	case ',', ';':
		if !s.angle && s.n > 0 {
			return true
		}
		s.at, s.closed, s.n, s.gap = false, false, 0, false // in angle brackets: the end of a route's hop (RFC 5322, section 4.4)
	case ':': // before it stood a group's name, or a route
		if !s.inLiteral() {
			angle := s.angle
			s.forget()
			s.angle = angle
			break
		}
		s.add(c)
	case '@':
		s.at, s.closed, s.n, s.gap = true, false, 0, false
	case ' ', '\t', '\r', '\n':
		s.gap = s.n > 0
	default:
		s.add(c)
	}
	return false
}

func (s *mailboxScan) inLiteral() bool { return s.at && s.n > 0 && s.domain[0] == '[' }

func (s *mailboxScan) forget() { s.angle, s.at, s.closed, s.n, s.gap = false, false, false, 0, false }

// add takes one octet of the domain, if that is where we are. Blanks are allowed only around its dots (RFC 5322, section 4.4).
func (s *mailboxScan) add(c byte) {
	if !s.at || s.closed {
		return
	}
	if s.gap && c != '.' && s.domain[s.n-1] != '.' || s.n == maxDomain {
		s.closed = true
		return
	}
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	s.domain[s.n] = c
	s.n++
	s.gap = false
}

// skip passes over a quoted string or a comment. Where it is never closed, only its first octet is passed over: better to
// misread a name than to lose the address behind it.
func (s *mailboxScan) skip(c byte) {
	end := quotedEnd
	if c == '(' {
		end, s.gap = commentEnd, s.n > 0
	}
	n := end(s.in)
	if n == 0 {
		s.loose, n = true, 1
	}
	s.in = s.in[n:]
}

// result returns the domain if it can be one.
func (s *mailboxScan) result() string {
	d := bytes.TrimSuffix(s.domain[:s.n], []byte("."))
	if !s.at || len(d) == 0 || len(d) == maxDomain || d[0] == '.' {
		return ""
	}
	eight := false
	for i, c := range d {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '.':
			if d[i-1] == '.' {
				return ""
			}
		case c >= 0x80:
			eight = true
		default: // an address literal, or rubbish: nothing that a key or a policy could be found for
			return ""
		}
	}
	if !eight {
		return string(d)
	}
	if !utf8.Valid(d) {
		return ""
	}
	return strings.ToLower(string(d)) // RFC 6532, section 3.2
}

// quotedEnd returns the length of the quoted string at the start of b (RFC 5322, section 3.2.4), 0 if it is never closed.
func quotedEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// commentEnd returns the length of the comment at the start of b, nested ones included (RFC 5322, section 3.2.2), 0 if it is
// never closed.
func commentEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
