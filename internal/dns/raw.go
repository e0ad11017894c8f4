package dns

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// The types of records that raw questions are about (RFC 1035, section 3.2.2).
const (
	TypeA   uint16 = 1
	TypeTXT uint16 = 16

	typeNS    uint16 = 2
	typeCNAME uint16 = 5
	typeSOA   uint16 = 6
	classIN   uint16 = 1
)

// The response codes that a Reply can have, as far as somebody looks at them (RFC 1035, section 4.1.1; RFC 2136, section 2.2).
const (
	NoError  = 0
	FormErr  = 1
	ServFail = 2
	NXDomain = 3
	NotImp   = 4
	Refused  = 5
	NotAuth  = 9
)

// Reply is what a server said, with everything that a Resolver hides: who asks a blocklist must tell "not listed" from "I do
// not talk to you", and both from "somebody in between made this up".
type Reply struct {
	Rcode     int
	Addrs     []netip.Addr // of A records, in the order of the message
	Texts     []string     // of TXT records, the strings of each joined
	Alias     bool         // there was a CNAME on the way
	Referral  bool         // the server knows nothing and names others: it is lame for this name (RFC 1912, section 2.8)
	Truncated bool         // something is missing, and there was no way to get it
	// TTL is how long the reply may be kept: the least of its records, or for "there is none" what the zone says (RFC 2308,
	// section 5). Zero when nothing is said.
	TTL time.Duration
}

var errMessage = errors.New("broken message")

// appendQuestion appends a query of one question that asks for recursion (RFC 1035, section 4.1). The name is one that ASCII
// or a caller of equal care has made.
func appendQuestion(b []byte, id uint16, name string, qtype uint16) ([]byte, error) {
	b = append(b, byte(id>>8), byte(id), 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxName {
		return nil, errName
	}
	for name != "" {
		label, rest, more := strings.Cut(name, ".")
		if label == "" || len(label) > maxLabel || more && rest == "" {
			return nil, errName
		}
		b = append(append(b, byte(len(label))), label...)
		name = rest
	}
	return append(b, 0, byte(qtype>>8), byte(qtype), 0, byte(classIN)), nil
}

// headerSize is the length of the header of a message.
const headerSize = 12

// sameQuestion tells whether a message is a response to a query: the question must be repeated octet for octet, but for the
// case of letters (RFC 5452, section 9.1). A server that could not read the question need not repeat it.
func sameQuestion(msg, query []byte) bool {
	if len(msg) < headerSize || msg[0] != query[0] || msg[1] != query[1] || msg[2]&0xf8 != 0x80 {
		return false
	}
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		rcode := int(msg[3] & 0x0f)
		return rcode != NoError && rcode != NXDomain
	}
	if len(msg) < len(query) {
		return false
	}
	for i := headerSize; i < len(query); i++ {
		if a, b := msg[i], query[i]; a != b && (a|0x20 != b|0x20 || a|0x20 < 'a' || a|0x20 > 'z') {
			return false
		}
	}
	return binary.BigEndian.Uint16(msg[4:]) == 1
}

// parseReply reads a message. A truncated one may end in the middle of a record: what came before it counts.
func parseReply(msg []byte) (Reply, error) {
	if len(msg) < headerSize {
		return Reply{}, errMessage
	}
	r := Reply{Rcode: int(msg[3] & 0x0f), Truncated: msg[2]&0x02 != 0}
	p := parser{msg: msg, off: headerSize}
	for range binary.BigEndian.Uint16(msg[4:]) {
		p.name()
		p.skip(4)
	}
	answers, authority := binary.BigEndian.Uint16(msg[6:]), binary.BigEndian.Uint16(msg[8:])
	first := true
	for range answers {
		p.answer(&r, &first)
	}
	p.authority(&r, int(authority), answers == 0, msg[2]&0x04 != 0 || msg[3]&0x80 != 0)
	if p.bad && !r.Truncated {
		return Reply{}, errMessage
	}
	return r, nil
}

// parser walks through a message; bad is set when it ends too early, and everything after that is a no-op.
type parser struct {
	msg []byte
	off int
	bad bool
}

// record is the fixed part of a resource record, with where its data lies.
type record struct {
	kind, class uint16
	ttl         uint32
	data        []byte
}

func (p *parser) skip(n int) {
	if p.off += n; p.off > len(p.msg) {
		p.bad = true
	}
}

// name passes over a name. What it says does not matter: a pointer ends it (RFC 1035, section 4.1.4).
func (p *parser) name() {
	for !p.bad {
		if p.off >= len(p.msg) {
			p.bad = true
			return
		}
		c := p.msg[p.off]
		switch {
		case c == 0:
			p.skip(1)
			return
		case c&0xc0 == 0xc0:
			p.skip(2)
			return
		case c&0xc0 != 0:
			p.bad = true
		default:
			p.skip(1 + int(c))
		}
	}
}

func (p *parser) record() (r record, ok bool) {
	p.name()
	if p.bad || p.off+10 > len(p.msg) {
		p.bad = true
		return r, false
	}
	h := p.msg[p.off:]
	r = record{kind: binary.BigEndian.Uint16(h), class: binary.BigEndian.Uint16(h[2:]), ttl: binary.BigEndian.Uint32(h[4:])}
	size := int(binary.BigEndian.Uint16(h[8:]))
	from := p.off + 10
	p.skip(10 + size)
	if p.bad {
		return r, false
	}
	r.data = p.msg[from : from+size]
	return r, true
}

func (p *parser) answer(r *Reply, first *bool) {
	rec, ok := p.record()
	if !ok || rec.class != classIN {
		return
	}
	if ttl := seconds(rec.ttl); *first || ttl < r.TTL {
		r.TTL, *first = ttl, false
	}
	switch rec.kind {
	case TypeA:
		if addr, ok := netip.AddrFromSlice(rec.data); ok && addr.Is4() {
			r.Addrs = append(r.Addrs, addr)
		}
	case TypeTXT:
		r.Texts = append(r.Texts, joinStrings(rec.data))
	case typeCNAME:
		r.Alias = true
	}
}

// authority looks for the SOA record, whose TTL and last field say how long "there is none" holds (RFC 2308, section 5), and
// for a referral: name servers of others, from one that neither knows (AA) nor looks it up (RA).
func (p *parser) authority(r *Reply, n int, empty, knows bool) {
	soa, ns := false, false
	for range n {
		rec, ok := p.record()
		if !ok {
			return
		}
		switch {
		case rec.kind == typeSOA && len(rec.data) >= 4:
			soa = true
			least := binary.BigEndian.Uint32(rec.data[len(rec.data)-4:])
			if empty {
				r.TTL = seconds(min(least, rec.ttl))
			}
		case rec.kind == typeNS:
			ns = true
		}
	}
	r.Referral = empty && ns && !soa && !knows && r.Rcode == NoError
}

// seconds makes a TTL a duration. One with the first bit set is zero (RFC 2181, section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// joinStrings joins the strings of a TXT record (RFC 7208, section 3.3).
func joinStrings(data []byte) string {
	var b strings.Builder
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		b.Write(data[1 : 1+n])
		data = data[1+n:]
	}
	return b.String()
}
