package maillog

import "ukai/internal/outcome"

// opensmtpdIn reads what a client did.
func (p *Parser) opensmtpdIn(r *record, session, verb, b []byte) bool {
	switch string(verb) {
	case "connected":
		m := p.table.begin(r.source, session, r.sec)
		m.client = address(field(b, "address="))
		if name := field(b, "host="); len(name) > 0 {
			m.clientName = p.names.get(name)
		}
		if m.clientName == "unknown" || m.clientName == "<unknown>" {
			m.clientName = ""
		}
		p.table.charge(m)
	case "authentication":
		if string(field(b, "result=")) == "ok" {
			p.table.get(r.source, session, r.sec).account = p.names.get(field(b, "user="))
		}
	case "tls", "starttls":
		p.table.get(r.source, session, r.sec).tls = true
	case "message":
		p.opensmtpdTaken(r, session, b)
	case "envelope":
		p.opensmtpdEnvelope(r, b)
	case "failed-command", "bad-input":
		p.opensmtpdReject(r, session, b)
	case "disconnected", "closed":
		if m := p.table.find(r.source, session, r.sec); m != nil {
			p.table.end(m)
		}
	}
	return true
}

// opensmtpdTaken reads "smtp message msgid=... size=... nrcpt=... proto=...", which until 6.3 was one line for each recipient, with
// from= and to= in it.
func (p *Parser) opensmtpdTaken(r *record, session, b []byte) {
	id := field(b, "msgid=")
	if !isHex(id, 8) {
		return
	}
	var client message
	if m := p.table.find(r.source, session, r.sec); m != nil {
		client = *m
	}
	m := p.table.get(r.source, id, r.sec)
	m.size, _ = number(field(b, "size="))
	m.client, m.clientName, m.account, m.tls = client.client, client.clientName, client.account, client.tls
	if from := field(b, "from="); from != nil {
		m.from, m.sender = p.names.get(from), true
		p.table.charge(m)
		p.opensmtpdAccepted(r, m, field(b, "to="))
	}
}

// opensmtpdEnvelope reads "smtp envelope evpid=... from=<...> to=<...>".
func (p *Parser) opensmtpdEnvelope(r *record, b []byte) {
	evpid := field(b, "evpid=")
	if !isHex(evpid, 16) {
		return
	}
	m := p.table.get(r.source, evpid[:8], r.sec)
	m.from, m.sender = p.names.get(field(b, "from=")), true
	p.table.charge(m)
	p.opensmtpdAccepted(r, m, field(b, "to="))
}

func (p *Parser) opensmtpdAccepted(r *record, m *message, to []byte) {
	if !m.client.IsValid() {
		return
	}
	e := p.begin(Accepted, OpenSMTPD, r)
	e.fill(m)
	e.To, e.TLS = p.names.get(to), m.tls
	p.out()
}

// opensmtpdReject reads command="RCPT TO:<a@b>" result="550 text".
func (p *Parser) opensmtpdReject(r *record, session, b []byte) {
	e := p.begin(Rejected, OpenSMTPD, r)
	if m := p.table.find(r.source, session, r.sec); m != nil {
		e.fill(m)
	}
	e.Queue = ""
	command := field(b, "command=")
	e.Phase, _ = stage(command)
	if addr, ok := between(command, "<", ">"); ok {
		switch e.Phase {
		case outcome.RcptTo:
			e.To = p.names.get(addr)
		case outcome.MailFrom:
			e.From, e.Sender = p.names.get(addr), true
		}
	}
	if len(command) == 0 {
		e.Phase = outcome.Greeting
	}
	text := field(b, "result=")
	e.Text = clean(text)
	e.Reply = readReply(e.Text)
	e.List = listName(text)
	p.out()
}
