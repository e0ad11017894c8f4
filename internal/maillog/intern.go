package maillog

import (
	"hash/maphash"
	"net/netip"
	"strings"
)

// names keeps strings that come again and again (addresses, host names) so that each is made once. It is a table with one place
// for each hash: a newcomer takes the place of the one that was there, and so it never grows.
type names struct {
	seed  maphash.Seed
	table []string // a power of two of them
}

// maxName is the longest string that is worth keeping. What is four times as long is cut there: the longest address has 320
// octets (RFC 5321, section 4.5.3.1), a host name 255.
const maxName = 256

func (n *names) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxName {
		return visible(b[:min(len(b), 4*maxName)])
	}
	at := &n.table[maphash.Bytes(n.seed, b)&uint64(len(n.table)-1)]
	if *at != string(b) {
		*at = visible(b)
	}
	return *at
}

// visible makes a string of octets, with a question mark for what would play with a terminal.
func visible(b []byte) string {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return strings.Map(func(c rune) rune {
				if c < ' ' || c == 0x7f {
					return '?'
				}
				return c
			}, string(b))
		}
	}
	return string(b)
}

// peer is another server or a client as Postfix writes it: "mx.example.com[192.0.2.1]:25".
type peer struct {
	text string // the key
	name string
	addr netip.AddrPort
}

// peers keeps peers as names keeps strings.
type peers struct {
	seed  maphash.Seed
	table []peer // a power of two of them
}

func (p *peers) get(b []byte) *peer {
	b = b[:min(len(b), maxName)]
	at := &p.table[maphash.Bytes(p.seed, b)&uint64(len(p.table)-1)]
	if at.text == string(b) {
		return at
	}
	*at = makePeer(string(b))
	return at
}

// makePeer takes a name, an address in brackets and a port apart; each may be missing.
func makePeer(s string) peer {
	p := peer{text: s, name: visible([]byte(s))}
	b := []byte(s)
	open, closed := -1, -1
	for i, c := range b {
		switch c {
		case '[':
			open = i
		case ']':
			closed = i
		}
	}
	if open < 0 || closed < open {
		return p
	}
	p.name = visible([]byte(s[:open]))
	if p.name == "unknown" {
		p.name = ""
	}
	var port uint16
	if rest := b[closed+1:]; len(rest) > 1 && rest[0] == ':' {
		if n, ok := number(rest[1:]); ok && n < 1<<16 {
			port = uint16(n)
		}
	}
	if a := address(b[open+1 : closed]); a.IsValid() {
		p.addr = netip.AddrPortFrom(a, port)
	}
	return p
}

// addrPort is an address whose port the log does not tell.
func addrPort(a netip.Addr) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, 0)
}
