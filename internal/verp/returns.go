package verp

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	ours "ukai/internal/mail"
)

// Address is where reports come in.
type Address struct {
	Name      string // local part of the plain address
	Domain    string // lower case
	Delimiter byte   // between name and token
}

// ParseAddress reads "bounce@mail.example.com". The name must leave room for a token and consist of letters, digits and
// hyphens, dots and underscores, so that no server on the way back has a reason to quote it.
func ParseAddress(s string, delimiter byte) (Address, error) {
	name, domain := ours.Local(s), ours.Domain(s)
	strange := func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}
	if _, err := mail.ParseAddress(s); err != nil || name == "" || domain == "" || strings.ContainsFunc(name, strange) {
		return Address{}, fmt.Errorf("%q is not a plain address", s)
	}
	if len(name) > MaxName {
		return Address{}, fmt.Errorf("the name in %q is longer than %d octets", s, MaxName)
	}
	if delimiter != '+' && delimiter != '-' && delimiter != '=' {
		return Address{}, fmt.Errorf("%q is no delimiter", delimiter)
	}
	return Address{name, domain, delimiter}, nil
}

// String returns the plain address.
func (a Address) String() string { return a.Name + "@" + a.Domain }

// Returns makes and reads return paths. It is immutable but for its ring.
type Returns struct {
	Ring    *Ring
	Address Address
	// Senders are the sender domains whose reverse-path is replaced: "*" for all, "*.example.org" for subdomains; none: nobody's.
	Senders []string
	// Unsigned allows it for mail that ukai has not signed (because a server before it signs).
	Unsigned bool
}

// For returns the reverse-path with which a delivery is to be sent: one with a token, or the envelope's own.
//
// With another domain in the reverse-path, SPF speaks for that domain, and DMARC is content with SPF only if the domain of
// the From field is the same organisation's (RFC 7489, section 3.1.2). So it is done only where that is so, or where a
// signature is aligned instead (section 3.1.1). The null reverse-path stays null (RFC 5321, section 4.5.5), and an address of
// ours is not wrapped once more.
func (r *Returns) For(env *ours.Envelope, group int, now time.Time) string {
	if env.From == "" || !r.covers(ours.Domain(env.From)) || r.Ours(env.From) || !r.aligned(env) {
		return env.From
	}
	t := Token{Msg: env.ID, Group: group, Day: now}
	return r.Address.Name + string(r.Address.Delimiter) + r.Ring.Make(t) + "@" + r.Address.Domain
}

func (r *Returns) covers(domain string) bool {
	for _, s := range r.Senders {
		base, below := strings.CutPrefix(strings.ToLower(s), "*.")
		if s == "*" || !below && base == domain || below && strings.HasSuffix(domain, "."+base) {
			return domain != ""
		}
	}
	return false
}

// aligned tells whether DMARC still holds when the reverse-path is at our domain.
func (r *Returns) aligned(env *ours.Envelope) bool {
	if r.Unsigned || related(env.FromHdr, r.Address.Domain) {
		return true
	}
	for _, d := range env.DKIM {
		if related(env.FromHdr, d) {
			return true
		}
	}
	return false
}

// related tells whether two domains have the same organisational domain: relaxed alignment.
func related(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	orgA, errA := publicsuffix.EffectiveTLDPlusOne(a)
	orgB, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return errA == nil && errB == nil && orgA == orgB
}

// Kind says what an address is to us.
type Kind uint8

// The kinds of address.
const (
	Foreign Kind = iota // not at the bounce address
	Plain               // the bounce address itself
	Wrapped             // the bounce address with a token that is good
	Wrong               // the bounce address with something else behind the delimiter
)

// Look says what an address is, with the token if there is a good one.
func (r *Returns) Look(addr string, now time.Time) (Kind, Token) {
	if ours.Domain(addr) != r.Address.Domain {
		return Foreign, Token{}
	}
	name, text, found := r.split(ours.Local(addr))
	switch {
	case !strings.EqualFold(name, r.Address.Name):
		return Foreign, Token{}
	case !found:
		return Plain, Token{}
	}
	t, err := r.Ring.Read(text, now)
	if err != nil {
		return Wrong, Token{}
	}
	return Wrapped, t
}

// split parts a local part at the delimiter behind our name.
func (r *Returns) split(local string) (name, text string, found bool) {
	local = strings.Trim(local, `"`)
	n := len(r.Address.Name)
	if len(local) <= n || local[n] != r.Address.Delimiter {
		return local, "", false
	}
	return local[:n], local[n+1:], true
}

// Ours tells whether an address is the bounce address, whatever stands behind the delimiter.
func (r *Returns) Ours(addr string) bool {
	if ours.Domain(addr) != r.Address.Domain {
		return false
	}
	name, _, _ := r.split(ours.Local(addr))
	return strings.EqualFold(name, r.Address.Name)
}

// maxText is how much of a text Find looks at.
const maxText = 64 << 10

// Find looks for a good token in a text: a header field, a line of a report. Nothing is asked of what stands around it.
func (r *Returns) Find(text string, now time.Time) (Token, bool) {
	text = text[:min(len(text), maxText)]
	lead := strings.ToLower(r.Address.Name) + string(r.Address.Delimiter)
	for at := 0; at+len(lead)+tokenChars <= len(text); at++ {
		end := at + len(lead) + tokenChars
		if !strings.EqualFold(text[at:at+len(lead)], lead) || end < len(text) && digit(text[end]) >= 0 {
			continue
		}
		if t, err := r.Ring.Read(text[at+len(lead):end], now); err == nil {
			return t, true
		}
	}
	return Token{}, false
}
