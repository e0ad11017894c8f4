package maillog

import (
	"bytes"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// The programs of Postfix by what their lines look like.
const (
	delivers = iota + 1 // smtp and its like: "to=<...>, relay=..., status=..."
	manages             // qmgr
	admits              // smtpd and postscreen
	cleans              // cleanup
	picks               // pickup
	silent              // nothing that concerns one message
)

// postfixPrograms are the programs under master(8) and the commands that log.
var postfixPrograms = map[string]int{
	"smtp": delivers, "lmtp": delivers, "local": delivers, "virtual": delivers, "pipe": delivers, "error": delivers,
	"retry": delivers, "discard": delivers, "uucp": delivers, "relay": delivers, "spawn": silent,
	"qmgr": manages, "oqmgr": manages, "nqmgr": manages,
	"smtpd": admits, "postscreen": admits, "qmqpd": admits, "submission": admits, "submissions": admits, "smtps": admits,
	"cleanup": cleans, "pickup": picks,
	"bounce": silent, "defer": silent, "trace": silent, "verify": silent, "anvil": silent, "scache": silent, "tlsproxy": silent,
	"dnsblog": silent, "master": silent, "postfix-script": silent, "postsuper": silent, "proxymap": silent, "tlsmgr": silent,
	"trivial-rewrite": silent, "showq": silent, "flush": silent, "postlogd": silent, "sendmail": silent, "postdrop": silent,
	"postqueue": silent, "postlog": silent, "postmap": silent, "postalias": silent, "postkick": silent, "postmulti": silent,
	"proxywrite": silent, "postcat": silent, "postlock": silent, "postconf": silent, "postfix": silent, "postmultid": silent,
	"postfix-files": silent, "postfix-wrapper": silent, "local_scan": silent,
}

// role finds what a program's lines look like, without a look into the map for those that write most of them.
func role(program []byte) int {
	switch string(program) {
	case "smtp", "lmtp":
		return delivers
	case "qmgr":
		return manages
	case "smtpd":
		return admits
	case "cleanup":
		return cleans
	}
	return postfixPrograms[string(program)]
}

// postfix reads a line of Postfix. With no program (a bare text) the line's own form tells.
func (p *Parser) postfix(r *record, program []byte) bool {
	kind := role(program)
	id, rest, ok := queueID(r.msg)
	if !ok {
		return p.postfixNoID(r, kind, program)
	}
	switch {
	case hasPrefix(rest, "to=<"):
		return p.postfixDelivery(r, id, rest)
	case hasPrefix(rest, "from=<"):
		return p.postfixActive(r, id, rest)
	case hasPrefix(rest, "removed"):
		if m := p.table.find(r.source, id, r.sec); m != nil {
			p.table.end(m)
		}
		return true
	case kind == delivers && hasPrefix(rest, "host "):
		p.meets(r, id, rest)
		return true
	case hasPrefix(rest, "client="):
		p.postfixClient(p.table.begin(r.source, id, r.sec), rest)
		return true
	case hasPrefix(rest, "uid="): // pickup: a program on this machine
		p.table.begin(r.source, id, r.sec)
		return true
	case hasPrefix(rest, "message-id="), hasPrefix(rest, "resent-message-id="):
		p.postfixMessageID(r, id, rest)
		return true
	case hasPrefix(rest, "reject: "), hasPrefix(rest, "milter-reject: "), hasPrefix(rest, "proxy-reject: "):
		return p.postfixReject(r, id, rest)
	}
	return kind != 0 || postfixTalk(rest)
}

// queueID reads "ABCDEF0123: " or "NOQUEUE: ". Short IDs are hexadecimal, long ones digits and letters without vowels; there are
// at least six characters, and no other text at this place is written so.
func queueID(b []byte) (id, rest []byte, ok bool) {
	for i, c := range b {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			continue
		}
		if c != ':' || i < 6 || i > 24 || len(b) < i+3 || b[i+1] != ' ' {
			return nil, b, false
		}
		return b[:i], b[i+2:], !isWord(b[:i])
	}
	return nil, b, false
}

// isWord tells the words before a colon that look like a queue ID but are none.
func isWord(b []byte) bool {
	switch string(b) {
	case "warning", "reject", "statistics":
		return true
	}
	return false
}

// postfixNoID reads lines that are not about a message in the queue.
func (p *Parser) postfixNoID(r *record, kind int, program []byte) bool {
	b := r.msg
	if kind == delivers && (hasPrefix(b, "Trusted TLS") || hasPrefix(b, "Verified TLS") || hasPrefix(b, "Untrusted TLS") || hasPrefix(b, "Anonymous TLS")) {
		p.handshake(r)
		return true
	}
	if kind == delivers && p.filtered(r) {
		return true
	}
	if kind == admits || kind == cleans || program == nil {
		if hasPrefix(b, "reject: ") || hasPrefix(b, "milter-reject: ") || hasPrefix(b, "proxy-reject: ") {
			return p.postfixReject(r, nil, b)
		}
	}
	if program == nil && hasPrefix(b, "to=<") { // a bare text, as people cut it out of a log
		return p.postfixDelivery(r, nil, b)
	}
	return kind != 0
}

// postfixTalk are forms that say nothing which is kept, for programs whose name is not known.
func postfixTalk(b []byte) bool {
	return hasAny(b, []string{"host ", "warning: ", "conversation with ", "lost connection with ", "enabling PIX", "Cannot start TLS", "hold: ", "filter: ", "warn: "})
}

// postfixClient reads "client=host[192.0.2.1], sasl_method=PLAIN, sasl_username=user".
func (p *Parser) postfixClient(m *message, b []byte) {
	b = b[len("client="):]
	who, rest, _ := cut(b, ", ")
	c := p.peers.get(who)
	m.client, m.clientName = c.addr.Addr(), c.name
	defer p.table.charge(m)
	if len(rest) == 0 {
		return
	}
	if _, name, ok := cut(rest, "sasl_username="); ok {
		name, _, _ = cut(name, ", ")
		m.account = p.names.get(name)
	}
	if contains(rest, "orig_client=") { // comes back from a content filter: it was told when it came in
		m.accepted = true
	}
}

// postfixMessageID reads cleanup's "message-id=<...>". For what Postfix writes itself it is the first line of a message.
func (p *Parser) postfixMessageID(r *record, id, b []byte) {
	m := p.table.get(r.source, id, r.sec)
	if m.done || m.sender && m.client.IsValid() && m.messageID != "" {
		m = p.table.begin(r.source, id, r.sec)
	}
	if hasPrefix(b, "resent-") && m.messageID != "" {
		return
	}
	_, v, _ := cut(b, "=")
	if v = bare(v); len(v) > 0 && len(v) <= 998 { // RFC 5322, section 2.1.1
		p.table.set(m, &m.messageID, v)
	}
}

// postfixActive reads qmgr's "from=<...>, size=123, nrcpt=1 (queue active)" and "from=<...>, status=expired, returned to sender".
func (p *Parser) postfixActive(r *record, id, b []byte) bool {
	from, rest, ok := angle(b[len("from="):], ',')
	if !ok {
		return false
	}
	m := p.table.get(r.source, id, r.sec)
	if string(from) != m.from || !m.sender {
		m.from, m.sender = p.names.get(from), true
		p.table.charge(m)
	}
	if hasPrefix(rest, ", size=") {
		rest = rest[len(", size="):]
		if n, ok := number(rest[:digits(rest)]); ok {
			m.size = n
		}
		if !m.accepted && m.client.IsValid() {
			m.accepted = true
			p.begin(Accepted, Postfix, r).fill(m)
			p.out()
		}
		return true
	}
	if contains(rest, "status=expired") || contains(rest, "status=force-expired") {
		p.expire(r, m, Postfix)
	}
	return true
}

// expire tells of each recipient that was still waiting: the line that says that the time is over names none.
func (p *Parser) expire(r *record, m *message, by MTA) {
	for i := range m.pending {
		e := p.begin(Expired, by, r)
		e.fill(m)
		e.waited(&m.pending[i])
		p.out()
	}
	if len(m.pending) == 0 {
		p.begin(Expired, by, r).fill(m)
		p.out()
	}
	p.table.waive(m)
}

// postfixDelivery reads "to=<...>, orig_to=<...>, relay=..., delay=..., dsn=..., status=sent (...)".
func (p *Parser) postfixDelivery(r *record, id, b []byte) bool {
	to, b, ok := angle(b[len("to="):], ',')
	if !ok || len(b) < 2 {
		return false
	}
	e := p.begin(0, Postfix, r)
	e.To = p.names.get(to)
	b = b[2:]
	if hasPrefix(b, "orig_to=<") {
		var orig []byte
		if orig, b, ok = angle(b[len("orig_to="):], ','); !ok || len(b) < 2 {
			return false
		}
		e.OrigTo = p.names.get(orig)
		b = b[2:]
	}
	dsn, b, ok := p.postfixFields(e, r, b)
	if !ok {
		return false
	}
	status, reason, _ := cut(b, " (")
	reason = bytes.TrimSuffix(reason, []byte(")"))
	if e.Kind = postfixKind(status); e.Kind == 0 {
		return true // a probe of an address, not a delivery
	}
	var m *message
	if id != nil {
		m = p.table.get(r.source, id, r.sec)
		e.fill(m)
	}
	p.postfixReason(e, reason)
	if text := p.harden(r, e.Text); text != e.Text {
		e.Text, e.Reply = text, readReply(text)
	}
	if e.Reply.Code == 0 {
		e.Reply.Status, _ = mail.ParseStatus(string(dsn))
	}
	p.tellMeeting(r, id)
	if m != nil {
		p.waits(e, m)
	}
	p.out()
	return true
}

// postfixFields reads what stands between the addresses and the value of status=, which it returns.
func (p *Parser) postfixFields(e *Event, r *record, b []byte) (dsn, status []byte, ok bool) {
	for len(b) > 0 {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 {
			return nil, nil, false
		}
		key := b[:eq]
		if b = b[eq+1:]; string(key) == "status" {
			return dsn, b, true
		}
		comma := bytes.IndexByte(b, ',')
		if comma < 0 || comma+2 > len(b) {
			return nil, nil, false
		}
		v := b[:comma]
		b = b[comma+2:]
		switch string(key) {
		case "relay":
			p.postfixRelay(e, r, v)
		case "delay":
			e.Delay = seconds(v)
		case "dsn":
			dsn = v
		case "tls":
			e.TLS = true
		}
	}
	return nil, nil, false
}

// postfixRelay reads "mx.example.com[192.0.2.1]:25", "local", "none", "host[private/dovecot-lmtp]".
func (p *Parser) postfixRelay(e *Event, r *record, v []byte) {
	if string(v) == "none" {
		return
	}
	who := p.peers.get(v)
	e.Relay, e.Remote = who.name, who.addr
	e.Local = !who.addr.IsValid() || who.addr.Addr().IsLoopback()
	e.TLS = e.TLS || p.shook(r, who.text)
}

func postfixKind(status []byte) Kind {
	switch string(status) {
	case "sent":
		return Delivered
	case "deferred", "SOFTBOUNCE", "softbounce":
		return Deferred
	case "bounced":
		return Bounced
	case "expired":
		return Expired
	}
	return 0
}

// postfixReason reads the text in parentheses behind the status.
func (p *Parser) postfixReason(e *Event, b []byte) {
	if e.Kind == Delivered {
		e.Text = clean(b)
		if e.Reply = readReply(e.Text); e.Reply.Code != 0 {
			e.Phase = outcome.EndOfData
		}
		return
	}
	for hasPrefix(b, "delivery temporarily suspended: ") {
		b = b[len("delivery temporarily suspended: "):]
	}
	b, e.Phase = p.postfixTrouble(e, b)
	e.Text = clean(b)
	e.Reply = readReply(e.Text)
}
