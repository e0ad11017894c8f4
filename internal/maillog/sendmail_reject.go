package maillog

import "ukai/internal/outcome"

// sendmailReject reads what a ruleset or a milter refused.
func (p *Parser) sendmailReject(r *record, id, b []byte, by string) bool {
	if !contains(b, "reject=") {
		return true
	}
	e := p.begin(Rejected, Sendmail, r)
	if id != nil {
		if m := p.table.find(r.source, id, r.sec); m != nil {
			e.fill(m)
		}
		e.Queue = string(id)
	}
	if by != "" {
		e.Phase = outcome.EndOfData
	}
	set := ""
	for len(b) > 0 {
		key, v, rest := sendmailField(b)
		b = rest
		switch string(key) {
		case "ruleset":
			set = string(v[:min(len(v), 32)])
			e.Phase = rulesets[set]
		case "arg1":
			p.sendmailArg(e, set, v)
		case "from":
			e.From, e.Sender, e.Phase = p.names.get(bare(v)), true, outcome.MailFrom
		case "to":
			e.To, e.Phase = p.names.get(bare(v)), outcome.RcptTo
		case "relay":
			p.sendmailPeer(v, e, true)
		case "reject":
			e.Text = clean(v)
		}
	}
	e.Reply = readReply(e.Text)
	e.List = listName([]byte(e.Text))
	p.out()
	return true
}

// rulesets are the phases in which the checks of cf/README are made.
var rulesets = map[string]outcome.Phase{
	"check_relay": outcome.Greeting, "check_mail": outcome.MailFrom, "check_rcpt": outcome.RcptTo, "check_compat": outcome.RcptTo,
	"check_data": outcome.Data, "check_eom": outcome.EndOfData, "check_etrn": outcome.Ehlo, "trust_auth": outcome.Auth, "tls_client": outcome.StartTLS,
}

func (p *Parser) sendmailArg(e *Event, set string, v []byte) {
	switch set {
	case "check_rcpt", "check_compat":
		e.To = p.names.get(bare(v))
	case "check_mail":
		e.From, e.Sender = p.names.get(bare(v)), true
	}
}

// sendmailExpired tells of the recipients that were still waiting.
func (p *Parser) sendmailExpired(r *record, id []byte) {
	if id == nil {
		return
	}
	m := p.table.find(r.source, id, r.sec)
	if m == nil {
		return
	}
	p.expire(r, m, Sendmail)
}
