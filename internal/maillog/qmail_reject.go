package maillog

import "ukai/internal/outcome"

// rblsmtpd reads "192.0.2.1 pid 123: 451 text" and the form of older versions "zone blocked 192.0.2.1 host -".
func (p *Parser) rblsmtpd(r *record, b []byte) bool {
	e := p.begin(Rejected, Qmail, r)
	first, rest := word(b)
	if a := address(first); a.IsValid() {
		_, text, ok := cut(rest, ": ")
		if !ok {
			return false
		}
		e.Client, e.Text = a, clean(text)
		e.List = listName(text)
	} else if !p.rblOld(e, first, rest) {
		return false
	}
	e.Phase = outcome.RcptTo // rblsmtpd greets, and refuses each recipient
	e.Reply = readReply(e.Text)
	p.out()
	return true
}

func (p *Parser) rblOld(e *Event, zone, b []byte) bool {
	if !hasPrefix(b, "blocked ") {
		return false
	}
	who, b := word(b[len("blocked "):])
	if e.Client = address(who); !e.Client.IsValid() {
		return false
	}
	name, _ := word(b)
	e.ClientName = p.names.get(name)
	e.List = zoneName(zone)
	e.Text = "blocked by " + e.List
	return true
}

// spamdyke reads "DENIED_RBL_MATCH from: a@b to: c@d origin_ip: 192.0.2.1 origin_rdns: host auth: (unknown) encryption: (none)
// reason: zone".
func (p *Parser) spamdyke(r *record, b []byte) bool {
	verdict, b := word(b)
	if !hasPrefix(verdict, "DENIED_") {
		return hasPrefix(verdict, "ALLOWED") || hasPrefix(verdict, "TIMEOUT") || hasPrefix(verdict, "FILTER") || hasPrefix(verdict, "ERROR")
	}
	e := p.begin(Rejected, Qmail, r)
	value := func(key string) []byte {
		_, v, ok := cut(b, key)
		v, _ = word(v)
		if !ok || hasPrefix(v, "(") {
			return nil
		}
		return v
	}
	e.From, e.Sender = p.names.get(value("from: ")), true
	e.To = p.names.get(value(" to: "))
	e.Client = address(value("origin_ip: "))
	e.ClientName = p.names.get(value("origin_rdns: "))
	e.Account = p.names.get(value("auth: "))
	reason := value("reason: ")
	e.Text = clean(verdict)
	if len(reason) > 0 {
		e.Text += " " + clean(reason)
	}
	if contains(verdict, "BL_MATCH") { // RBL, RHSBL and DNSRBL
		e.List = zoneName(reason)
	}
	e.Phase = outcome.RcptTo
	p.out()
	return true
}
