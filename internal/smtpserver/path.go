package smtpserver

import (
	"bytes"
	"errors"
	"net/netip"
	"unicode/utf8"
)

// Lengths in octets (RFC 5321, section 4.5.3.1). A path has 256 with its angle brackets, an address so 254.
//
// Deviation: a local part may be longer than the 64 octets of section 4.5.3.1.1, up to what the path allows. That section
// names what everybody must take, not what nobody may exceed, and the addresses of forwarders and mailing lists that carry
// another address inside (SRS, VERP) do exceed it: to refuse them would lose real mail.
const (
	maxAddress = 254
	maxDomain  = 255
	maxLabel   = 63
)

// What is wrong with a path, in words for the client.
var (
	errPathBrackets = errors.New("angle brackets around the address expected")
	errPathLong     = errors.New("address too long")
	errPathLocal    = errors.New("local part is not well formed")
	errPathDomain   = errors.New("domain is not well formed")
	errPathNoDomain = errors.New("domain missing")
	errPathRoute    = errors.New("source route is not well formed")
)

// path is a reverse-path or a forward-path.
type path struct {
	addr string // without brackets and source route; empty for <>
	utf8 bool   // it has characters that only SMTPUTF8 allows
}

// parsePath reads "<...>" at the start of b and returns what stands behind it (RFC 5321, section 4.1.2). <> is a path with an
// empty address. <postmaster>, in any case, is the one address without a domain (section 4.1.1.3); whether it is welcome is for the
// caller to say.
func parsePath(b []byte) (p path, rest []byte, err error) {
	if len(b) < 2 || b[0] != '<' {
		return path{}, nil, errPathBrackets
	}
	b = b[1:]
	if b[0] == '>' {
		return path{}, b[1:], nil
	}
	if b[0] == '@' {
		if b, err = skipRoute(b); err != nil {
			return path{}, nil, err
		}
	}
	n, err := mailboxLen(b)
	if err != nil {
		return path{}, nil, err
	}
	if n >= len(b) || b[n] != '>' {
		return path{}, nil, errPathBrackets
	}
	if n > maxAddress {
		return path{}, nil, errPathLong
	}
	return path{addr: string(b[:n]), utf8: hasHighBit(b[:n])}, b[n+1:], nil
}

// skipRoute leaves out "@a,@b:", which must be taken and should be ignored (RFC 5321, appendix C).
func skipRoute(b []byte) ([]byte, error) {
	for {
		n := domainLen(b[1:])
		if n <= 0 || 1+n >= len(b) {
			return nil, errPathRoute
		}
		b = b[1+n:]
		switch {
		case b[0] == ':':
			return b[1:], nil
		case len(b) > 1 && b[0] == ',' && b[1] == '@':
			b = b[1:]
		default:
			return nil, errPathRoute
		}
	}
}

// mailboxLen returns how long the Mailbox at the start of b is.
func mailboxLen(b []byte) (int, error) {
	length := dotStringLen
	if len(b) > 0 && b[0] == '"' {
		length = quotedLen
	}
	n := length(b)
	if n <= 0 {
		return 0, errPathLocal
	}
	if n >= len(b) {
		return 0, errPathBrackets
	}
	if b[n] != '@' {
		switch {
		case bytes.EqualFold(b[:n], []byte("postmaster")):
			return n, nil
		case b[n] == '>':
			return 0, errPathNoDomain
		}
		return 0, errPathLocal
	}
	n++
	if n == len(b) || b[n] == '>' {
		return 0, errPathNoDomain
	}
	var d int
	if b[n] == '[' {
		d = literalLen(b[n:])
	} else {
		d = domainLen(b[n:])
	}
	if d <= 0 {
		return 0, errPathDomain
	}
	return n + d, nil
}

// dotStringLen returns how long the Dot-string at the start of b is, 0 or less for none.
func dotStringLen(b []byte) int {
	atom := 0
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c == '.':
			if atom == 0 {
				return 0 // at the start, or two in a row
			}
			atom = 0
			i++
		case isAtext(c):
			atom++
			i++
		case c >= utf8.RuneSelf:
			n := runeLen(b[i:])
			if n == 0 {
				return 0
			}
			atom += n
			i += n
		default:
			if atom == 0 {
				return 0
			}
			return i
		}
	}
	if atom == 0 {
		return 0
	}
	return len(b)
}

// quotedLen returns how long the Quoted-string at the start of b is, 0 for none. Control characters cannot stand in one, not
// even behind a backslash.
func quotedLen(b []byte) int {
	for i := 1; i < len(b); {
		c := b[i]
		switch {
		case c == '"':
			if i == 1 {
				return 0 // "" is allowed by the grammar and delivers to nobody
			}
			return i + 1
		case c == '\\':
			if i+1 >= len(b) || b[i+1] < ' ' || b[i+1] > '~' {
				return 0
			}
			i += 2
		case c >= ' ' && c <= '~':
			i++
		case c >= utf8.RuneSelf:
			n := runeLen(b[i:])
			if n == 0 {
				return 0
			}
			i += n
		default:
			return 0
		}
	}
	return 0
}

// domainLen returns how long the Domain at the start of b is, 0 for none: labels of letters, digits, hyphens, and of UTF-8 (RFC
// 6531, section 3.3). Underscores are no letters of a host name, but some real domains have them.
func domainLen(b []byte) int {
	label, i := 0, 0
	for i < len(b) {
		c := b[i]
		n := 1
		switch {
		case isAlnum(c) || c == '_':
		case c == '-' && label > 0:
		case c == '.' && label > 0 && label <= maxLabel && b[i-1] != '-':
			label = -1
		case c >= utf8.RuneSelf:
			if n = runeLen(b[i:]); n == 0 {
				return 0
			}
		default:
			return endOfDomain(b, i, label)
		}
		label += n
		i += n
	}
	return endOfDomain(b, i, label)
}

func endOfDomain(b []byte, i, label int) int {
	if label == 0 || label > maxLabel || i > maxDomain || b[i-1] == '-' {
		return 0
	}
	return i
}

// literalLen returns how long the address-literal at the start of b is, 0 for none. Only IPv4 and IPv6 are known; no other
// tag was ever registered.
func literalLen(b []byte) int {
	end := bytes.IndexByte(b, ']')
	if end < 0 || end > 60 {
		return 0
	}
	text := b[1:end]
	six := len(text) > 5 && bytes.EqualFold(text[:5], []byte("IPv6:"))
	if six {
		text = text[5:]
	}
	addr, err := netip.ParseAddr(string(text))
	if err != nil || addr.Zone() != "" || six == addr.Is4() {
		return 0
	}
	return end + 1
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isAtext is RFC 5322, section 3.2.3.
func isAtext(c byte) bool {
	return isAlnum(c) || c < utf8.RuneSelf && bytes.IndexByte([]byte("!#$%&'*+-/=?^_`{|}~"), c) >= 0
}

// runeLen returns the length of the UTF-8 character at the start of b, 0 for one that is not well formed or is a control (C1).
func runeLen(b []byte) int {
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n <= 1 || r < 0xA0 {
		return 0
	}
	return n
}

// validHelo tells whether the argument of HELO or EHLO may stand: a domain or an address literal (RFC 5321, section 4.1.1.1), or
// something like a host name, for the many machines that call themselves by what their owner typed. It must be safe to repeat
// in a Received line.
func validHelo(b []byte) bool {
	if len(b) == 0 || len(b) > maxDomain {
		return false
	}
	if b[0] == '[' {
		return literalLen(b) == len(b)
	}
	for _, c := range b {
		if !isAlnum(c) && c != '-' && c != '.' && c != '_' && c != ':' {
			return false
		}
	}
	return true
}
