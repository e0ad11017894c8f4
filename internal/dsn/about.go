package dsn

import (
	"bytes"
	"strings"
)

// about takes what a message's header says of the message that the report is about. The first one that says something counts.
func (rd *reader) about(h *header) {
	o := &rd.out.Original
	if o.MessageID == "" {
		o.MessageID = messageID(h.get(fieldMessageID))
	}
	if o.From == "" {
		o.From = firstAddr(h.get(fieldFrom))
	}
	if o.To == "" {
		o.To = firstAddr(h.get(fieldTo))
	}
	if o.Subject == "" {
		o.Subject = headerText(h.get(fieldSubject))
	}
	if o.Date.IsZero() {
		o.Date = parseDate(h.get(fieldDate))
	}
	if path := firstAddr(h.get(fieldReturnPath)); path != "" {
		if o.ReturnPath == "" {
			o.ReturnPath = path
		}
		rd.sentTo(path)
	}
}

// sentTo adds an address to those in which our token may stand.
func (rd *reader) sentTo(addr string) {
	if addr != "" && len(rd.out.To) < maxAddrs && !contains(rd.out.To, []byte(addr)) {
		rd.out.To = append(rd.out.To, addr)
	}
}

// messageID returns a Message-ID without its angle brackets.
func messageID(v []byte) string {
	if i := bytes.IndexByte(v, '<'); i >= 0 {
		v = v[i+1:]
		if j := bytes.IndexByte(v, '>'); j >= 0 {
			v = v[:j]
		}
	}
	return clone(strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, string(v[:min(len(v), 1000)])), 900)
}
