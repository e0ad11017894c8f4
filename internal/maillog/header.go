package maillog

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// record is one line taken apart: who wrote it when, and what.
type record struct {
	moment
	host   string // interned
	source uint64 // hash of host and instance: queue IDs are only unique within it
	tag    []byte // program, as logged: "postfix/smtp", "sendmail", "qmail"; empty when the line has none
	pid    []byte
	msg    []byte
	late   bool // a host was looked for behind a time that servers write into their own files
}

// sources turns a host and an instance of a server on it into a number, quickly while they stay the same.
type sources struct {
	seed       maphash.Seed
	host, inst []byte
	last       uint64
}

func (s *sources) of(host, inst []byte) uint64 {
	if !bytes.Equal(host, s.host) || !bytes.Equal(inst, s.inst) {
		s.host, s.inst = append(s.host[:0], host...), append(s.inst[:0], inst...)
		s.last = maphash.Bytes(s.seed, host) ^ bits.RotateLeft64(maphash.Bytes(s.seed, inst), 17)
	}
	return s.last
}

// split takes the time, the host and the tag off a line. It tells whether the line began with a time.
func (p *Parser) split(b []byte, r *record) bool {
	if len(b) < 2 {
		return false
	}
	version := false
	if b[0] == '<' { // the priority of RFC 3164 and RFC 5424 as it comes over the wire
		n := digits(b[1:])
		if n == 0 || n > 3 || len(b) < n+4 || b[n+1] != '>' {
			return false
		}
		if b = b[n+2:]; b[0] == '1' && b[1] == ' ' {
			version, b = true, b[2:]
		}
	}
	n := p.stamp(b, r)
	if n == 0 || n < len(b) && b[n] != ' ' && b[n] != '\t' && b[n] != ':' {
		return false
	}
	if b = b[n:]; len(b) > 0 {
		b = b[1:]
	}
	switch {
	case version:
		p.header5424(b, r)
	case r.tag == nil:
		p.header3164(b, r)
	default: // servers that write their own files name neither host nor program
		p.setHost(nil, r)
		r.tag, r.msg = nil, b
	}
	return true
}

// stamp reads the time in whichever form it is. For the forms without a host behind it, it leaves a tag.
func (p *Parser) stamp(b []byte, r *record) (n int) {
	r.tag = nil
	if len(b) == 0 {
		return 0
	}
	switch c := b[0]; {
	case c >= 'A' && c <= 'S':
		r.moment, n = p.clock.bsd(b)
	case c == '@':
		r.moment, n = tai(b)
		r.tag = b[:0]
	case c == '1' || c == '2':
		if len(b) > 10 && b[4] == ' ' { // "2026 Nov 22 10:00:00"
			return p.yearFirst(b, r)
		}
		if r.moment, n = p.clock.iso(b); n > 0 {
			if b[10] == ' ' { // Exim; a syslog host may follow where somebody chose this form, see header3164
				r.tag = b[:0]
			}
			return n
		}
		r.moment, n = epoch(b)
		r.tag = b[:0]
	}
	return n
}

// yearFirst reads "2026 Nov 22 10:00:00".
func (p *Parser) yearFirst(b []byte, r *record) int {
	year, ok := number(b[:4])
	if !ok {
		return 0
	}
	c := clock{loc: p.clock.loc, hint: int(year)}
	m, n := c.bsd(b[5:])
	if n == 0 {
		return 0
	}
	r.moment = m
	return n + 5
}

// header3164 reads "host program[123]: text". FreeBSD's syslogd -v puts "<mail.info>" before the host; Solaris puts
// "[ID 197553 mail.info]" before the text; relays of AIX say "Message forwarded from host:".
func (p *Parser) header3164(b []byte, r *record) {
	if len(b) > 0 && b[0] == '<' {
		if i := bytes.IndexByte(b, ' '); i > 0 && b[i-1] == '>' {
			b = b[i+1:]
		}
	}
	if hasPrefix(b, "Message forwarded from ") {
		if _, rest, ok := cut(b, ": "); ok {
			host, _, _ := cut(b[len("Message forwarded from "):], ":")
			p.setHost(host, r)
			p.program(rest, r)
			return
		}
	}
	if k := len(p.hostText); len(b) > k && b[k] == ' ' && bytes.Equal(b[:k], p.hostText) {
		r.host = p.host
		p.program(b[k+1:], r)
		return
	}
	host, rest := word(b)
	if n := len(host); n > 0 && (host[n-1] == ':' || host[n-1] == ']') { // no host: the program comes first
		p.setHost(nil, r)
		p.program(b, r)
		return
	}
	p.setHost(host, r)
	p.program(rest, r)
}

func (p *Parser) setHost(host []byte, r *record) {
	if len(host) > maxName {
		host = host[:maxName]
	}
	if !bytes.Equal(host, p.hostText) {
		p.hostText = append(p.hostText[:0], host...)
		p.host = p.names.get(host)
	}
	r.host = p.host
}

// program reads "postfix/smtp[123]: text". What has no colon has no program: "last message repeated 2 times".
func (p *Parser) program(b []byte, r *record) {
	r.tag, r.pid, r.msg = nil, nil, b
	for i, c := range b {
		switch c {
		case ':':
			r.tag, r.msg = b[:i], trimLeft(b[i+1:])
			return
		case '[':
			end := bytes.IndexByte(b[i:], ']')
			if end < 0 {
				return
			}
			r.tag, r.pid = b[:i], b[i+1:i+end]
			b = b[i+end+1:]
			if len(b) > 0 && b[0] == ':' {
				b = b[1:]
			}
			r.msg = trimLeft(b)
			p.solaris(r)
			return
		case ' ':
			return
		}
	}
}

func (p *Parser) solaris(r *record) {
	if hasPrefix(r.msg, "[ID ") {
		if _, rest, ok := cut(r.msg, "] "); ok {
			r.msg = rest
		}
	}
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// header5424 reads "HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG" (RFC 5424, section 6); "-" stands for what is missing.
func (p *Parser) header5424(b []byte, r *record) {
	host, b := word(b)
	tag, b := word(b)
	pid, b := word(b)
	_, b = word(b)
	nilValue := func(v []byte) []byte {
		if string(v) == "-" {
			return nil
		}
		return v
	}
	p.setHost(nilValue(host), r)
	r.tag, r.pid = nilValue(tag), nilValue(pid)
	b = trimLeft(structured(b))
	if hasPrefix(b, "\xef\xbb\xbf") { // the byte order mark of section 6.4
		b = b[3:]
	}
	r.msg = b
}

// structured skips STRUCTURED-DATA: "-", or elements in brackets with quoted values in which \ escapes (section 6.3).
func structured(b []byte) []byte {
	if len(b) > 0 && b[0] == '-' {
		return b[1:]
	}
	for len(b) > 0 && b[0] == '[' {
		quoted := false
		i := 1
		for ; i < len(b) && (quoted || b[i] != ']'); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				quoted = !quoted
			}
		}
		b = b[min(i+1, len(b)):]
	}
	return b
}
