package maillog

import (
	"bytes"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// sendmail reads a line of Sendmail (Installation and Operation Guide, section "System Log"):
//
//	ID: from=<a>, size=1, nrcpts=1, msgid=<...>, relay=host [192.0.2.1]
//	ID: to=<b>,<c>, delay=00:00:01, mailer=esmtp, relay=mx. [192.0.2.1], dsn=2.0.0, stat=Sent (OK)
//	ID: ruleset=check_rcpt, arg1=<b>, relay=host [192.0.2.1], reject=550 5.7.1 text
//	ID: Milter: to=<b>, reject=451 4.7.1 text
//	ID: NEWID: return to sender: Cannot send message for 5 days
//	STARTTLS=client, relay=mx., version=TLSv1.3, verify=OK, ...
func (p *Parser) sendmail(r *record) bool {
	if hasPrefix(r.msg, "STARTTLS=client") {
		p.sendmailTLS(r)
		return true
	}
	id, b, ok := sendmailID(r.msg)
	if !ok {
		b = r.msg
	}
	switch {
	case hasPrefix(b, "from="):
		return ok && p.sendmailFrom(r, id, b)
	case hasPrefix(b, "to="):
		p.sendmailTo(r, id, b)
		return true
	case hasPrefix(b, "ruleset="):
		return p.sendmailReject(r, id, b, "")
	case hasPrefix(b, "Milter: "):
		if !contains(b, "reject=") {
			return true
		}
		return p.sendmailReject(r, id, b[len("Milter: "):], "milter")
	case hasPrefix(b, "<<< "):
		p.sendmailSaid(r, id, b[4:])
		return true
	case contains(b, ": Cannot send message "):
		p.sendmailExpired(r, id)
		return true
	}
	return ok || hasAny(b, sendmailTalk)
}

// sendmailTalk is how lines begin that are not about a message.
var sendmailTalk = []string{
	"AUTH=", "STARTTLS", "NOQUEUE: ", "starting daemon", "started as", "restarting", "rejecting connections", "accepting connections",
	"alias database", "/etc/", "daemon MTA", "daemon MSA", "gethostby", "timeout waiting", "SYSERR", "lost input channel", "STARTTLS=server", "unable to qualify my own domain name", "My unqualified host name", "stopping daemon", "Milter ",
}

// sendmailID reads a queue ID and its colon: 8 to 24 letters and digits, of which some are digits.
func sendmailID(b []byte) (id, rest []byte, ok bool) {
	figures := 0
	for i, c := range b {
		if c >= '0' && c <= '9' {
			figures++
		}
		if alnum(c) {
			continue
		}
		if c != ':' || i < 8 || i > 24 || figures == 0 || len(b) < i+3 || b[i+1] != ' ' {
			return nil, b, false
		}
		return b[:i], b[i+2:], true
	}
	return nil, b, false
}

// sendmailField takes "key=value" off. A value ends where ", key=" follows; those of stat= and reject= are the last and reach to
// the end.
func sendmailField(b []byte) (key, value, rest []byte) {
	eq := bytes.IndexByte(b, '=')
	if eq < 0 {
		return nil, b, nil
	}
	key, b = b[:eq], b[eq+1:]
	if i := bytes.LastIndexByte(key, ' '); i >= 0 { // "Milter: data, reject=..."
		key = key[i+1:]
	}
	if string(key) == "stat" || string(key) == "reject" {
		return key, b, nil
	}
	for from := 0; ; {
		i := index(b[from:], ", ")
		if i < 0 {
			return key, b, nil
		}
		from += i + 2
		n := 0
		for n < len(b)-from && (alnum(b[from+n]) || b[from+n] == '_') {
			n++
		}
		if n > 0 && from+n < len(b) && b[from+n] == '=' {
			return key, b[:from-2], b[from:]
		}
	}
}

// sendmailFrom reads the line of a message that came in.
func (p *Parser) sendmailFrom(r *record, id, b []byte) bool {
	m := p.table.begin(r.source, id, r.sec)
	var who Event
	recipients := int64(1)
	for len(b) > 0 {
		key, v, rest := sendmailField(b)
		b = rest
		switch string(key) {
		case "from":
			m.from, m.sender = p.names.get(bare(v)), true
		case "size":
			m.size, _ = number(v)
		case "nrcpts":
			recipients, _ = number(v)
		case "msgid":
			p.table.set(m, &m.messageID, bare(v[:min(len(v), 998)]))
		case "authid":
			m.account = p.names.get(v)
		case "relay":
			p.sendmailPeer(v, &who, true)
		}
	}
	m.client, m.clientName = who.Client, who.ClientName
	p.table.charge(m)
	if m.client.IsValid() && recipients > 0 {
		m.accepted = true
		p.begin(Accepted, Sendmail, r).fill(m)
		p.out()
	}
	return true
}

// sendmailPeer reads "mx.example.com. [192.0.2.1]", "[192.0.2.1]", "host [192.0.2.1] (may be forged)", "user@localhost".
func (p *Parser) sendmailPeer(v []byte, e *Event, client bool) {
	name, rest, ok := cut(v, "[")
	if !ok {
		if !client {
			e.Relay = p.names.get(bytes.TrimSuffix(v, []byte(".")))
		}
		return
	}
	in, more, _ := cut(rest, "]")
	if name = bytes.Trim(name, " ."); len(name) == 0 {
		if i := bytes.IndexByte(more, '['); i >= 0 { // "[192.0.2.1] [192.0.2.1]": the host was given as an address
			in, _, _ = cut(more[i+1:], "]")
		}
	}
	a := address(in)
	if client {
		e.Client, e.ClientName = a, p.names.get(name)
		return
	}
	if e.Relay = p.names.get(name); e.Relay == "" && a.IsValid() {
		e.Relay = a.String()
	}
	e.Remote = addrPort(a)
	e.Local = a.IsLoopback()
}

// sendmailTo reads the line of one or several recipients.
func (p *Parser) sendmailTo(r *record, id, b []byte) {
	e := p.begin(0, Sendmail, r)
	var m *message
	if id != nil {
		m = p.table.get(r.source, id, r.sec)
		e.fill(m)
	}
	var to, mailer, reply, stat []byte
	var status mail.Status
	for len(b) > 0 {
		key, v, rest := sendmailField(b)
		b = rest
		switch string(key) {
		case "to":
			to = v
		case "delay":
			e.Delay = clockTime(v)
		case "mailer":
			mailer = v
		case "relay":
			p.sendmailPeer(v, e, false)
		case "dsn":
			status, _ = mail.ParseStatus(string(v[:min(len(v), 16)]))
		case "reply":
			reply = v
		case "stat":
			stat = v
		}
	}
	if e.Kind = sendmailKind(stat, status); e.Kind == 0 {
		return // "queued"
	}
	switch string(mailer) {
	case "local", "prog", "*file*", "procmail", "cyrus", "cyrusv2", "lmtp", "mail11", "virtual", "*include*":
		e.Local = true
		if e.Relay == "" {
			e.Relay = p.names.get(mailer)
		}
	}
	e.TLS = e.Relay != "" && p.shook(r, e.Relay)
	p.sendmailReason(e, m, stat, reply)
	if e.Reply.Status == (mail.Status{}) {
		e.Reply.Status = status
	}
	event := *e
	eachAddress(to, func(addr []byte) {
		p.ev = event
		p.ev.To = p.names.get(addr)
		if m != nil {
			p.waits(&p.ev, m)
		}
		p.out()
	})
}

// maxRecipients is how many recipients of one line are told; a line of 1 MB could hold a hundred thousand.
const maxRecipients = 1000

// eachAddress takes "<a>,<b>,c" apart.
func eachAddress(b []byte, f func([]byte)) {
	for n := 0; len(b) > 0 && n < maxRecipients; n++ {
		addr, rest, ok := angle(b, ',')
		if !ok {
			addr, rest = b, nil
			if i := bytes.IndexByte(b, ','); i >= 0 {
				addr, rest = b[:i], b[i:]
			}
		}
		if len(rest) > 0 {
			rest = rest[1:]
		}
		f(bytes.Trim(addr, " "))
		b = rest
	}
}

// sendmailKind reads the begin of stat=.
func sendmailKind(stat []byte, status mail.Status) Kind {
	switch {
	case hasPrefix(stat, "Sent"):
		return Delivered
	case len(stat) == 0, hasPrefix(stat, "queued"), hasPrefix(stat, "quarantined"):
		return 0
	case hasPrefix(stat, "Deferred"):
		return Deferred
	case hasPrefix(stat, "Cannot send message"):
		return Expired
	case status.Class == 4:
		return Deferred
	case status.Class == 2:
		return Delivered
	}
	return Bounced
}

// sendmailReason finds the other server's words: in reply=, in a line "<<< " before, or behind "Deferred: ".
func (p *Parser) sendmailReason(e *Event, m *message, stat, reply []byte) {
	text := stat
	switch {
	case e.Kind == Delivered:
		if text = nil; hasPrefix(stat, "Sent (") {
			text = bytes.TrimSuffix(stat[len("Sent ("):], []byte(")"))
		}
		e.Text = clean(text)
		if e.Reply = readReply(e.Text); e.Reply.Code == 0 && !e.Local { // the code itself is not logged
			e.Reply.Code, e.Reply.Lines = 250, []string{e.Text}
		}
		e.Phase = outcome.EndOfData
		return
	case len(reply) > 0:
		text = reply
	case hasPrefix(stat, "Deferred: "):
		text = stat[len("Deferred: "):]
	}
	e.Text = clean(text)
	e.Reply = readReply(e.Text)
	if e.Reply.Code == 0 && m != nil && m.said != "" {
		e.Text, e.Reply = m.said, readReply(m.said)
	}
	if e.Reply.Code == 0 && (hasPrefix(text, "Connection ") || hasPrefix(text, "No route to host")) {
		e.Phase = outcome.Connect
	}
	if m != nil {
		m.said = ""
	}
}

// sendmailSaid keeps a reply that was logged before the line of the recipient.
func (p *Parser) sendmailSaid(r *record, id, b []byte) {
	if id == nil {
		return
	}
	m := p.table.get(r.source, id, r.sec)
	s := clean(b[:min(len(b), 1024)])
	if code, ok := replyCode(s); !ok || code < 400 {
		return
	}
	if old := m.said; old != "" && len(old) < 2048 && len(old) > 3 && old[:3] == s[:3] {
		s = old + " " + s
	}
	p.table.set(m, &m.said, []byte(s))
}

// sendmailTLS notes the TLS session that a process has: its next delivery goes through it.
func (p *Parser) sendmailTLS(r *record) {
	v, ok := between(r.msg, "relay=", ", ")
	if !ok || len(r.pid) == 0 {
		return
	}
	p.tls.put(p.process(r), p.names.get(bytes.TrimSuffix(v, []byte("."))))
}

// clockTime reads "00:01:02" and "3+00:01:02", days first.
func clockTime(b []byte) time.Duration {
	var d time.Duration
	if days, rest, ok := cut(b, "+"); ok {
		n, _ := number(days)
		d, b = time.Duration(min(n, 10000))*24*time.Hour, rest
	}
	if len(b) != 8 || b[2] != ':' {
		return d
	}
	h, s := two(b), sexagesimal(b[3:])
	if h < 0 || s < 0 {
		return d
	}
	return d + time.Duration(h)*time.Hour + time.Duration(s)*time.Second
}
