package maillog

import (
	"bytes"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// eximError reads the text behind the fields of a failed delivery:
//
//	SMTP error from remote mail server after RCPT TO:<a@b>: 550 5.1.1 no
//	SMTP error from remote mail server after end of data: host mx [192.0.2.1]: 550 no     (before Exim 4.83)
//	Connection timed out
func (p *Parser) eximError(e *Event, b []byte) {
	text := b
	if _, doing, ok := cut(b, " error from remote mail server after "); ok {
		said, found := eximSaid(doing)
		e.Phase, _ = stage(bytes.TrimPrefix(doing, []byte("pipelined ")))
		if found {
			text = p.eximWho(e, said)
		}
	} else if _, doing, ok := cut(b, "imeout after "); ok { // "SMTP timeout after MAIL FROM:<...>"
		e.Phase, _ = stage(doing)
	} else if _, doing, ok := cut(b, " closed connection in response to "); ok {
		e.Phase, _ = stage(bytes.TrimPrefix(doing, []byte("pipelined ")))
	} else if hasPrefix(b, "Connection ") || hasPrefix(b, "No route to host") || hasPrefix(b, "Network ") {
		e.Phase = outcome.Connect
	}
	e.Text = eximText(text)
	e.Reply = readReply(e.Text)
}

// eximText makes one line of a text in which Exim wrote \n for each line end.
func eximText(b []byte) string {
	s := clean(b)
	if strings.Contains(s, `\n`) {
		s = strings.TrimSpace(strings.ReplaceAll(s, `\n`, " "))
	}
	return s
}

// eximSaid finds the reply behind "RCPT TO:<a@b> SIZE=1: ": it begins with a code, or with the server that gave it.
func eximSaid(b []byte) ([]byte, bool) {
	for from := 0; ; {
		i := index(b[from:], ": ")
		if i < 0 {
			return b, false
		}
		from += i + 2
		rest := b[from:]
		if _, ok := replyCode(string(rest[:min(4, len(rest))])); ok || hasPrefix(rest, "host ") {
			return rest, true
		}
	}
}

// eximWho takes "host mx [192.0.2.1]: " off.
func (p *Parser) eximWho(e *Event, b []byte) []byte {
	if !hasPrefix(b, "host ") {
		return b
	}
	who, said, ok := cut(b[len("host "):], "]: ")
	if !ok {
		return b
	}
	if e.Relay == "" {
		p.eximHost(append(append([]byte(nil), who...), ']'), e, false)
	}
	return said
}

// maxWaiting is how much of a reason is kept with a recipient that waits.
const maxWaiting = 4096

// waits keeps a recipient that was deferred, and takes it out when it is done with.
func (p *Parser) waits(e *Event, m *message) {
	if e.Kind == Deferred {
		text := e.Text
		if len(text) > maxWaiting {
			text = strings.Clone(text[:maxWaiting])
		}
		p.table.defers(m, &pending{to: e.To, origTo: e.OrigTo, relay: e.Relay, text: text, remote: e.Remote, phase: e.Phase})
		return
	}
	if len(m.pending) > 0 {
		p.table.settle(m, e.To)
	}
}

// lastWord gives a recipient that was given up for its age what the last attempt was told: the line itself says only that the
// time is over.
func (p *Parser) lastWord(e *Event, m *message) {
	if e.Reply.Code != 0 {
		return
	}
	for i := range m.pending {
		if w := &m.pending[i]; w.to == e.To && w.text != "" {
			e.waited(w)
			return
		}
	}
}

// waited puts in what is known of a recipient that was deferred.
func (e *Event) waited(w *pending) {
	e.To, e.OrigTo, e.Relay, e.Remote, e.Phase = w.to, w.origTo, w.relay, w.remote, w.phase
	e.Text, e.Reply = w.text, readReply(w.text)
}

// eximReject reads what Exim refused: fields in any order, then "rejected RCPT <a@b>: text" and its relatives.
func (p *Parser) eximReject(r *record, id, b []byte) bool {
	head, what, ok := cut(b, "rejected ")
	if !ok || len(head) > 0 && head[len(head)-1] != ' ' {
		return false
	}
	e := p.begin(Rejected, Exim, r)
	if id != nil {
		if m := p.table.find(r.source, id, r.sec); m != nil {
			e.fill(m)
		}
		e.Queue = string(id)
	}
	temporary := hasSuffix(head, "temporarily ")
	known := false
	for len(head) > 0 {
		key, v, rest, _ := eximField(head)
		head = rest
		switch string(key) {
		case "H":
			p.eximHost(v, e, true)
			known = true
		case "F":
			e.From, e.Sender = p.names.get(bare(v)), true
			known = true
		case "A":
			if _, user, ok := cut(v, ":"); ok {
				e.Account = p.names.get(user)
			}
		case "X":
			e.TLS = true
		}
	}
	if !known {
		return false
	}
	p.eximRefused(e, what, temporary)
	p.out()
	return true
}

// eximRefused reads "RCPT <a@b>: text". The codes are those that Exim gives for deny and defer.
func (p *Parser) eximRefused(e *Event, b []byte, temporary bool) {
	verb, text, _ := cut(b, ": ")
	switch {
	case hasPrefix(verb, "RCPT "):
		to, _ := word(verb[5:])
		e.To, e.Phase = p.names.get(bare(to)), outcome.RcptTo
	case hasPrefix(verb, "MAIL"):
		e.Phase = outcome.MailFrom
	case hasPrefix(verb, "EHLO"), hasPrefix(verb, "HELO"):
		e.Phase = outcome.Ehlo
	case hasPrefix(verb, "connection"):
		e.Phase = outcome.Greeting
	case hasPrefix(verb, "AUTH"):
		e.Phase = outcome.Auth
	case hasPrefix(verb, "DATA"):
		e.Phase = outcome.Data
	default: // "after DATA", "by local_scan()", "during MIME ACL checks"
		e.Phase = outcome.EndOfData
	}
	if len(text) == 0 { // "rejected RCPT <a@b> relay not permitted"
		text = b
	}
	e.Text = eximText(text)
	e.List = listName(text)
	if e.Reply = readReply(e.Text); e.Reply.Code != 0 {
		return
	}
	e.Reply.Code, e.Reply.Lines = 550, []string{e.Text}
	if temporary {
		e.Reply.Code = 451
	}
	e.Reply.Status, _ = mail.ParseStatus(e.Text)
}

// asked are the words before the name of a DNS blocklist, in the texts that come with servers and in those that people write.
var asked = []string{
	" blocked using ", "in a black list at ", "in a blacklist at ", "found in dnsbl ", "listed by domain ", "refused by blackhole site ",
	"blacklisted at ", "blacklisted in ", "blocklisted at ", "listed at ", "listed in ", "listed by ", "found in ", "blocked by ", "is in ",
}

// listName finds the blocklist that a refusal of our own server names.
func listName(text []byte) string {
	for _, words := range asked {
		if _, b, ok := cut(text, words); ok {
			if zone := zoneName(b); zone != "" {
				return zone
			}
		}
	}
	return ""
}
