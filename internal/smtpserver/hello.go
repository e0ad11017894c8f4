package smtpserver

import (
	"crypto/tls"
	"strconv"
	"time"
)

// open does everything before the first command: PROXY header, limits, TLS, greeting.
func (s *session) open() error {
	if err := s.readProxyHeader(); err != nil {
		return err
	}
	if turned := s.srv.clients.admit(time.Now(), s.pub.Client.Addr(), &s.opts.Clients); turned != "" {
		if s.lo.Implicit {
			s.srv.counters.Turned.Add(1)
			return errNoTalk // it waits for a handshake and would not understand
		}
		s.say(turned)
		return errTurned
	}
	s.admitted = true
	if s.lo.Implicit {
		conf := s.ln.tls.config(s.lo)
		if conf == nil {
			return errNoTalk
		}
		if err := s.handshake(conf); err != nil {
			return err
		}
	}
	if err := s.pause(); err != nil {
		return err
	}
	s.say("220 ")
	s.say(s.opts.Hostname)
	s.say(" ESMTP ukai\r\n")
	return nil
}

// pause waits before the greeting for a client that does not (RFC 5321, section 4.3.1: it must).
func (s *session) pause() error {
	if s.lo.GreetPause <= 0 || exempt(s.pub.Client.Addr(), s.opts.Clients.Exempt) {
		return nil
	}
	w := s.wire
	w.mu.Lock()
	w.idle, w.readBy = false, time.Now().Add(s.lo.GreetPause)
	err := w.conn.SetReadDeadline(w.readBy)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if err := w.fill(); err != nil {
		if isTimeout(err) {
			return nil // it waited
		}
		return err
	}
	s.say(replyTalker)
	return errTurned
}

// hello answers HELO and EHLO, which also forget a transaction (RFC 5321, section 4.1.4).
func (s *session) hello(arg []byte, extended bool) error {
	if !validHelo(arg) {
		return s.mistake(replyHeloSyntax)
	}
	s.reset()
	if s.pub.Helo != string(arg) {
		s.pub.Helo = string(arg)
	}
	s.pub.ESMTP = extended
	if !extended {
		s.say("250 ")
		s.say(s.opts.Hostname)
		s.say("\r\n")
		return nil
	}
	s.say("250-")
	s.say(s.opts.Hostname)
	s.say("\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n")
	s.sayTLS()
	s.sayAuth()
	s.sayLimits()
	return nil
}

func (s *session) sayTLS() {
	switch {
	case s.pub.TLS != nil:
		s.say("250-REQUIRETLS\r\n") // RFC 8689, section 2: offered over TLS only
	case s.ln.tls.config(s.lo) != nil:
		s.say("250-STARTTLS\r\n")
	}
}

// sayLimits ends the reply to EHLO with SIZE and LIMITS (RFC 9422).
func (s *session) sayLimits() {
	w := s.wire
	if s.opts.MaxMessages < unlimited || s.opts.MaxRecipients < unlimited {
		s.say("250-LIMITS")
		if s.opts.MaxMessages < unlimited {
			w.out = strconv.AppendInt(append(w.out, " MAILMAX="...), int64(s.opts.MaxMessages), 10)
		}
		if s.opts.MaxRecipients < unlimited {
			w.out = strconv.AppendInt(append(w.out, " RCPTMAX="...), int64(s.opts.MaxRecipients), 10)
		}
		s.say("\r\n")
	}
	s.say("250 SIZE ")
	size := s.opts.MaxSize
	if size >= int64(unlimited) {
		size = 0 // RFC 1870, section 4: no fixed maximum
	}
	w.out = strconv.AppendInt(w.out, size, 10)
	s.say("\r\n")
}

func (s *session) startTLS() error {
	conf := s.ln.tls.config(s.lo)
	switch {
	case s.pub.TLS != nil:
		return s.mistake(replyTLSTwice)
	case conf == nil:
		return s.mistake(replyNoTLS)
	case s.tx.env != nil:
		return s.mistake(replyTLSInMail)
	}
	s.say(replyTLSReady)
	if err := s.handshake(conf); err != nil {
		return err
	}
	// RFC 3207, section 4.2: what was said in the clear is forgotten.
	s.pub.Helo, s.pub.ESMTP = "", false
	return nil
}

// handshake puts TLS on the connection and looks at the client's certificate.
func (s *session) handshake(conf *tls.Config) error {
	state, err := s.wire.startTLS(conf, time.Now().Add(s.opts.Timeouts.Handshake))
	if err != nil {
		s.srv.counters.TLSFailed.Add(1)
		s.log.Debug("TLS handshake failed", "listener", s.pub.Listener, "client", s.pub.Client, "why", err.Error())
		return errNoTalk
	}
	s.srv.counters.TLS.Add(1)
	s.pub.TLS = state
	s.auth = authState{failures: s.auth.failures}
	s.pub.Account = ""
	if len(state.PeerCertificates) > 0 && s.srv.auth != nil {
		s.auth.certificate = s.srv.auth.Certificate(s.srv.base, state)
		s.pub.Account = s.auth.certificate
	}
	return nil
}
