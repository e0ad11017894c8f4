package peersim

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
)

// command answers one command; an error ends the session.
func (s *session) command(line []byte) error {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	name := strings.ToUpper(string(verb))
	if s.shut && name != "QUIT" {
		s.say("503 5.5.1 QUIT is all that is left")
		return nil
	}
	switch name {
	case "EHLO", "HELO":
		return s.cmdHello(name, string(bytes.TrimSpace(rest)))
	case "MAIL":
		return s.cmdMail(rest)
	case "RCPT":
		return s.cmdRcpt(rest)
	case "DATA":
		return s.cmdData()
	case "BDAT":
		return s.cmdBdat(rest)
	case "RSET":
		s.reset()
		s.say("250 2.0.0 Ok")
	case "NOOP":
		s.say("250 2.0.0 Ok")
	case "QUIT":
		s.say("221 2.0.0 Bye")
		return errEnd
	case "STARTTLS":
		if !s.p.conf.TLS || s.secure {
			s.say("503 5.5.1 TLS is not to be had")
			return nil
		}
		return s.startTLS()
	case "AUTH":
		return s.cmdAuth(rest)
	default:
		s.complain("an unknown command %q", line)
		s.say("500 5.5.2 Unknown command")
	}
	return nil
}

func (s *session) cmdHello(verb, name string) error {
	if name == "" {
		s.complain("%s without a name", verb)
		s.say("501 5.5.4 A name is expected")
		return nil
	}
	if refused, err := s.judge(Ehlo); refused || err != nil {
		return err
	}
	s.reset()
	s.helo = name
	if verb == "HELO" {
		s.say("250 " + s.host)
		return nil
	}
	n := 0
	if s.secure {
		n |= 1
	}
	if s.account != "" {
		n |= 2
	}
	if s.p.ehlo[n] == "" {
		s.say("250 " + s.host)
		return nil
	}
	s.say("250-" + s.host)
	_, _ = s.bw.WriteString(s.p.ehlo[n])
	return nil
}

// mailPath takes the address from "FROM:<a@b> ARGS" (RFC 5321, section 4.1.2).
func mailPath(rest []byte, key string) (addr, args string, ok bool) {
	if len(rest) < len(key) || !strings.EqualFold(string(rest[:len(key)]), key) {
		return "", "", false
	}
	rest = bytes.TrimLeft(rest[len(key):], " ")
	if len(rest) == 0 || rest[0] != '<' {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return string(rest[1:i]), string(bytes.TrimSpace(rest[i+1:])), true
			}
		}
	}
	return "", "", false
}

func (s *session) cmdMail(rest []byte) error {
	from, args, ok := mailPath(rest, "FROM:")
	switch {
	case !ok:
		s.complain("MAIL %q", rest)
		s.say("501 5.5.4 MAIL FROM:<address> is expected")
		return nil
	case s.helo == "" || s.tx.open:
		s.complain("MAIL out of order")
		s.say("503 5.5.1 Not here")
		return nil
	case s.p.conf.Login != nil && s.account == "":
		s.say("530 5.7.0 Authentication required") // RFC 4954, section 6
		return nil
	}
	s.tx.from, s.tx.mailArgs, s.tx.id = from, args, tag(from, "")
	if !s.mailArgs(args) {
		s.reset()
		return nil
	}
	if !ascii(from) && !s.tx.utf8 {
		s.complain("MAIL FROM beyond ASCII without SMTPUTF8")
	}
	s.tx.open = true
	refused, err := s.judge(MailFrom)
	if refused || err != nil {
		s.reset()
		return err
	}
	s.say("250 2.1.0 Ok")
	return nil
}

// mailArgs reads the parameters of MAIL and refuses those that were not offered (RFC 5321, section 4.1.1.11).
func (s *session) mailArgs(args string) bool {
	for a := range strings.FieldsSeq(args) {
		key, v, _ := strings.Cut(a, "=")
		key = strings.ToUpper(key)
		ext := map[string]string{"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "AUTH": "AUTH"}[key]
		if ext == "" || !s.p.offers(ext) {
			s.complain("MAIL with %q, which was not offered", a)
			s.say("555 5.5.4 Unknown parameter")
			return false
		}
		switch key {
		case "SIZE":
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > s.p.conf.MaxSize {
				s.say("552 5.3.4 Message too big") // RFC 1870, section 6.1
				return false
			}
		case "BODY":
			s.tx.eight = strings.EqualFold(v, "8BITMIME")
		case "SMTPUTF8":
			s.tx.utf8 = true
		}
	}
	return true
}

func (s *session) cmdRcpt(rest []byte) error {
	addr, args, ok := mailPath(rest, "TO:")
	switch {
	case !ok || addr == "":
		s.complain("RCPT %q", rest)
		s.say("501 5.5.4 RCPT TO:<address> is expected")
		return nil
	case !s.tx.open: // no complaint: MAIL may have been refused with this in the pipeline
		s.say("503 5.5.1 MAIL first")
		return nil
	}
	for a := range strings.FieldsSeq(args) {
		key, _, _ := strings.Cut(strings.ToUpper(a), "=")
		if key != "NOTIFY" && key != "ORCPT" || !s.p.offers("DSN") {
			s.complain("RCPT with %q, which was not offered", a)
			s.say("555 5.5.4 Unknown parameter")
			return nil
		}
	}
	if !ascii(addr) && !s.tx.utf8 {
		s.complain("RCPT TO beyond ASCII without SMTPUTF8")
	}
	if !s.p.receives([]byte(addr)) {
		s.say("550 5.7.1 Relaying denied")
		return nil
	}
	s.tx.rcpts = append(s.tx.rcpts, rcpt{addr, args})
	refused, err := s.judge(RcptTo)
	if refused || err != nil {
		s.tx.rcpts = s.tx.rcpts[:len(s.tx.rcpts)-1]
		return err
	}
	s.say("250 2.1.5 Ok")
	return nil
}

// cmdAuth checks PLAIN (RFC 4616).
func (s *session) cmdAuth(rest []byte) error {
	login := s.p.conf.Login
	mech, initial, _ := strings.Cut(string(rest), " ")
	switch {
	case login == nil || s.account != "" || s.helo == "":
		s.say("503 5.5.1 Not here")
		return nil
	case s.p.conf.TLS && !s.secure:
		s.complain("AUTH without TLS")
		s.say("538 5.7.11 Encryption required") // RFC 4954, section 6
		return nil
	case !strings.EqualFold(mech, "PLAIN"):
		s.say("504 5.5.4 PLAIN is all there is")
		return nil
	}
	if initial == "" {
		s.say("334 ")
		line, err := s.readLine()
		if err != nil {
			return err
		}
		initial = string(line)
	}
	b, _ := base64.StdEncoding.DecodeString(initial) // what cannot be decoded is no password either
	parts := strings.Split(string(b), "\x00")
	if len(parts) != 3 || parts[1] != login.User || parts[2] != login.Password {
		s.say("535 5.7.8 Authentication failed")
		return nil
	}
	s.account = parts[1]
	s.say("235 2.7.0 Ok")
	return nil
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
