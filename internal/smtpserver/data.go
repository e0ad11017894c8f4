package smtpserver

import (
	"time"

	"ukai/internal/mail"
)

// drainExtra is how much of a refused content is read beyond the size limit before the session ends.
const drainExtra = 1 << 20

// data takes a content that ends with a dot (RFC 5321, section 4.1.1.4).
func (s *session) data() error {
	if s.tx.chunked {
		return s.mistake(replyInChunks) // RFC 3030, section 2: not both
	}
	if wrong := s.noContentYet(); wrong != "" {
		return s.mistake(wrong)
	}
	if s.wire.pending() {
		// The client did not wait for our 354 (RFC 2920, section 3.1). Were DATA refused, the lines of its message would be commands.
		return s.dismiss(replyEarlyContent)
	}
	content, refusal := s.begin()
	if content == nil {
		// The transaction is over: a client that goes on to the next message without RSET is not to be told of a nested MAIL.
		s.reset()
		return s.tell(refusal)
	}
	s.say(replyGo)
	scan := &s.tx.content
	scan.start(content, s.opts.MaxSize, s.opts.MaxLine)
	started := time.Now()
	for {
		w := s.wire
		n, end := scan.data(w.in[w.r:w.w])
		w.r += n
		if end {
			break
		}
		if err := s.moreContent(scan, started, scan.taken); err != nil {
			return err
		}
	}
	return s.settle()
}

// noContentYet returns what is wrong with a content at this point, "" for nothing.
func (s *session) noContentYet() string {
	switch {
	case s.tx.env == nil:
		return replyMailFirst
	case len(s.tx.env.Recipients) > 0:
		return ""
	case s.tx.tried:
		return replyNoRecipients
	}
	return replyRcptFirst
}

// begin asks the Handler for a place for the content. Without Content there is a reply.
func (s *session) begin() (Content, *mail.Reply) {
	s.messages++
	content, refusal := s.srv.handler.Begin(s.srv.base, &s.pub, s.tx.env)
	if refusal == nil && content != nil {
		return content, nil
	}
	if content != nil {
		content.Abort()
	}
	if refusal == nil || accepted(refusal) {
		refusal = &mail.Reply{Code: 451, Lines: []string{"4.3.0 Try again later"}}
	}
	s.srv.counters.Refused.Add(1)
	return nil, refusal
}

// moreContent reads more of a content. It has a head start and then must keep up a least rate; so what a slow client can hold
// for itself has an end however it spreads its octets. seen is what has come since started.
func (s *session) moreContent(scan *scanner, started time.Time, seen int64) error {
	if scan.broken != noBreach && scan.taken/2 > s.opts.MaxSize+drainExtra {
		s.say(scan.reply()) // a final one, so that the client does not send it all again
		return s.dismiss(replyTooMuch)
	}
	by := s.end()
	if t := &s.opts.Timeouts; t.MinRate > 0 {
		owed := started.Add(t.Data + time.Duration(seen/t.MinRate)*time.Second)
		if owed.Before(by) {
			by = owed
		}
	}
	s.wire.readUntil(by, false)
	return s.wire.fill()
}

// settle ends a content that has come whole: with our own refusal, or with what the Handler's Commit says.
func (s *session) settle() error {
	scan, env := &s.tx.content, s.tx.env
	c := &s.srv.counters
	if scan.broken != noBreach {
		c.Malformed.Add(1)
		if scan.broken == bareLineEnd {
			c.BareLineEnds.Add(1)
		}
		reply := scan.reply()
		s.reset()
		s.say(reply)
		return nil
	}
	env.EightBit = env.EightBit || scan.eightBit
	sink, size := scan.sink, scan.size
	scan.sink = nil // from here on it is Commit's
	r := sink.Commit(s.srv.base)
	s.reset()
	if accepted(&r) {
		c.Accepted.Add(1)
		c.Octets.Add(size)
	} else {
		c.Refused.Add(1)
	}
	return s.tell(&r)
}

// reply returns what a client is told about the rule that its content broke.
func (c *scanner) reply() string {
	switch c.broken {
	case bareLineEnd:
		return replyBareContent
	case lineTooLong:
		return replyContentLine
	case nulOctet:
		return replyNul
	}
	return replyTooBig
}
