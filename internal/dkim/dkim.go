// Package dkim signs mail: RFC 6376 with the keys of RFC 8301 (RSA of 1024 bits and more, SHA-256) and RFC 8463 (Ed25519).
//
// A DKIM signature is a promise by a domain about the content of a message: "this header and this body passed through our
// hands". It holds whatever way the message takes, and that is what ukai needs it for: when a detour sends mail from an
// address that the sender's SPF record does not name, an aligned signature still passes DMARC. So a message is signed once,
// when it is taken in, and never touched again.
//
// What is signed. The key is chosen by the domain of the From field, because that is what DMARC aligns with (RFC 7489,
// section 3.1). Header and body are canonicalised "relaxed": relays may refold a field, never change a word. Every field that
// RFC 5322 allows only once is signed once more often than it occurs (RFC 6376, section 8.15), or anybody could put a second
// Subject on top of a signed message and send it on in the domain's name. A message with two From fields is not signed at
// all: whom would the signature speak for?
//
// A Stream hashes the content while it is received, so that a message is never read twice or held in memory. The content
// must have CRLF line ends: package smtpserver lets nothing else in. (The hashing below would quietly mend a lone LF, and
// the signature would then not fit what is sent.)
//
// The signing itself is done by github.com/emersion/go-msgauth.
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"regexp"
	"strings"

	"ukai/internal/dns"
	"ukai/internal/i18n"
)

// MinBits is the shortest RSA key that receivers accept (RFC 8301, section 3.2); BitsWanted is what that section asks of signers.
const (
	MinBits    = 1024
	BitsWanted = 2048
)

// Key is a signing key of a domain.
type Key struct {
	Domain   string // d=: any case, A-labels or UTF-8
	Selector string // s=: the public key stands at Selector._domainkey.Domain
	// Subdomains lets the key sign for From fields in subdomains of Domain that have no key of their own.
	Subdomains bool
	Private    crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey; see ParsePEM
}

// Bits returns the length of an RSA key, 0 for others.
func (k *Key) Bits() int {
	if k.Private == nil {
		return 0
	}
	if pub, ok := k.Private.Public().(*rsa.PublicKey); ok {
		return pub.N.BitLen()
	}
	return 0
}

// Signer signs with the keys of any number of domains. It is immutable and safe for concurrent use.
type Signer struct {
	exact map[string][]Key
	below map[string][]Key // keys that may sign for subdomains of the domain
}

// NewSigner checks the keys. A domain with several keys gets a signature by each, in their order: that is how a domain moves
// to a new key, or adds Ed25519 for those who understand it.
func NewSigner(keys []Key) (*Signer, error) {
	s := &Signer{exact: make(map[string][]Key), below: make(map[string][]Key)}
	for _, k := range keys {
		if err := checkKey(&k); err != nil {
			return nil, err
		}
		for _, other := range s.exact[k.Domain] {
			if other.Selector == k.Selector {
				return nil, i18n.Errorf("dkim.key.twice", "domain", k.Domain, "selector", k.Selector)
			}
		}
		s.exact[k.Domain] = append(s.exact[k.Domain], k)
		if k.Subdomains {
			s.below[k.Domain] = append(s.below[k.Domain], k)
		}
	}
	return s, nil
}

// name is a domain name of A-labels (RFC 6376, section 3.1: the selector is made of the same).
var name = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// checkKey brings the names of a key into the form in which they are compared and sent.
func checkKey(k *Key) error {
	domain := canonical(k.Domain)
	if !name.MatchString(domain) || !strings.Contains(domain, ".") {
		return i18n.Errorf("dkim.key.domain", "domain", k.Domain)
	}
	k.Domain = domain
	selector := strings.ToLower(k.Selector)
	if !name.MatchString(selector) || len(selector)+len("._domainkey.")+len(domain) > 253 {
		return i18n.Errorf("dkim.key.selector", "domain", k.Domain, "selector", k.Selector)
	}
	k.Selector = selector
	if k.Private == nil {
		return i18n.Errorf("dkim.key.none", "domain", k.Domain, "selector", k.Selector)
	}
	switch k.Private.Public().(type) {
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if k.Bits() < MinBits {
			return i18n.Errorf("dkim.key.short", "domain", k.Domain, "selector", k.Selector, "bits", k.Bits(), "least", MinBits, "wanted", BitsWanted)
		}
	default:
		return i18n.Errorf("dkim.key.kind", "domain", k.Domain, "selector", k.Selector)
	}
	return nil
}

// canonical returns a domain as keys are looked up by it: lower case, A-labels, no trailing dot. What is no domain name comes
// back as it is, and no key is found for it.
func canonical(domain string) string {
	if a, err := dns.ASCII(domain); err == nil {
		return a
	}
	return domain
}

// For returns the keys that sign for a From domain: those of the domain itself, or else those of the nearest parent that may
// sign for its subdomains; none if nobody may.
func (s *Signer) For(domain string) []Key {
	domain = canonical(domain)
	if keys := s.exact[domain]; len(keys) > 0 {
		return keys
	}
	for {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok {
			return nil
		}
		if keys := s.below[parent]; len(keys) > 0 {
			return keys
		}
		domain = parent
	}
}
