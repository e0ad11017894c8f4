package smtpserver

import (
	"bytes"
	"encoding/base64"
	"errors"
	"time"

	"ukai/internal/sasl"
)

// authState is what is known of who the client is.
type authState struct {
	certificate string // the account of the client certificate
	done        bool   // AUTH has succeeded
	failures    int
}

// authOffered tells whether AUTH may be used at this point.
func (s *session) authOffered() bool {
	return s.srv.auth != nil && (s.lo.Auth == AuthPlain || s.lo.Auth == AuthTLS && s.pub.TLS != nil)
}

func (s *session) sayAuth() {
	if !s.authOffered() || s.auth.done {
		return
	}
	s.say("250-AUTH SCRAM-SHA-256 PLAIN LOGIN")
	if s.auth.certificate != "" {
		s.say(" EXTERNAL")
	}
	s.say("\r\n")
}

// authenticate runs AUTH (RFC 4954, section 4).
func (s *session) authenticate(arg []byte) error {
	switch {
	case s.srv.auth == nil || s.lo.Auth == AuthNone:
		return s.mistake(replyNoAuth)
	case !s.authOffered():
		return s.mistake(replyAuthNeedsTLS)
	case !s.pub.ESMTP:
		return s.mistake(replyHeloFirst)
	case s.auth.done:
		return s.mistake(replyAuthTwice)
	case s.tx.env != nil:
		return s.mistake(replyNested)
	}
	mech, initial, given := bytes.Cut(arg, []byte(" "))
	if len(mech) == 0 {
		return s.mistake(replyAuthSyntax)
	}
	server, err := sasl.NewServer(string(mech), s.credentials())
	if err != nil {
		return s.mistake(replyAuthMechanism)
	}
	var response []byte
	if given {
		if response, err = decodeResponse(initial, true); err != nil {
			return s.mistake(replyAuthMalformed)
		}
	}
	return s.converse(server, response)
}

// credentials lets the mechanisms ask the Authenticator.
func (s *session) credentials() sasl.Credentials {
	a := s.srv.auth
	c := sasl.Credentials{
		Password: func(name, password string) (string, bool, error) { return a.Password(s.srv.base, name, password) },
		Scram:    func(name string) (sasl.Keys, error) { return a.Scram(s.srv.base, name) },
	}
	if s.auth.certificate != "" {
		c.External = func() string { return s.auth.certificate }
	}
	return c
}

// converse carries challenges and responses until the mechanism is done.
func (s *session) converse(server sasl.Server, response []byte) error {
	for {
		challenge, done, account, err := server.Next(response)
		switch {
		case err != nil:
			return s.authFailed(err)
		case done:
			s.auth.done, s.pub.Account = true, account
			s.srv.counters.AuthOK.Add(1)
			s.say(replyAuthOK)
			return nil
		}
		s.say("334 ")
		s.wire.out = base64.StdEncoding.AppendEncode(s.wire.out, challenge)
		s.say("\r\n")

		line, wrong, err := s.readLine()
		switch {
		case err != nil:
			return err
		case wrong == overlong:
			return s.mistake(replyAuthLong)
		case wrong == bareEnd:
			s.srv.counters.BareLineEnds.Add(1)
			return s.mistake(replyBareLine)
		case string(line) == "*":
			return s.mistake(replyAuthReset)
		}
		if response, err = decodeResponse(line, false); err != nil {
			return s.mistake(replyAuthMalformed)
		}
	}
}

// decodeResponse undoes base64; the result is never nil. As an initial response "=" stands for an empty one (RFC 4954, section 4).
func decodeResponse(b []byte, initial bool) ([]byte, error) {
	if initial && string(b) == "=" {
		return []byte{}, nil
	}
	if initial && len(b) == 0 {
		return nil, errors.New("empty initial response")
	}
	return base64.StdEncoding.Strict().AppendDecode([]byte{}, b)
}

// authFailed answers a login that did not succeed. A wrong password waits for its answer, longer each time that this client is
// wrong, and takes its turn as an error of the session.
func (s *session) authFailed(err error) error {
	switch {
	case errors.Is(err, sasl.ErrSyntax):
		return s.mistake(replyAuthMalformed)
	case !errors.Is(err, sasl.ErrCredentials):
		s.log.Error("cannot check a login", "listener", s.pub.Listener, "client", s.pub.Client, "err", err)
		s.say(replyAuthTrouble)
		return nil
	}
	s.srv.counters.AuthFailed.Add(1)
	s.auth.failures++
	delay := s.srv.clients.authFailed(time.Now(), s.pub.Client.Addr())
	s.log.Info("login refused", "listener", s.pub.Listener, "client", s.pub.Client, "failures", s.auth.failures, "delay", delay)
	if err := s.penance(delay); err != nil {
		return err
	}
	s.say(replyAuthFailed)
	if s.auth.failures >= s.opts.MaxAuthFailures {
		return s.dismiss(replyTooManyLogins)
	}
	return nil
}

// penance lets the client wait. It ends early when the drain begins.
func (s *session) penance(delay time.Duration) error {
	if err := s.wire.flush(); err != nil {
		return err
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.srv.drain:
	}
	return nil
}
