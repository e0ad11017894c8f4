package smtpserver

import (
	"bytes"

	"ukai/internal/mail"
)

// mail begins a transaction (RFC 5321, section 4.1.1.2).
func (s *session) mail(arg []byte) error {
	switch {
	case s.pub.Helo == "":
		return s.mistake(replyHeloFirst)
	case s.tx.failed:
		return s.mistake(replyChunkFailed)
	case s.tx.env != nil:
		return s.mistake(replyNested)
	case s.messages >= s.opts.MaxMessages:
		return s.dismiss(replyTooManyMessages)
	}
	arg, ok := cutKeyword(arg, "FROM:")
	if !ok {
		return s.mistake(replyMailSyntax)
	}
	p, rest, err := parsePath(arg)
	if err == nil && p.addr != "" && mail.Domain(p.addr) == "" {
		err = errPathNoDomain // <postmaster> is an address to write to, not from
	}
	if err != nil {
		return s.mistake("501 5.1.7 Bad sender address: " + err.Error() + "\r\n")
	}
	env := &mail.Envelope{From: p.addr, Client: s.pub.Client.Addr(), Helo: s.pub.Helo, Account: s.pub.Account}
	if wrong := s.mailParams(rest, env); wrong != "" {
		return s.mistake(wrong)
	}
	switch {
	case p.utf8 && !env.UTF8:
		return s.mistake(replyUTF8Sender)
	case env.Size > s.opts.MaxSize:
		s.say(replyTooBig) // RFC 1870, section 6.1
		return nil
	}
	if r := s.srv.handler.Mail(s.srv.base, &s.pub, env); r != nil {
		if !accepted(r) {
			return s.tell(r)
		}
		s.wire.out = appendReply(s.wire.out, r)
	} else {
		s.say(replySenderOK)
	}
	s.tx.env = env
	return nil
}

func (s *session) mailParams(rest []byte, env *mail.Envelope) (wrong string) {
	if len(rest) == 0 {
		return ""
	}
	if !s.pub.ESMTP {
		return replyParamUnknown // nothing was offered
	}
	return paramReply(parseMailParams(rest, env, s.pub.TLS != nil))
}

func paramReply(f paramFault) string {
	switch f {
	case paramSyntax:
		return replyParamSyntax
	case paramUnknown:
		return replyParamUnknown
	}
	return ""
}

// accepted tells whether a reply of the Handler is a yes in its own words.
func accepted(r *mail.Reply) bool { return r.Code >= 200 && r.Code < 300 }

// rcpt adds a recipient (RFC 5321, section 4.1.1.3).
func (s *session) rcpt(arg []byte) error {
	switch {
	case s.tx.env == nil:
		return s.mistake(replyMailFirst)
	case s.tx.failed:
		return s.mistake(replyChunkFailed)
	case s.tx.chunked:
		return s.mistake(replyInChunks)
	}
	s.tx.tried = true
	env := s.tx.env
	arg, ok := cutKeyword(arg, "TO:")
	if !ok {
		return s.mistake(replyRcptSyntax)
	}
	p, rest, err := parsePath(arg)
	if err == nil && p.addr == "" {
		err = errPathLocal // <> is nobody to write to
	}
	if err != nil {
		return s.mistake("501 5.1.3 Bad recipient address: " + err.Error() + "\r\n")
	}
	r := mail.Recipient{Addr: p.addr}
	if len(rest) > 0 {
		wrong := replyParamUnknown
		if s.pub.ESMTP {
			wrong = paramReply(parseRcptParams(rest, &r))
		}
		if wrong != "" {
			return s.mistake(wrong)
		}
	}
	switch {
	case p.utf8 && !env.UTF8:
		return s.mistake(replyUTF8Rcpt)
	case len(env.Recipients) >= s.opts.MaxRecipients:
		s.say(replyTooManyRcpts) // RFC 5321, section 4.5.3.1.10: the client comes back with the rest
		return nil
	}
	return s.addRcpt(r)
}

func (s *session) addRcpt(r mail.Recipient) error {
	if reply := s.srv.handler.Rcpt(s.srv.base, &s.pub, s.tx.env, r); reply != nil {
		if !accepted(reply) {
			s.srv.counters.RcptRefused.Add(1)
			return s.tell(reply)
		}
		s.wire.out = appendReply(s.wire.out, reply)
	} else {
		s.say(replyRcptOK)
	}
	s.tx.env.Recipients = append(s.tx.env.Recipients, r)
	return nil
}

// cutKeyword removes "FROM:" or "TO:" in any case. White space behind the colon is against the rules and common (RFC 5321,
// section 3.3 warns of it); it hides nothing, so it is let pass.
func cutKeyword(arg []byte, keyword string) ([]byte, bool) {
	if len(arg) < len(keyword) || !bytes.EqualFold(arg[:len(keyword)], []byte(keyword)) {
		return nil, false
	}
	return bytes.TrimLeft(arg[len(keyword):], " "), true
}
