package maillog

import (
	"strings"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// replyCode reads the code that a reply begins with (RFC 5321, section 4.2): three digits of which the first is 2 to 5, then a
// blank, a hyphen or the end.
func replyCode(s string) (code int, ok bool) {
	if len(s) < 3 || s[0] < '2' || s[0] > '5' || s[1] > '9' || s[1] < '0' || s[2] > '9' || s[2] < '0' ||
		len(s) > 3 && s[3] != ' ' && s[3] != '-' {
		return 0, false
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0'), true
}

// readReply takes a reply apart that a log holds on one line: with a blank between the lines of the reply, and the code of each
// line stays: "550-5.7.1 like this 550-5.7.1 and this 550 5.7.1 to the end". Code 0: it
// does not begin with a code.
func readReply(s string) mail.Reply {
	code, ok := replyCode(s)
	if !ok {
		return mail.Reply{}
	}
	r := mail.Reply{Code: code}
	if len(s) == 3 {
		r.Lines = []string{""}
		return r
	}
	head, rest, more := s[:3], s[4:], s[3] == '-'
	if !more {
		r.Status, _ = mail.ParseStatus(rest)
		r.Lines = []string{rest}
		return r
	}
	// With an enhanced status in the first line, each line has one (RFC 2034, section 4): that tells a line's beginning from a
	// code in the midst of the text.
	status, _ := mail.ParseStatus(rest)
	mark := ""
	if status != (mail.Status{}) {
		mark = status.String()
	}
	for more && len(r.Lines) < 64 {
		i, last := nextLine(rest, head, mark)
		if i < 0 {
			break
		}
		r.Lines = append(r.Lines, strings.TrimRight(rest[:i], " "))
		rest = rest[i+5:]
		more = !last
	}
	r.Lines = append(r.Lines, rest)
	for _, l := range r.Lines {
		if r.Status, _ = mail.ParseStatus(l); r.Status != (mail.Status{}) {
			break
		}
	}
	return r
}

// nextLine finds where the next line of a reply begins: at a blank, the code, and a hyphen or, in the last line, a blank.
func nextLine(s, code, mark string) (at int, last bool) {
	for from := 0; ; {
		i := strings.Index(s[from:], code)
		if i < 0 {
			return -1, false
		}
		i += from
		from = i + 3
		if from >= len(s) || s[from] != '-' && s[from] != ' ' || !strings.HasPrefix(s[from+1:], mark) {
			continue
		}
		if i > 0 && s[i-1] == ' ' {
			return i - 1, s[from] == ' '
		}
	}
}

// stages are the words for a step of the dialogue, as Postfix writes them ("in reply to RCPT TO command", "while sending end of
// data") and Exim ("after RCPT TO:<...>"). The longer ones come first.
var stages = []struct {
	words string
	phase outcome.Phase
}{
	{"end of data", outcome.EndOfData},
	{"end of DATA", outcome.EndOfData},
	{"message body", outcome.EndOfData},
	{"DATA", outcome.Data},
	{"BDAT", outcome.EndOfData},
	{"RCPT TO", outcome.RcptTo},
	{"MAIL FROM", outcome.MailFrom},
	{"pipelined MAIL FROM", outcome.MailFrom},
	{"pipelined RCPT TO", outcome.RcptTo},
	{"pipelined DATA", outcome.Data},
	{"initial connection", outcome.Greeting},
	{"initial server greeting", outcome.Greeting},
	{"EHLO", outcome.Ehlo},
	{"HELO", outcome.Ehlo},
	{"LHLO", outcome.Ehlo},
	{"STARTTLS", outcome.StartTLS},
	{"TLS", outcome.StartTLS},
	{"AUTH", outcome.Auth},
	{"SASL", outcome.Auth},
}

// stage finds the phase that the words behind "in reply to", "while sending" or "after" begin with; ok is false for others.
func stage(b []byte) (outcome.Phase, bool) {
	for _, s := range stages {
		if hasPrefix(b, s.words) {
			return s.phase, true
		}
	}
	return 0, false
}

// clean makes a text of octets: one line, without characters that would play with a terminal. What rsyslog makes of control
// characters is undone: #012 was a line end, #011 a tab, #015 a carriage return.
func clean(b []byte) string {
	rough := false
	for _, c := range b {
		rough = rough || c < ' ' || c == 0x7f || c == '#'
	}
	if !rough {
		return string(b)
	}
	s := escapes.Replace(string(b))
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
	return strings.TrimSpace(s)
}

var escapes = strings.NewReplacer("#015#012", " ", "#012", " ", "#015", " ", "#011", " ")
