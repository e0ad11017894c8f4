package maillog

import (
	"bytes"

	"ukai/internal/outcome"
)

// attempt is a delivery of qmail that has begun: the line that ends it names only its number.
type attempt struct {
	id    string
	to    string
	local bool
}

// maxAttempts bounds them. qmail itself has at most 509 at once of each kind.
const maxAttempts = 1 << 12

// qmailTagged reads a line with a program's name before it. splogger puts its own time before the text.
func (p *Parser) qmailTagged(r *record) bool {
	b := r.msg
	if m, n := epoch(b); n > 0 && n < len(b) {
		r.moment = m
		b = trimLeft(b[n:])
	}
	if string(r.tag) == "rblsmtpd" {
		return p.rblsmtpd(r, b)
	}
	if string(r.tag) == "spamdyke" {
		return p.spamdyke(r, b)
	}
	return p.qmailText(r, b)
}

// qmailText reads a line of qmail-send (qmail-log(5)) or of what stands before qmail-smtpd.
func (p *Parser) qmailText(r *record, b []byte) bool {
	if program, rest, ok := cut(b, ": "); ok { // many programs in one multilog
		switch string(program) {
		case "rblsmtpd":
			return p.rblsmtpd(r, rest)
		case "qmail-send", "qmail":
			b = rest
		}
	}
	switch {
	case hasPrefix(b, "new msg "):
		p.table.begin(r.source, qmailID(b[len("new msg "):]), r.sec)
	case hasPrefix(b, "info msg "):
		p.qmailInfo(r, b[len("info msg "):])
	case hasPrefix(b, "starting delivery "):
		p.qmailStart(r, b[len("starting delivery "):])
	case hasPrefix(b, "delivery "):
		return p.qmailEnd(r, b[len("delivery "):])
	case hasPrefix(b, "end msg "):
		if m := p.table.find(r.source, qmailID(b[len("end msg "):]), r.sec); m != nil {
			p.table.end(m)
		}
	case hasPrefix(b, "DENIED_"), hasPrefix(b, "ALLOWED "):
		return p.spamdyke(r, b)
	default:
		return hasAny(b, qmailTalk)
	}
	return true
}

var qmailTalk = []string{
	"status: ", "bounce msg ", "triple bounce: ", "double bounce: ", "tcpserver: ", "running", "exiting", "alert: ", "warning: ",
	"cannot start", "hostname ", "qmail-smtpd: ", "CHKUSER ", "reads: ", "local: ", "remote: ",
}

// qmailID is the number of a message, which qmail-send takes from the inode: it comes again. Some versions put the name of a
// queue behind it.
func qmailID(b []byte) []byte { return b[:min(digits(b), 20)] }

// qmailInfo reads "123: bytes 456 from <a@b> qp 789 uid 100".
func (p *Parser) qmailInfo(r *record, b []byte) {
	m := p.table.get(r.source, qmailID(b), r.sec)
	_, b, ok := cut(b, ": bytes ")
	if !ok {
		return
	}
	size, b := word(b)
	m.size, _ = number(size)
	if i := bytes.LastIndex(b, []byte("> qp ")); i >= 0 && hasPrefix(b, "from <") {
		m.from, m.sender = p.names.get(b[len("from <"):max(i, len("from <"))]), true
		p.table.charge(m)
	}
}

// qmailStart reads "5: msg 123 to remote a@b".
func (p *Parser) qmailStart(r *record, b []byte) {
	num, b, ok := cut(b, ": msg ")
	if !ok || len(num) > 20 {
		return
	}
	id := qmailID(b)
	_, b = word(b)
	local := hasPrefix(b, "to local ")
	if !local && !hasPrefix(b, "to remote ") {
		return
	}
	_, to, _ := cut(b[len("to "):], " ")
	to, _ = word(to)
	if len(p.qmail) >= maxAttempts {
		clear(p.qmail) // a log without ends of deliveries: nothing that is kept would be asked for
	}
	m := p.table.get(r.source, id, r.sec)
	if local { // virtualdomains puts "example.org-" before the address
		if _, domain, ok := cut(to, "@"); ok && len(domain) > 0 && hasPrefix(to, string(domain)) && to[len(domain)] == '-' {
			to = to[len(domain)+1:]
		}
	}
	p.qmail[p.table.key(r.source^1, num)] = attempt{id: m.id, to: p.names.get(to), local: local}
}

// qmailEnd reads "5: success: text", "5: failure: text", "5: deferral: text".
func (p *Parser) qmailEnd(r *record, b []byte) bool {
	num, b, ok := cut(b, ": ")
	if !ok {
		return false
	}
	how, text, ok := cut(b, ": ")
	kind := map[string]Kind{"success": Delivered, "failure": Bounced, "deferral": Deferred}[string(how)]
	if !ok || kind == 0 {
		return hasPrefix(b, "report mangled")
	}
	k := p.table.key(r.source^1, num)
	a, known := p.qmail[k]
	if !known {
		return true // the log begins in the midst of a delivery: to whom is not known
	}
	delete(p.qmail, k)
	m := p.table.get(r.source, []byte(a.id), r.sec)
	e := p.begin(kind, Qmail, r)
	e.fill(m)
	e.Queue = "msg " + a.id
	e.To, e.Local = a.to, a.local
	if a.local {
		e.Relay = "local"
	}
	p.qmailReason(e, text)
	p.waits(e, m)
	p.out()
	return true
}

// qmailReason reads what qmail-remote or qmail-local said, with underscores for what is no plain character:
//
//	192.0.2.1_accepted_message./Remote_host_said:_250_ok/
//	192.0.2.1_does_not_like_recipient./Remote_host_said:_550_no/Giving_up_on_192.0.2.1./
//	Connected_to_192.0.2.1_but_sender_was_rejected./Remote_host_said:_550_no/
//	Sorry,_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/
//
// A slash stands for a line end.
func (p *Parser) qmailReason(e *Event, b []byte) {
	b, _ = word(b)
	s := bytes.ReplaceAll(b, []byte("_"), []byte(" "))
	for _, q := range qmailPhases {
		if contains(s, q.words) {
			e.Phase = q.phase
			break
		}
	}
	if e.Kind == Bounced && contains(s, "has been in the queue too long") {
		e.Kind = Expired
	}
	p.qmailHost(e, s)
	s, _, _ = cut(s, "/I'm not going to try again")
	text := s
	if _, said, ok := cut(s, "Remote host said: "); ok {
		text, _, _ = cut(said, "/Giving up on ")
	}
	e.Text = oneLine(text)
	if e.Reply = readReply(e.Text); e.Kind == Delivered && e.Reply.Code != 0 {
		e.Phase = outcome.EndOfData
	}
}

// oneLine makes one line of what had a slash for each line end. A slash inside a URL stays: behind a line end of a reply
// stands its code, and the last slash ends the text.
func oneLine(b []byte) string {
	b = bytes.TrimRight(b, "/ ")
	if code, ok := replyCode(string(b[:min(4, len(b))])); ok && code > 0 {
		head := string(b[:3])
		b = bytes.ReplaceAll(b, []byte("/"+head+"-"), []byte(" "+head+"-"))
		b = bytes.ReplaceAll(b, []byte("/"+head+" "), []byte(" "+head+" "))
	}
	return clean(b)
}

// qmailHost finds the other server's address: the first or the fourth word of the sentence.
func (p *Parser) qmailHost(e *Event, s []byte) {
	for _, before := range []string{"Connected to ", "Giving up on ", "User and password not set, continuing without authentication./", ""} {
		at := 0
		if before != "" {
			if at = index(s, before); at < 0 {
				continue
			}
			at += len(before)
		}
		w, _ := word(s[at:])
		if a := address(bytes.TrimRight(w, "./")); a.IsValid() {
			e.Remote = addrPort(a)
			if e.Relay == "" {
				e.Relay = a.String()
			}
			return
		}
	}
}

// qmailPhases are the sentences of qmail-remote by what they say of the phase.
var qmailPhases = []struct {
	words string
	phase outcome.Phase
}{
	{"does not like recipient", outcome.RcptTo},
	{"accepted message", outcome.EndOfData},
	{"failed after I sent the message", outcome.EndOfData},
	{"failed on DATA command", outcome.Data},
	{"sender was rejected", outcome.MailFrom},
	{"my name was rejected", outcome.Ehlo},
	{"greeting failed", outcome.Greeting},
	{"unable to STARTTLS", outcome.StartTLS},
	{"TLS", outcome.StartTLS},
	{"establish an SMTP connection", outcome.Connect},
	{"but connection died", outcome.EndOfData},
}
