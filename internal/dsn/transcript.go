package dsn

import (
	"bytes"
	"strings"

	"ukai/internal/outcome"
)

// talk is a reply in a transcript (">>> RCPT TO:<a@b>", "<<< 550 no").
type talk struct {
	addr  string
	phase outcome.Phase
	known bool
	text  string
	host  string
	more  bool // another line of the reply follows
}

// transcript reads a line of the dialogue with a server, as Sendmail and others quote it. Only refusals count.
func (p *prose) transcript(line []byte) bool {
	head := line[:min(len(line), 48)]
	for _, a := range arrows {
		i := bytes.Index(head, a.mark)
		if i < 0 || i > 0 && head[i-1] != ' ' || i > 0 && !a.behind && !foldedAt(line, 0, "sent") && !foldedAt(line, 0, "received") {
			continue
		}
		if a.sent {
			p.sent(line[i+len(a.mark):])
		} else {
			p.heard(line[i+len(a.mark):])
		}
		return true
	}
	return false
}

// arrows mark what was sent and what was heard; behind: something else, such as the time, may stand before it.
var arrows = []struct {
	mark         []byte
	sent, behind bool
}{
	{[]byte(">>> "), true, false}, {[]byte("<<< "), false, false}, {[]byte("--> "), true, true}, {[]byte("<-- "), false, true},
}

// commands are the beginnings of what is sent, with the phase.
var commands = []struct {
	name  string
	phase outcome.Phase
}{
	{"rcpt", outcome.RcptTo}, {"mail", outcome.MailFrom}, {"data", outcome.Data}, {"ehlo", outcome.Ehlo}, {"helo", outcome.Ehlo},
	{"starttls", outcome.StartTLS}, {"auth", outcome.Auth}, {".", outcome.EndOfData}, {"bdat", outcome.EndOfData},
}

// sent takes a command.
func (p *prose) sent(command []byte) {
	p.command = talk{host: p.host}
	for _, c := range commands {
		if foldedAt(command, 0, c.name) {
			p.command.phase, p.command.known = c.phase, true
		}
	}
	if foldedAt(command, 0, "rcpt") {
		if s, e := findAddr(command, 0); e > 0 {
			p.command.addr = string(command[s:e])
		}
	}
}

// heard takes a line of a reply.
func (p *prose) heard(reply []byte) {
	if len(reply) < 3 || reply[0] != '4' && reply[0] != '5' || !isDigit(reply[1]) || !isDigit(reply[2]) || len(p.talks) >= MaxResults {
		return
	}
	t := p.command
	t.text = oneLine(reply[:min(len(reply), MaxReason)])
	if n := len(p.talks); n > 0 && p.talks[n-1].more && len(p.talks[n-1].text) < MaxReason && p.talks[n-1].text[:3] == t.text[:min(3, len(t.text))] {
		p.talks[n-1].text += " " + t.text
		p.talks[n-1].more = reply[min(3, len(reply)-1)] == '-'
		return
	}
	t.more = reply[min(3, len(reply)-1)] == '-' // RFC 5321, section 4.2.1
	if t.host == "" {
		t.host = p.host
	}
	p.talks = append(p.talks, t)
}

// hear gives a result its reply in the transcript: the one to its own RCPT, or, where all may count, one that concerns all: the
// first final one (what follows, such as "no valid recipients", is a consequence), or else the last.
func (p *prose) hear(r *Result, all bool) {
	var best *talk
	for i := range p.talks {
		t := &p.talks[i]
		own := strings.EqualFold(t.addr, r.Recipient)
		if !own && (!all || t.addr != "") {
			continue
		}
		bestOwn := best != nil && strings.EqualFold(best.addr, r.Recipient)
		if best == nil || own && !bestOwn || own == bestOwn && best.text[0] != '5' {
			best = t
		}
	}
	if best == nil {
		return
	}
	r.Reply = parseReply(best.text)
	if best.known {
		r.Phase, r.PhaseKnown = best.phase, true
	}
	if r.Host == "" {
		r.Host = best.host
	}
}
