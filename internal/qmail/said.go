package qmail

import (
	"net/netip"
	"strings"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// remoteSaid stands before a reply in a report (qmail-remote.c, outsmtptext).
const remoteSaid = "Remote host said: "

// maxLines bounds the lines of a reply. qmail-remote quotes 5,000 octets.
const maxLines = 200

// sentences are what qmail-remote says of a delivery, by the phase in which it says it.
var sentences = []struct {
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
	{"TLS", outcome.StartTLS},
	{"establish an SMTP connection", outcome.Connect},
	{"connection died", outcome.EndOfData},
}

// said makes an outcome of what a report says of a recipient or of the message.
func said(text string, host string, now time.Time) outcome.Outcome {
	o := outcome.Outcome{At: now, Host: host}
	head, quoted, found := strings.Cut(text, remoteSaid)
	for _, s := range sentences {
		if strings.Contains(head, s.words) {
			o.Phase = s.phase
			break
		}
	}
	for _, word := range strings.Fields(head) {
		if ip, err := netip.ParseAddr(strings.Trim(word, "[]().,:")); err == nil {
			o.Remote, o.Host = netip.AddrPortFrom(ip, 0), ip.String()
			break
		}
	}
	if found {
		o.Reply = readReply(quoted)
	}
	if o.Reply.Code == 0 {
		o.Err, o.ErrTemporary = strings.Join(strings.Fields(text), " "), true
	}
	return o
}

// readReply reads a reply in its own lines (RFC 5321, section 4.2). What comes behind its last line is not part of it.
func readReply(quoted string) mail.Reply {
	var r mail.Reply
	for l := range strings.Lines(quoted) {
		l = strings.TrimRight(l, "\r\n")
		code, more, ok := replyLine(l)
		if !ok || r.Code != 0 && code != r.Code || len(r.Lines) == maxLines {
			return r
		}
		r.Code = code
		text := ""
		if len(l) > 4 {
			text = l[4:]
		}
		r.Lines = append(r.Lines, text)
		if r.Status == (mail.Status{}) {
			r.Status, _ = mail.ParseStatus(text)
		}
		if !more {
			return r
		}
	}
	return r
}

// replyLine reads the code at the start of a line of a reply, and whether more lines come.
func replyLine(l string) (code int, more, ok bool) {
	if len(l) < 3 || l[0] < '2' || l[0] > '5' {
		return 0, false, false
	}
	for _, c := range []byte(l[:3]) {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		code = code*10 + int(c-'0')
	}
	if len(l) == 3 {
		return code, false, true
	}
	return code, l[3] == '-', l[3] == '-' || l[3] == ' '
}
