package peersim

import (
	"net/netip"
	"strings"

	mdns "github.com/miekg/dns"
)

// maxChain bounds how many CNAMEs are followed.
const maxChain = 8

// fill puts the records for a question into m.
func (z *Zone) fill(m *mdns.Msg, name string, kind uint16) {
	for range maxChain {
		alias, ok := z.CNAME[name]
		if !ok {
			break
		}
		m.Answer = append(m.Answer, &mdns.CNAME{Hdr: z.head(name, mdns.TypeCNAME), Target: mdns.Fqdn(alias)})
		name = lower(alias)
	}
	switch kind {
	case mdns.TypeMX:
		for i, h := range z.MX[name] {
			pref := uint16(10 * (i + 1))
			if h == "" {
				pref = 0
			}
			m.Answer = append(m.Answer, &mdns.MX{Hdr: z.head(name, kind), Preference: pref, Mx: mdns.Fqdn(h)})
		}
	case mdns.TypeA, mdns.TypeAAAA:
		z.fillAddrs(m, name, kind)
	case mdns.TypeTXT:
		for _, t := range z.TXT[name] {
			m.Answer = append(m.Answer, &mdns.TXT{Hdr: z.head(name, kind), Txt: split255(t)})
		}
	case mdns.TypePTR:
		for _, p := range z.PTR[fromReverse(name)] {
			m.Answer = append(m.Answer, &mdns.PTR{Hdr: z.head(name, kind), Ptr: mdns.Fqdn(p)})
		}
	}
	if len(m.Answer) == 0 && !z.exists(name) {
		m.Rcode = mdns.RcodeNameError
	}
}

func (z *Zone) fillAddrs(m *mdns.Msg, name string, kind uint16) {
	for _, a := range z.Addr[name] {
		switch {
		case kind == mdns.TypeA && a.Is4():
			m.Answer = append(m.Answer, &mdns.A{Hdr: z.head(name, kind), A: a.AsSlice()})
		case kind == mdns.TypeAAAA && a.Is6():
			m.Answer = append(m.Answer, &mdns.AAAA{Hdr: z.head(name, kind), AAAA: a.AsSlice()})
		}
	}
}

// exists tells whether a name stands in a table, or above one that does (RFC 8020: what has children exists).
func (z *Zone) exists(name string) bool {
	if _, ok := z.MX[name]; ok {
		return true
	}
	if _, ok := z.Addr[name]; ok {
		return true
	}
	if _, ok := z.TXT[name]; ok {
		return true
	}
	if _, ok := z.PTR[fromReverse(name)]; ok {
		return true
	}
	return z.hasBelow(name)
}

func (z *Zone) hasBelow(name string) bool {
	suffix := "." + name
	for k := range z.MX {
		if strings.HasSuffix(k, suffix) {
			return true
		}
	}
	for k := range z.Addr {
		if strings.HasSuffix(k, suffix) {
			return true
		}
	}
	for k := range z.TXT {
		if strings.HasSuffix(k, suffix) {
			return true
		}
	}
	return false
}

// split255 cuts a text into the strings of a TXT record (RFC 1035, section 3.3.14).
func split255(t string) []string {
	var parts []string
	for len(t) > 255 {
		parts, t = append(parts, t[:255]), t[255:]
	}
	return append(parts, t)
}

// fromReverse returns the address that a name under in-addr.arpa or ip6.arpa stands for, or the zero Addr.
func fromReverse(name string) netip.Addr {
	if v4, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		l := strings.Split(v4, ".")
		if len(l) == 4 {
			a, _ := netip.ParseAddr(l[3] + "." + l[2] + "." + l[1] + "." + l[0])
			return a
		}
	}
	if v6, ok := strings.CutSuffix(name, ".ip6.arpa"); ok && len(v6) == 63 {
		var b strings.Builder
		for i := len(v6) - 1; i >= 0; i -= 2 {
			b.WriteByte(v6[i])
			if b.Len()%5 == 4 && i > 0 {
				b.WriteByte(':')
			}
		}
		a, _ := netip.ParseAddr(b.String())
		return a
	}
	return netip.Addr{}
}
