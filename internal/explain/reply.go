package explain

import (
	"regexp"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// Reply says what a reply means that a person has pasted: one line or several, with the codes or without them, out of a
// terminal, a transcript or a quotation. Of a dialogue, the last refusal counts. who is the provider if the caller knows it.
func (e *Explainer) Reply(who provider.ID, s string) Finding {
	said := dialogue(s)
	f := Finding{Kind: Reply, Text: oneLine(said.text), Phase: said.phase}
	c := cluesOf(f.Text)
	f.Host, f.Recipient, f.Sender, f.Code, f.Status = c.host, or(c.recipient, said.recipient), or(c.sender, said.sender), c.code, c.status
	if f.Host == "" && said.phase != "" { // it stands before the dialogue
		f.Host = refuser(oneLine(s))
	}
	f.Provider = e.speaker(who, &f)
	switch {
	case c.code/100 == 2 || c.code == 0 && c.taken:
		f.Verdict = kindVerdict(classify.Delivered)
	case said.phase != "" && len(said.lines) > 0:
		f.Verdict = e.Rules.Classify(said.outcome(f.Provider))
	default:
		f.Verdict = e.Rules.Text(f.Provider, f.Text)
	}
	if m := anyAddress.FindStringSubmatch(f.Text); m != nil && f.Recipient == "" && f.Verdict.Blame == classify.BlameRecipient {
		f.Recipient = m[1]
	}
	e.finish(&f)
	return f
}

// speaker returns the provider that said the text of a finding: the one the caller knows, the one that the words betray, the one
// of the host, the one of the recipient. An unknown host stands for itself.
func (e *Explainer) speaker(who provider.ID, f *Finding) provider.ID {
	if who != "" {
		return who
	}
	m := e.mailbox(f.Host, f.Recipient)
	if m.Row != nil {
		return m.ID
	}
	if id := e.Rules.Speaker(f.Text); id != "" {
		return id
	}
	return m.ID
}

// or returns s, or what stands in for it where there is nothing.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// said is what is left of a pasted dialogue.
type said struct {
	text      string // what is to be judged
	lines     []string
	phase     string // of the command before it, where one was pasted
	recipient string
	sender    string
}

// outcome makes of the reply what an attempt would have seen.
func (d *said) outcome(who provider.ID) *outcome.Outcome {
	o := &outcome.Outcome{Phase: outcome.ParsePhase(d.phase), Provider: who}
	o.Reply.Code, o.Reply.Status = codeOf(d.lines[0])
	for _, l := range d.lines {
		if len(l) > 3 {
			o.Reply.Lines = append(o.Reply.Lines, l[4:])
		}
	}
	return o
}

var (
	// What programs put before a line of a dialogue: "<<< " (Sendmail's transcripts), "<- ", "<** " (swaks), "S: ", "< " (curl).
	serverMark = regexp.MustCompile(`^(?:<<<|<~\*|<~|<-|<\*\*|\*\*<|S:|<|In:|SMTP<<)\s+`)
	clientMark = regexp.MustCompile(`^(?:>>>|~>|->|C:|>|Out:|SMTP>>)\s+`)
	quoteMark  = regexp.MustCompile(`^(?:[>|] ?)+`)
	codeLine   = regexp.MustCompile(`^[2-5][0-5][0-9](?:[- ]|$)`)
	command    = regexp.MustCompile(`(?i)^(EHLO|HELO|LHLO|STARTTLS|AUTH|MAIL FROM|RCPT TO|DATA|BDAT|QUIT|RSET|NOOP|\.)(?:$|[: ])`)
)

// phases are the phases that commands belong to. What answers a lone dot, answers the content.
var phases = map[string]outcome.Phase{
	"EHLO": outcome.Ehlo, "HELO": outcome.Ehlo, "LHLO": outcome.Ehlo, "STARTTLS": outcome.StartTLS, "AUTH": outcome.Auth,
	"MAIL FROM": outcome.MailFrom, "RCPT TO": outcome.RcptTo, "DATA": outcome.Data, "BDAT": outcome.EndOfData, ".": outcome.EndOfData,
}

// maxDialogue bounds how many lines of a pasted text are looked at.
const maxDialogue = 2000

// dialogue takes the marks off a pasted text and finds the refusal in it. A text without lines that begin with a code is one
// piece.
func dialogue(s string) said {
	lines := strings.FieldsFunc(s[:min(len(s), 16*maxLine)], func(r rune) bool { return r == '\n' || r == '\r' })
	lines = lines[:min(len(lines), maxDialogue)]
	whole := unquote(lines)
	var d, last said
	for _, l := range whole {
		l = serverMark.ReplaceAllString(l, "")
		if bare := clientMark.ReplaceAllString(l, ""); command.MatchString(bare) {
			d.command(bare)
			continue
		}
		if !codeLine.MatchString(l) {
			continue
		}
		if goesOn := len(d.lines) > 0 && d.lines[0][:3] == l[:3] && strings.HasPrefix(d.lines[len(d.lines)-1][3:], "-"); !goesOn {
			d.lines = nil
		}
		d.lines = append(d.lines, l)
		if l[0] != '4' && l[0] != '5' && len(last.lines) > 0 && last.lines[0][0] >= '4' {
			continue // a "221 bye" behind the refusal
		}
		last = d
	}
	if len(last.lines) == 0 || !ends(whole, last.lines) {
		d.text, d.lines, d.phase = strings.Join(whole, " "), nil, ""
		return d
	}
	last.text = strings.Join(last.lines, " ")
	return last
}

// ends tells whether the reply was pasted as a server gives it: nothing but the dialogue around it. A line that goes on in the
// next one without a code was broken by a terminal or a mail program, so all of it is needed.
func ends(whole, reply []string) bool {
	for i, l := range whole {
		l = serverMark.ReplaceAllString(l, "")
		if l == reply[len(reply)-1] {
			if i+1 == len(whole) {
				return true
			}
			next := serverMark.ReplaceAllString(whole[i+1], "")
			return codeLine.MatchString(next) || command.MatchString(clientMark.ReplaceAllString(next, ""))
		}
	}
	return true
}

// command takes note of a command of the client.
func (d *said) command(l string) {
	name := strings.ToUpper(command.FindStringSubmatch(l)[1])
	d.lines = nil
	p, ok := phases[name]
	if !ok {
		return
	}
	d.phase = p.String()
	switch p {
	case outcome.RcptTo:
		d.recipient = bracketed(l)
	case outcome.MailFrom:
		d.sender = bracketed(l)
	}
}

// bracketed returns what stands between angle brackets.
func bracketed(l string) string {
	_, rest, ok := strings.Cut(l, "<")
	if !ok {
		return ""
	}
	addr, _, _ := strings.Cut(rest, ">")
	return addr
}

// unquote takes off the marks with which a mail program quotes, if every line has one, and the blanks at both ends.
func unquote(lines []string) []string {
	out := make([]string, 0, len(lines))
	quoted := true
	for _, l := range lines {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		quoted = quoted && (l[0] == '>' || l[0] == '|') && !strings.HasPrefix(l, ">>>")
		out = append(out, l)
	}
	if !quoted {
		return out
	}
	for i, l := range out {
		out[i] = strings.TrimSpace(quoteMark.ReplaceAllString(l, ""))
	}
	return out
}
