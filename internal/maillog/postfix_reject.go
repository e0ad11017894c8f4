package maillog

import (
	"bytes"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// postfixReject reads what smtpd, postscreen and cleanup refused:
//
//	reject: RCPT from host[192.0.2.1]: 554 5.7.1 Service unavailable; ...; from=<a> to=<b> proto=ESMTP helo=<c>
//	milter-reject: END-OF-MESSAGE from host[192.0.2.1]: 5.7.1 text; from=<a> to=<b> proto=ESMTP helo=<c>
//	proxy-reject: END-OF-MESSAGE: 554 5.7.0 text; from=<a> to=<b> proto=ESMTP helo=<c>
//	reject: header Subject: text from host[192.0.2.1]; from=<a> to=<b> proto=ESMTP helo=<c>: 5.7.1 text
//
// postscreen puts commas between the fields at the end.
func (p *Parser) postfixReject(r *record, id, b []byte) bool {
	_, b, _ = cut(b, ": ")
	e := p.begin(Rejected, Postfix, r)
	if id != nil && string(id) != "NOQUEUE" {
		if m := p.table.find(r.source, id, r.sec); m != nil {
			e.fill(m)
		} else {
			e.Queue = string(id)
		}
	}
	if hasPrefix(b, "header ") || hasPrefix(b, "body ") || hasPrefix(b, "mime-header ") || hasPrefix(b, "nested-header ") {
		return p.postfixContent(e, b)
	}
	head, rest, ok := cut(b, ": ")
	if !ok {
		return false
	}
	at, client, _ := cut(head, " from ")
	e.Phase = rejectStage(at)
	p.from(e, client)
	text := p.envelope(e, rest)
	e.Text = clean(text)
	e.Reply = rejectReply(e.Text)
	e.List = listName(text)
	p.out()
	return true
}

// from notes the client.
func (p *Parser) from(e *Event, client []byte) {
	if len(client) == 0 {
		return
	}
	c := p.peers.get(client)
	e.Client, e.ClientName = c.addr.Addr(), c.name
}

// rejectStage is the phase of the client's dialogue with us.
func rejectStage(b []byte) outcome.Phase {
	switch string(b) {
	case "CONNECT":
		return outcome.Greeting
	case "MAIL":
		return outcome.MailFrom
	case "RCPT":
		return outcome.RcptTo
	case "END-OF-MESSAGE":
		return outcome.EndOfData
	case "VRFY", "ETRN", "UNKNOWN":
		return outcome.RcptTo
	}
	phase, _ := stage(b)
	return phase
}

// envelope reads the fields at the end and returns the text before them.
func (p *Parser) envelope(e *Event, b []byte) (text []byte) {
	at := -1
	for _, first := range []string{"; from=<", "; to=<", "; proto="} {
		if at = index(b, first); at >= 0 {
			break
		}
	}
	if at < 0 {
		return b
	}
	text, b = b[:at], b[at+2:]
	for len(b) > 0 {
		key, v, ok := cut(b, "=")
		if !ok {
			break
		}
		if b = p.envelopeField(e, key, v); len(b) > 0 && b[0] == ',' {
			b = b[1:]
		}
		b = trimLeft(b)
	}
	return text
}

// envelopeField reads one value and returns what follows it.
func (p *Parser) envelopeField(e *Event, key, v []byte) (rest []byte) {
	value, rest, ok := angle(v, ' ')
	if !ok {
		if value, rest, ok = angle(v, ','); !ok {
			_, rest = word(v)
			return rest
		}
	} else if i := index(value, ">, "); i >= 0 { // postscreen: the bracket before a comma came first
		value, rest = value[:i], v[i+2:]
	}
	switch string(key) {
	case "from":
		e.From, e.Sender = p.names.get(value), true
	case "to":
		e.To = p.names.get(value)
	case "helo":
		e.Helo = p.names.get(value)
	}
	return rest
}

// postfixContent reads what header_checks and body_checks refused: the reply stands behind the fields.
func (p *Parser) postfixContent(e *Event, b []byte) bool {
	e.Phase = outcome.EndOfData
	what, _, ok := cut(b, "; from=<")
	if !ok {
		return false
	}
	if i := bytes.LastIndex(what, []byte(" from ")); i >= 0 {
		p.from(e, what[i+len(" from "):])
	}
	rest := b[len(what):]
	fields := rest
	if i := bytes.LastIndex(rest, []byte(">: ")); i >= 0 {
		fields = rest[:i+1]
		e.Text = clean(rest[i+3:])
	}
	p.envelope(e, fields)
	e.Reply = rejectReply(e.Text)
	p.out()
	return true
}

// rejectReply reads our own server's reply. Milters give only the enhanced status: it tells the class of the code.
func rejectReply(text string) mail.Reply {
	r := readReply(text)
	if r.Code != 0 {
		return r
	}
	if st, _ := mail.ParseStatus(text); st != (mail.Status{}) {
		r.Status, r.Lines = st, []string{text}
		if r.Code = 550; st.Class == 4 {
			r.Code = 451
		}
	}
	return r
}

// zoneName takes a domain off the start of a text: what people write behind it may be anything.
func zoneName(b []byte) string {
	n := 0
	for n < len(b) && (b[n] >= 'a' && b[n] <= 'z' || b[n] >= 'A' && b[n] <= 'Z' || b[n] >= '0' && b[n] <= '9' ||
		b[n] == '.' || b[n] == '-' || b[n] == '_') {
		n++
	}
	name := bytes.Trim(b[:n], ".")
	dot := bytes.LastIndexByte(name, '.')
	if dot < 0 || len(name) > 253 || name[dot+1] <= '9' { // one word, or an address
		return ""
	}
	return string(bytes.ToLower(name))
}
