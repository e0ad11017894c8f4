package dnsbl

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ukai/internal/dns"
	"ukai/internal/i18n"
)

// Target is what is asked about: an address, a range of addresses, or a domain. The zero Target is none.
type Target struct {
	IP     netip.Addr   // of an address
	Range  netip.Prefix // of a range, masked
	Domain string       // of a domain, as dns.ASCII returns it
}

// widest are the largest ranges that can be judged: more is not one network's business, and samples would say nothing.
const (
	widest4 = 16
	widest6 = 32
)

// ParseTarget reads "192.0.2.1", "2001:db8::1", "192.0.2.0/24" or "example.com". An error says what to do.
func ParseTarget(s string) (Target, error) {
	text := strings.TrimSpace(s)
	if strings.Contains(text, "/") {
		return parseRange(text)
	}
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		if ip.Zone() != "" {
			return Target{}, i18n.Errorf("dnsbl.target.zone", "target", s)
		}
		return Target{IP: ip.Unmap()}, nil
	}
	if numeric(text) {
		return Target{}, i18n.Errorf("dnsbl.target.ip", "target", s)
	}
	name, err := dns.ASCII(text)
	if err != nil || !strings.Contains(name, ".") || strings.ContainsAny(name, "@*:_ ") {
		return Target{}, i18n.Errorf("dnsbl.target.other", "target", s)
	}
	return Target{Domain: name}, nil
}

func parseRange(s string) (Target, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Target{}, i18n.Errorf("dnsbl.target.cidr", "target", s)
	}
	ip, bits := p.Addr(), p.Bits()
	if ip.Is4In6() {
		if bits < 96 {
			return Target{}, i18n.Errorf("dnsbl.target.cidr", "target", s)
		}
		ip, bits = ip.Unmap(), bits-96
	}
	if ip.Is4() && bits < widest4 || ip.Is6() && bits < widest6 {
		least := widest4
		if ip.Is6() {
			least = widest6
		}
		return Target{}, i18n.Errorf("dnsbl.target.wide", "target", s, "least", least)
	}
	if bits == ip.BitLen() {
		return Target{IP: ip}, nil
	}
	return Target{Range: netip.PrefixFrom(ip, bits).Masked()}, nil
}

// numeric tells whether a text was meant as an address: a name does not end in a number (RFC 3696, section 2).
func numeric(s string) bool {
	if strings.Contains(s, ":") {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// String returns the target as it is shown.
func (t Target) String() string {
	switch {
	case t.IP.IsValid():
		return t.IP.String()
	case t.Range.IsValid():
		return t.Range.String()
	}
	return t.Domain
}

// Kind returns the sort of thing the target is.
func (t Target) Kind() Kind {
	ip := t.IP
	if t.Range.IsValid() {
		ip = t.Range.Addr()
	}
	switch {
	case ip.Is4():
		return IP4
	case ip.Is6():
		return IP6
	}
	return Domain
}

// name returns the name that is asked about at a list (RFC 5782, sections 2.1, 2.4 and 3). A domain goes in as its registrable
// part unless the list knows host names; a range has no name.
func (t Target) name(l *List) string {
	if t.IP.IsValid() {
		return dns.ReverseName(t.IP, l.zone())
	}
	name := t.Domain
	if l.Entries.Names != "host" {
		if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
			name = d
		}
	}
	return name + "." + l.zone()
}
