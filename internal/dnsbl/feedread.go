package dnsbl

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"ukai/internal/dns"
)

// feedReader takes a file apart, line by line.
type feedReader struct {
	format Format
	feed   *Feed
	plant  Planter
	known  map[value]uint32 // the same answer is kept once
	scope  value            // the default of the lines that follow
	vars   [10]string       // $0 to $9
}

// line reads one line and says whether it could.
func (r *feedReader) line(s string) bool {
	switch {
	case s == "", s[0] == '#', s[0] == ';':
		return true
	case r.format == JSON:
		return r.object(s)
	case r.format == CIDR:
		return r.plain(s)
	case s[0] == '$':
		return r.special(s)
	case s[0] == ':':
		v, ok := r.value(s)
		r.scope = v
		return ok
	}
	not := s[0] == '!'
	entry, rest := cutSpace(strings.TrimSpace(strings.TrimPrefix(s, "!")))
	v, ok := r.value(rest)
	if !ok {
		return false
	}
	n := uint32(0)
	if !not {
		n = r.number(v)
	}
	r.feed.size++
	if r.format == DNSet {
		return r.domain(entry, n)
	}
	return r.address(entry, n)
}

func cutSpace(s string) (head, tail string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// special reads $SOA, $NS, $TTL and the like, which say nothing about entries, and $1 to $9, which are put into reasons.
func (r *feedReader) special(s string) bool {
	name, text := cutSpace(s[1:])
	if len(name) == 1 && name[0] >= '0' && name[0] <= '9' {
		r.vars[name[0]-'0'] = text
		return true
	}
	return name != "" && name != "DATASET" // a combined file is several lists: which one is meant is not known
}

// value reads what stands behind an entry: ":127.0.0.3:text", ":3:text", ":3", "text", or a remark (rbldnsd(8), "Resulting A
// values and TXT templates").
func (r *feedReader) value(s string) (value, bool) {
	v := r.scope
	switch {
	case s == "" || s[0] == '#' || s[0] == ';':
		return v, true
	case s[0] != ':':
		v.reason = r.fill(s)
		return v, true
	}
	code, text, more := strings.Cut(s[1:], ":")
	if more {
		v.reason = r.fill(strings.TrimSpace(text))
	}
	if code = strings.TrimSpace(code); code == "" {
		return v, true
	}
	if n, err := strconv.ParseUint(code, 10, 8); err == nil {
		v.code = netip.AddrFrom4([4]byte{127, 0, 0, byte(n)})
		return v, true
	}
	ip, err := netip.ParseAddr(code)
	if err != nil || !ip.Is4() {
		return v, false
	}
	v.code = ip
	return v, true
}

// fill puts the variables of the file in; "$$" and a lone "$" wait for the target.
func (r *feedReader) fill(s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; {
		case c >= '0' && c <= '9':
			b.WriteString(r.vars[c-'0'])
			i++
		case c == '$':
			b.WriteString("$$")
			i++
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

func (r *feedReader) number(v value) uint32 {
	n, ok := r.known[v]
	if !ok {
		n = uint32(len(r.feed.values))
		r.feed.values = append(r.feed.values, v)
		r.known[v] = n
	}
	return n
}

// address reads what rbldnsd(8) takes for addresses: whole ones, prefixes of octets, CIDR, and ranges of them.
func (r *feedReader) address(s string, n uint32) bool {
	if strings.Contains(s, ":") {
		return r.six(s, n)
	}
	if from, to, ok := strings.Cut(s, "-"); ok {
		return r.format == IP4Set && r.between(from, to, n)
	}
	body, size, ok := strings.Cut(s, "/")
	octets, count, good := parseOctets(body)
	if !good {
		return false
	}
	bits := uint64(count * 8)
	if ok {
		var err error
		if bits, err = strconv.ParseUint(size, 10, 8); err != nil || bits > 32 {
			return false
		}
	}
	r.plant.Add(netip.PrefixFrom(netip.AddrFrom4(octets), int(bits)), n)
	return true
}

// between reads a range: the first end is filled up with zeros, the last one with ones; a last one of one octet is the value of
// the last octet that the first one gives.
func (r *feedReader) between(from, to string, n uint32) bool {
	first, given, ok := parseOctets(from)
	last, count, good := parseOctets(to)
	if !ok || !good {
		return false
	}
	if count == 1 && given > 1 {
		octet := last[0]
		last = first
		last[given-1] = octet
		count = given
	}
	for i := count; i < 4; i++ {
		last[i] = 255
	}
	a, b := netip.AddrFrom4(first), netip.AddrFrom4(last)
	if b.Less(a) {
		return false
	}
	r.plant.AddRange(a, b, n)
	return true
}

func parseOctets(s string) (octets [4]byte, count int, ok bool) {
	for count < 4 {
		head, rest, more := strings.Cut(s, ".")
		v, err := strconv.ParseUint(head, 10, 8)
		if err != nil {
			return octets, count, false
		}
		octets[count] = byte(v)
		count++
		if !more {
			return octets, count, true
		}
		s = rest
	}
	return octets, count, false
}

// six reads an IPv6 prefix, whose last words may be left out (rbldnsd(8), ip6trie).
func (r *feedReader) six(s string, n uint32) bool {
	body, size, sized := strings.Cut(s, "/")
	bits := 128
	if !strings.Contains(body, "::") {
		if words := strings.Count(body, ":") + 1; words < 8 {
			bits = words * 16
			body += "::"
		}
	}
	ip, err := netip.ParseAddr(body)
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return false
	}
	if sized {
		v, err := strconv.ParseUint(size, 10, 8)
		if err != nil || v > 128 {
			return false
		}
		bits = int(v)
	}
	r.plant.Add(netip.PrefixFrom(ip, bits), n)
	return true
}

// plain reads one address, prefix or range a line; what stands behind it is a remark, and the reason.
func (r *feedReader) plain(s string) bool {
	head, tail := cutSpace(s)
	head = strings.TrimRight(head, ",;")
	v := r.scope
	v.reason = strings.TrimLeft(tail, "#; \t")
	r.feed.size++
	if from, to, ok := strings.Cut(head, "-"); ok {
		a, err1 := netip.ParseAddr(from)
		b, err2 := netip.ParseAddr(to)
		if err1 != nil || err2 != nil || a.Is4() != b.Is4() || b.Less(a) || a.Zone()+b.Zone() != "" {
			return false
		}
		r.plant.AddRange(a, b, r.number(v))
		return true
	}
	return r.prefix(head, v)
}

func (r *feedReader) prefix(s string, v value) bool {
	if p, err := netip.ParsePrefix(s); err == nil {
		r.plant.Add(p, r.number(v))
		return !p.Addr().Is4In6()
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	r.plant.Add(netip.PrefixFrom(ip, ip.BitLen()), r.number(v))
	return true
}

// object reads one line of JSON as Spamhaus writes them: {"cidr": "192.0.2.0/24", "sblid": "SBL1"}, and at the end one about the
// file itself.
func (r *feedReader) object(s string) bool {
	var o struct {
		CIDR string `json:"cidr"`
		SBL  string `json:"sblid"`
		Type string `json:"type"`
	}
	if json.Unmarshal([]byte(s), &o) != nil {
		return false
	}
	if o.CIDR == "" {
		return o.Type != ""
	}
	r.feed.size++
	v := r.scope
	v.reason = o.SBL
	return r.prefix(o.CIDR, v)
}

// domain reads a name of rbldnsd's dnset: itself, with "*." what is below it, with "." both.
func (r *feedReader) domain(s string, n uint32) bool {
	itself, below := true, false
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		s, itself, below = rest, false, true
	} else if rest, ok := strings.CutPrefix(s, "."); ok {
		s, below = rest, true
	}
	name, err := dns.ASCII(s)
	if err != nil {
		return false
	}
	if itself {
		r.feed.names[name] = n
	}
	if below {
		r.feed.below[name] = n
	}
	return true
}
