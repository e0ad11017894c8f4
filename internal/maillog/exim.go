package maillog

import (
	"bytes"
	"strings"

	"ukai/internal/outcome"
)

// exim reads a line of Exim's mainlog or rejectlog behind its time (Exim's specification, chapter "Log files"):
//
//	1ABCde-0001Fg-2H <= sender H=host (helo) [192.0.2.1] P=esmtps A=plain:user S=1234 id=x@y for a@b
//	1ABCde-0001Fg-2H => user <orig> R=router T=transport H=mx [192.0.2.1] C="250 OK"
//	1ABCde-0001Fg-2H ** user R=router T=transport H=mx [192.0.2.1]: SMTP error from remote mail server after ...
//	1ABCde-0001Fg-2H == user R=router T=transport defer (-44) H=mx [192.0.2.1]: ...
//	H=host (helo) [192.0.2.1] F=<sender> rejected RCPT <user>: text
//
// It returns false for what it does not know.
func (p *Parser) exim(r *record, b []byte) bool {
	if len(b) > 1 && b[0] == '[' { // log_selector +pid
		if _, rest, ok := cut(b, "] "); ok {
			b = rest
		}
	}
	id, b, ok := eximID(b)
	if !ok {
		return p.eximReject(r, nil, b) || hasAny(b, eximTalk)
	}
	flag, rest := word(b)
	switch string(flag) {
	case "<=":
		p.eximReceived(r, id, rest)
	case "=>", "->", ">>":
		p.eximDelivery(r, id, Delivered, rest)
	case "**":
		p.eximDelivery(r, id, Bounced, rest)
	case "==":
		p.eximDelivery(r, id, Deferred, rest)
	default:
		if hasPrefix(b, "Completed") {
			if m := p.table.find(r.source, id, r.sec); m != nil {
				p.table.end(m)
			}
			return true
		}
		p.eximReject(r, id, b)
	}
	return true
}

// eximTalk is how lines begin that Exim writes about itself.
var eximTalk = []string{
	"exim ", "Start queue run", "End queue run", "cwd=", "SMTP connection from", "SMTP ", "no host name found", "no IP address found",
	"TLS error", "unexpected disconnection", "Connection from ", "login authenticator", "plain authenticator",
	"SIGHUP", "daemon:", "H=", "F=", "U=", "VRFY", "Warning:", "1 args", "dovecot_",
}

// eximID reads a message ID at the start of b: 6-6-2 characters, and 6-11-4 since Exim 4.97.
func eximID(b []byte) (id, rest []byte, ok bool) {
	for _, shape := range [2][3]int{{6, 13, 16}, {6, 18, 23}} {
		n := shape[2]
		if len(b) <= n || b[n] != ' ' || b[shape[0]] != '-' || b[shape[1]] != '-' {
			continue
		}
		for i, c := range b[:n] {
			if i != shape[0] && i != shape[1] && !alnum(c) {
				return nil, b, false
			}
		}
		return b[:n], b[n+1:], true
	}
	return nil, b, false
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// eximField takes one field off the start of b. What begins with a quote ends with one; H= reaches to the bracket of the
// address. last is set when a colon ends the fields: what follows is the error.
func eximField(b []byte) (key, value, rest []byte, last bool) {
	end := bytes.IndexByte(b, ' ')
	if end < 0 {
		end = len(b)
	}
	eq := bytes.IndexByte(b[:end], '=')
	if eq > 0 && eq < 5 && eq+1 < len(b) {
		switch {
		case b[eq+1] == '"':
			end = quoted(b, eq+2)
		case b[0] == 'H' && eq == 1:
			if i := index(b, "]"); i > 0 {
				if end = bytes.IndexByte(b[i:], ' '); end < 0 {
					end = len(b)
				} else {
					end += i
				}
			}
		}
	} else {
		eq = -1
	}
	value = b[:end]
	if rest = b[end:]; len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	if n := len(value); n > 1 && value[n-1] == ':' {
		value, last = value[:n-1], true
	}
	if eq >= 0 && eq < len(value) {
		key, value = value[:eq], value[eq+1:]
	}
	return key, value, rest, last
}

// quoted returns where the blank stands behind a quoted text that begins at from.
func quoted(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			if i+1 == len(b) || b[i+1] == ' ' || b[i+1] == ':' {
				return min(len(b), i+1+bytes.IndexByte(append(b[i+1:len(b):len(b)], ' '), ' '))
			}
		}
	}
	return len(b)
}

// unquote takes the quotes off, and the backslashes before quotes inside.
func unquote(b []byte) []byte {
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return b
	}
	b = b[1 : len(b)-1]
	if contains(b, `\"`) {
		b = bytes.ReplaceAll(b, []byte(`\"`), []byte(`"`))
	}
	return b
}

// eximReceived reads "<= sender fields for recipients".
func (p *Parser) eximReceived(r *record, id, b []byte) {
	m := p.table.begin(r.source, id, r.sec)
	from, b := word(b)
	m.from, m.sender = p.names.get(bare(from)), true
	var who Event
	for len(b) > 0 && !hasPrefix(b, "for ") {
		key, v, rest, _ := eximField(b)
		b = rest
		switch string(key) {
		case "H":
			p.eximHost(v, &who, true)
		case "S":
			m.size, _ = number(v)
		case "id":
			p.table.set(m, &m.messageID, bare(v[:min(len(v), 998)]))
		case "A":
			if _, user, ok := cut(v, ":"); ok {
				m.account = p.names.get(user)
			}
		case "X":
			m.tls = true
		}
	}
	m.client, m.clientName, m.helo = who.Client, who.ClientName, who.Helo
	p.table.charge(m)
	if !m.client.IsValid() {
		return
	}
	m.accepted = true
	b = bytes.TrimPrefix(b, []byte("for "))
	for n := 0; n == 0 || len(b) > 0 && n < 1000; n++ {
		var to []byte
		to, b = word(b)
		e := p.begin(Accepted, Exim, r)
		e.fill(m)
		e.TLS = m.tls
		e.To = p.names.get(bare(to))
		p.out()
	}
}

// eximHost reads "name (helo) [192.0.2.1]:25", of a client or of the server that mail goes to.
func (p *Parser) eximHost(v []byte, e *Event, client bool) {
	name, rest, ok := cut(v, "[")
	if open := bytes.LastIndexByte(v, '['); ok && open > len(name) { // "([192.0.2.9]) [192.0.2.1]"
		name, rest = v[:open], v[open+1:]
	}
	if ok {
		rest = append([]byte("["), rest...)
	}
	who := makePeer(string(rest))
	var helo []byte
	if i := bytes.IndexByte(name, '('); i >= 0 {
		helo = bytes.Trim(name[i+1:], ") ")
		name = name[:i]
	}
	name = bytes.Trim(name, " ")
	if client {
		e.Client, e.ClientName, e.Helo = who.addr.Addr(), p.names.get(name), p.names.get(helo)
		return
	}
	e.Relay, e.Remote = p.names.get(name), who.addr
	e.Local = who.addr.Addr().IsLoopback()
}

// eximDelivery reads the lines of one recipient.
func (p *Parser) eximDelivery(r *record, id []byte, kind Kind, b []byte) {
	m := p.table.get(r.source, id, r.sec)
	e := p.begin(kind, Exim, r)
	e.fill(m)
	b, transport, remote := p.eximRecipient(e, b)
	e.Local = e.Local || !remote && kind == Delivered
	if e.Local && e.Relay == "" {
		if e.Relay = p.names.get(transport); e.Relay == "" {
			e.Relay = "local"
		}
	}
	if kind == Deferred && contains(b, "etry time not ") { // "retry time not reached for any host": nothing was tried
		return
	}
	if kind != Delivered {
		p.eximError(e, b)
	}
	if e.Kind == Bounced && (contains(b, "retry timeout exceeded") || contains(b, "have been failing for a long time")) {
		e.Kind = Expired
		p.lastWord(e, m)
	}
	p.waits(e, m)
	p.out()
}

// eximRecipient reads the address and the fields, and returns the error behind them.
func (p *Parser) eximRecipient(e *Event, b []byte) (text, transport []byte, remote bool) {
	to, b := word(b)
	if n := len(to); n > 1 && to[n-1] == ':' && to[0] != ':' {
		e.To = p.names.get(bare(to[:n-1]))
		return b, nil, false
	}
	e.To = p.names.get(bare(to))
	for len(b) > 0 {
		if hasPrefix(b, "defer (") || hasPrefix(b, "routing defer (") {
			if _, rest, ok := cut(b, ")"); ok {
				if b = rest; hasPrefix(b, ": ") {
					return b[2:], transport, remote
				}
				b = trimLeft(b)
				continue
			}
		}
		key, v, rest, last := eximField(b)
		b = rest
		switch string(key) {
		case "":
			p.eximOriginal(e, v)
		case "F":
			e.From, e.Sender = p.names.get(bare(v)), true
		case "T":
			transport = v
		case "X":
			e.TLS = true
		case "H":
			p.eximHost(v, e, false)
			remote = true
		case "QT":
			e.Delay = seconds(v)
		case "C":
			e.Text = clean(unquote(v))
			if e.Reply = readReply(e.Text); e.Reply.Code != 0 {
				e.Phase = outcome.EndOfData
			}
		}
		if last {
			return b, transport, remote
		}
	}
	return nil, transport, remote
}

// eximOriginal notes the address as it was before aliases. For a local delivery the first word is only the mailbox, and the
// address stands in the brackets.
func (p *Parser) eximOriginal(e *Event, v []byte) {
	if len(v) < 3 || v[0] != '<' {
		return
	}
	orig := p.names.get(bare(v))
	if strings.IndexByte(e.To, '@') < 0 {
		e.To = orig
		return
	}
	e.OrigTo = orig
}

// eximSyslog reads a line that Exim sent to syslog. It puts its own time before the text unless told otherwise, and splits what
// is long: "[1/3] ...", and "[1\3] ..." where the text itself had line ends.
func (p *Parser) eximSyslog(r *record) bool {
	b := r.msg
	if m, n := p.clock.iso(b); n > 0 && len(b) > n {
		r.moment = m
		b = trimLeft(b[n:])
	}
	part, of, rest, ok := eximPart(b)
	if !ok {
		return p.exim(r, b)
	}
	k := p.process(r)
	switch whole := p.halves[k]; {
	case part == 1 && len(p.halves) < 64:
		p.halves[k] = append([]byte(nil), rest...)
	case part == 1: // more at once than any machine has: start anew
		clear(p.halves)
	case whole != nil && len(whole)+len(rest) < 1<<16:
		p.halves[k] = append(whole, rest...)
	default:
		delete(p.halves, k)
		return true
	}
	if part < of {
		return true
	}
	b = p.halves[k]
	delete(p.halves, k)
	return p.exim(r, b)
}

// eximPart reads "[1/3] text".
func eximPart(b []byte) (part, of int64, text []byte, ok bool) {
	if len(b) < 6 || b[0] != '[' {
		return 0, 0, nil, false
	}
	i := bytes.IndexByte(b, ']')
	sep := bytes.IndexAny(b, `/\`)
	if sep < 0 || i < sep || i+1 >= len(b) || b[i+1] != ' ' {
		return 0, 0, nil, false
	}
	part, ok1 := number(b[1:sep])
	of, ok2 := number(b[sep+1 : i])
	return part, of, b[i+2:], ok1 && ok2 && part >= 1 && part <= of
}
