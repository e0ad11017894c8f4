package dns

import (
	"errors"
	"strings"
)

// The lengths of RFC 1035, section 2.3.4: 255 octets on the wire are 253 characters of text without the last dot.
const (
	maxName  = 253
	maxLabel = 63
)

var errName = errors.New("not a domain name")

// ASCII returns a domain name as it is asked for: lower case, without trailing dot, each label outside ASCII as its A-label
// (RFC 5890, section 2.3.2.1). It fails for what cannot be a name; names that are no host names, such as
// "_dmarc.example.org", are allowed. A name that needs no change is returned without allocation.
func ASCII(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	ok, eight := plain(name)
	if !ok {
		if eight {
			var err error
			if name, err = toALabels(name); err != nil {
				return "", err
			}
			name = strings.TrimSuffix(name, ".")
		}
		name = strings.ToLower(name)
	}
	return name, check(name)
}

// plain tells whether a name is lower case ASCII, and whether it has octets outside ASCII.
func plain(name string) (ok, eight bool) {
	ok = true
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 0x80 {
			return false, true
		}
		if c >= 'A' && c <= 'Z' {
			ok = false
		}
	}
	return ok, false
}

// check tells whether an ASCII name can be put into a question. The backslash is refused because package miekg/dns reads it
// as the start of an escape: what is asked would not be what was given.
func check(name string) error {
	if name == "" || len(name) > maxName {
		return errName
	}
	label := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.':
			if label == 0 {
				return errName
			}
			label = 0
			continue
		case c <= ' ' || c >= 0x7f || c == '\\':
			return errName
		}
		if label++; label > maxLabel {
			return errName
		}
	}
	if label == 0 {
		return errName
	}
	return nil
}

// isHost tells whether a name can be the name of a host that receives mail: letters, digits, hyphens (RFC 1123, section
// 2.1), and the underscore that some hosts have in spite of it. A name whose last label is a number is an address that was
// put where a name belongs.
func isHost(name string) bool {
	if check(name) != nil {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") != ""
}

// isLocalhost tells whether a name means this machine (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// fromWire makes a name of an answer one of ours: lower case, without trailing dot; the root becomes "".
func fromWire(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// unescape takes back what package miekg/dns does to the octets of a character string when it reads one from the wire:
// \" \\ and \DDD.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) {
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
