package smtpserver

import "bytes"

// longestVerb is the length of STARTTLS.
const longestVerb = 8

// How long a command line may be, with its CRLF: 512 octets (RFC 5321, section 4.5.3.1.4) and what the extensions add: to MAIL SIZE 26,
// BODY 17, SMTPUTF8 10, AUTH 500, RET and ENVID 118, REQUIRETLS 11; to RCPT NOTIFY and ORCPT 536.
const (
	lineCommand = 512
	lineMail    = 512 + 26 + 17 + 10 + 500 + 118 + 11
	lineRcpt    = 512 + 536
)

// dispatch carries out a command line. The octets of line are the input buffer's: nothing of it may be kept.
func (s *session) dispatch(line []byte) error {
	var buf [longestVerb]byte
	verb, arg := cutVerb(line, &buf)
	if len(line)+2 > lineLimit(verb) {
		return s.mistake(replyLineLong)
	}
	switch string(verb) {
	case "MAIL":
		return s.mail(arg)
	case "RCPT":
		return s.rcpt(arg)
	case "BDAT":
		return s.bdat(arg)
	case "EHLO":
		return s.hello(arg, true)
	case "HELO":
		return s.hello(arg, false)
	case "AUTH":
		return s.authenticate(arg)
	case "VRFY":
		s.say(replyVrfy) // RFC 5321, section 3.5.3: better than to tell strangers who is here
		return nil
	case "EXPN":
		return s.mistake(replyNoExpn)
	case "NOOP":
		s.say(replyOK)
		return nil
	case "HELP":
		s.say(replyHelp)
		return nil
	case "GET", "POST", "CONNECT", "PUT", "HEAD", "OPTIONS":
		// A browser that was talked into speaking to us would send commands in the body of its request.
		return s.dismiss(replyNotHTTP)
	}
	return s.dispatchBare(verb, arg)
}

// dispatchBare carries out the commands that have no argument.
func (s *session) dispatchBare(verb, arg []byte) error {
	var do func() error
	switch string(verb) {
	case "DATA":
		do = s.data
	case "RSET":
		do = s.rset
	case "QUIT":
		do = s.quit
	case "STARTTLS":
		do = s.startTLS
	default:
		return s.mistake(replyUnknown)
	}
	if len(arg) > 0 {
		return s.mistake(replyNoArgument)
	}
	return do()
}

// cutVerb splits a line at its first space and puts the verb in upper case into buf. Trailing white space does not count (RFC
// 5321, section 4.1.1).
func cutVerb(line []byte, buf *[longestVerb]byte) (verb, arg []byte) {
	line = bytes.TrimRight(line, " \t")
	n := bytes.IndexByte(line, ' ')
	if n < 0 {
		n = len(line)
	}
	if n > longestVerb {
		return nil, nil
	}
	for i := range n {
		buf[i] = upper(line[i])
	}
	return buf[:n], bytes.TrimLeft(line[n:], " ")
}

func lineLimit(verb []byte) int {
	switch string(verb) {
	case "AUTH":
		return maxLine
	case "MAIL":
		return lineMail
	case "RCPT":
		return lineRcpt
	}
	return lineCommand
}

func (s *session) rset() error {
	s.reset()
	s.say(replyOK)
	return nil
}

func (s *session) quit() error {
	s.say(replyBye)
	return errQuit
}
