package dnsbl

import (
	"net/netip"
	"strconv"
	"strings"

	"ukai/internal/dns"
)

// rcodes are the response codes of the DNS that a row may explain.
var rcodes = map[string]int{
	"FORMERR": dns.FormErr, "SERVFAIL": dns.ServFail, "NOTIMP": dns.NotImp, "REFUSED": dns.Refused, "NOTAUTH": dns.NotAuth,
}

// pattern is a compiled code: octets with their bounds, or a bit, or a response code.
type pattern struct {
	Code
	low, high [4]byte
	bit       byte
	rcode     int
	exact     bool
}

// codeTable finds what an address means. Exact codes come before patterns, and those in the order of the file.
type codeTable struct {
	exact    map[netip.Addr]*pattern
	patterns []*pattern
	bits     []*pattern
	rcodes   map[int]*pattern
}

func newCodeTable(codes []Code) (codeTable, int, bool) {
	t := codeTable{exact: make(map[netip.Addr]*pattern), rcodes: make(map[int]*pattern)}
	for i, c := range codes {
		p, ok := parseCode(c)
		switch {
		case !ok:
			return t, i, false
		case p.rcode != 0:
			t.rcodes[p.rcode] = p
		case p.bit != 0:
			t.bits = append(t.bits, p)
		case p.exact:
			t.exact[netip.AddrFrom4(p.low)] = p
		default:
			t.patterns = append(t.patterns, p)
		}
	}
	return t, 0, true
}

// parseCode reads "127.0.0.2", "127.0.4.0-100", "127.0.x.3", "bit 64" and "REFUSED".
func parseCode(c Code) (*pattern, bool) {
	p := &pattern{Code: c, exact: true}
	if rcode, ok := rcodes[c.Code]; ok {
		p.rcode = rcode
		return p, true
	}
	if n, ok := strings.CutPrefix(c.Code, "bit "); ok {
		b, err := strconv.ParseUint(n, 10, 8)
		if err != nil || b == 0 || b&(b-1) != 0 {
			return nil, false
		}
		p.bit = byte(b)
		return p, true
	}
	octets := strings.Split(c.Code, ".")
	if len(octets) != 4 || octets[0] != "127" { // every code lies in 127.0.0.0/8 (RFC 5782, section 2.1)
		return nil, false
	}
	for i, o := range octets {
		low, high, ok := parseOctet(o)
		if !ok {
			return nil, false
		}
		p.low[i], p.high[i] = low, high
		p.exact = p.exact && low == high
	}
	return p, true
}

func parseOctet(s string) (low, high byte, ok bool) {
	if s == "x" {
		return 0, 255, true
	}
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	a, err1 := strconv.ParseUint(from, 10, 8)
	b, err2 := strconv.ParseUint(to, 10, 8)
	return byte(a), byte(b), err1 == nil && err2 == nil && a <= b
}

func (p *pattern) covers(a [4]byte) bool {
	for i := range a {
		if a[i] < p.low[i] || a[i] > p.high[i] {
			return false
		}
	}
	return true
}

// find returns what an address means. A bit mask in the last octet may mean several things.
func (t *codeTable) find(addr netip.Addr) []*pattern {
	if p := t.exact[addr]; p != nil {
		return []*pattern{p}
	}
	a := addr.As4()
	for _, p := range t.patterns {
		if p.covers(a) {
			return []*pattern{p}
		}
	}
	if a[1] != 0 || a[2] != 0 {
		return nil
	}
	var found []*pattern
	for _, p := range t.bits {
		if a[3]&p.bit != 0 {
			found = append(found, p)
		}
	}
	return found
}
