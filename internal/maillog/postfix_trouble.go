package maillog

import (
	"bytes"
	"strings"

	"ukai/internal/outcome"
)

// postfixTrouble finds in a reason who answered, in which phase, and the answer itself. The sentences are those of smtp(8):
//
//	host mx[192.0.2.1] said: 550 no (in reply to RCPT TO command)
//	host mx[192.0.2.1] refused to talk to me: 554 no
//	connect to mx[192.0.2.1]:25: Connection refused
//	lost connection with mx[192.0.2.1] while receiving the initial server greeting
//	conversation with mx[192.0.2.1] timed out while sending RCPT TO
//	SASL authentication failed; server mx[192.0.2.1] said: 535 no
//	Host or domain name not found. Name service error for name=example.com type=MX: Host not found
func (p *Parser) postfixTrouble(e *Event, b []byte) (text []byte, phase outcome.Phase) {
	switch {
	case hasPrefix(b, "host "):
		if who, said, ok := cut(b[len("host "):], " said: "); ok && isPeer(who) {
			p.answered(e, who)
			return inReplyTo(said)
		}
		if who, said, ok := cut(b[len("host "):], " refused to talk to me: "); ok && isPeer(who) {
			p.answered(e, who)
			return said, outcome.Greeting
		}
	case hasPrefix(b, "connect to "):
		if who, _, ok := cut(b[len("connect to "):], ": "); ok && isPeer(who) {
			p.answered(e, who)
		}
		return b, outcome.Connect
	case hasPrefix(b, "lost connection with "):
		return p.broke(e, b, b[len("lost connection with "):], " while ")
	case hasPrefix(b, "conversation with "):
		return p.broke(e, b, b[len("conversation with "):], " timed out while ")
	case hasPrefix(b, "SASL authentication failed"):
		if who, said, ok := cut(b, " said: "); ok {
			if _, who, ok = cut(who, "server "); ok && isPeer(who) {
				p.answered(e, who)
			}
			return said, outcome.Auth
		}
		return b, outcome.Auth
	case hasPrefix(b, "TLS "), hasPrefix(b, "Cannot start TLS"), hasPrefix(b, "Server certificate"), hasPrefix(b, "server certificate"):
		return b, outcome.StartTLS
	}
	return b, outcome.Lookup
}

// isPeer tells whether a text can be "host[address]": one word.
func isPeer(b []byte) bool { return len(b) > 0 && len(b) <= maxName && bytes.IndexByte(b, ' ') < 0 }

// answered notes who it was, where the relay field says "none".
func (p *Parser) answered(e *Event, who []byte) {
	if e.Relay != "" || e.Remote.IsValid() {
		return
	}
	peer := p.peers.get(who)
	e.Relay, e.Remote = peer.name, peer.addr
	e.Local = peer.addr.Addr().IsLoopback()
}

// inReplyTo takes "(in reply to RCPT TO command)" off the end. A reply may hold such words itself: the last ones are Postfix's.
func inReplyTo(b []byte) ([]byte, outcome.Phase) {
	const words = " (in reply to "
	i := bytes.LastIndex(b, []byte(words))
	if i < 0 {
		return b, outcome.Lookup
	}
	phase, ok := stage(b[i+len(words):])
	if !ok {
		return b, outcome.Lookup
	}
	return b[:i], phase
}

// broke reads a dialogue that ended without a reply.
func (p *Parser) broke(e *Event, all, b []byte, words string) ([]byte, outcome.Phase) {
	who, doing, ok := cut(b, words)
	if !ok || !isPeer(who) {
		return all, outcome.Lookup
	}
	p.answered(e, who)
	for _, verb := range []string{"sending ", "receiving the ", "performing the ", "receiving "} {
		doing = bytes.TrimPrefix(doing, []byte(verb))
	}
	phase, _ := stage(doing)
	return all, phase
}

// process names a process among all hosts.
func (p *Parser) process(r *record) uint64 { return p.table.key(r.source, r.pid) }

// handshake reads of a TLS session, which the delivery that the process logs next went through: "Trusted TLS connection established to mx[192.0.2.1]:25: TLSv1.3 with cipher ...".
func (p *Parser) handshake(r *record) {
	_, b, ok := cut(r.msg, " connection established to ")
	if !ok || len(r.pid) == 0 {
		return
	}
	who, _, _ := cut(b, ": ")
	p.tls.put(p.process(r), p.peers.get(who).text)
}

// shook tells whether the process that wrote r has a TLS session with that server.
func (p *Parser) shook(r *record, with string) bool {
	if len(r.pid) == 0 {
		return false
	}
	peer, ok := p.tls.get(p.process(r))
	return ok && peer == with
}

// meeting is what a process of smtp(8) was told by a host before it went on to another: "host mx[192.0.2.1] said: 450 no (in
// reply to ...)" with no recipient in the line. The deliveries that it logs next, under the same queue ID, are those of the
// recipients it was told that for. So a server with a fallback relay shows a refusal, though the message was sent.
type meeting struct {
	id    string
	event Event // Relay, Remote, Local, Phase, Reply, Text
}

// softened is a reply that smtp_reply_filter has changed: the process logs both texts of the line, and uses the second from there
// on. What the host really said counts.
type softened struct{ was, is string }

// filtered reads "mx[192.0.2.1]:25: replacing server reply "550 5.7.1 no" with "450 4.7.1 no"".
func (p *Parser) filtered(r *record) bool {
	_, b, ok := cut(r.msg, `: replacing server reply "`)
	if !ok || len(r.pid) == 0 {
		return ok
	}
	was, is, ok := cut(b, `" with "`)
	if is = bytes.TrimSuffix(is, []byte(`"`)); ok && len(was) <= maxWaiting && len(is) <= maxWaiting {
		p.soft.put(p.process(r), softened{clean(was), clean(is)})
	}
	return true
}

// harden puts what a host really said into a text that has the softened line at its end.
func (p *Parser) harden(r *record, text string) string {
	if len(r.pid) == 0 {
		return text
	}
	f, _ := p.soft.get(p.process(r))
	if before, ok := strings.CutSuffix(text, f.is); ok && f.is != "" {
		return before + f.was
	}
	return text
}

// meets keeps what a host said before the process went on to another one.
func (p *Parser) meets(r *record, id, b []byte) {
	if len(r.pid) == 0 {
		return
	}
	var e Event
	text, phase := p.postfixTrouble(&e, b)
	if phase == outcome.Lookup || e.Relay == "" || len(text) > maxWaiting {
		return
	}
	e.Phase, e.Text = phase, p.harden(r, clean(text))
	e.Reply = readReply(e.Text)
	p.met.put(p.process(r), meeting{string(id), e})
}

// tellMeeting emits what the recipient of the event in hand met before, where that was another host.
func (p *Parser) tellMeeting(r *record, id []byte) {
	if len(r.pid) == 0 || id == nil {
		return
	}
	m, ok := p.met.get(p.process(r))
	if !ok || m.id != string(id) || m.event.Reply.Code == 0 || m.event.Remote.Addr() == p.ev.Remote.Addr() {
		return
	}
	last := p.ev
	e := &p.ev
	e.Kind, e.Relay, e.Remote, e.Local = Deferred, m.event.Relay, m.event.Remote, m.event.Local
	e.Phase, e.Reply, e.Text = m.event.Phase, m.event.Reply, m.event.Text
	p.out()
	p.ev = last
}
