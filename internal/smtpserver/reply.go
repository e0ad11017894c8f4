package smtpserver

import (
	"strconv"

	"ukai/internal/mail"
)

// Every text that a client may see from this package stands here, with its CRLF. It is English by the protocol and says nothing
// about our insides.
const (
	replyOK        = "250 2.0.0 OK\r\n"
	replySenderOK  = "250 2.1.0 Sender OK\r\n"
	replyRcptOK    = "250 2.1.5 Recipient OK\r\n"
	replyChunkOK   = "250 2.0.0 Chunk OK\r\n"
	replyGo        = "354 Go ahead, end with <CRLF>.<CRLF>\r\n"
	replyBye       = "221 2.0.0 Bye\r\n"
	replyVrfy      = "252 2.0.0 Cannot verify, send the message and see\r\n"
	replyHelp      = "214 2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT\r\n"
	replyTLSReady  = "220 2.0.0 Ready for TLS\r\n"
	replyAuthOK    = "235 2.7.0 Authenticated\r\n"
	replyAuthReset = "501 5.7.0 Authentication cancelled\r\n"

	replyUnknown       = "500 5.5.1 Command unknown\r\n"
	replyLineLong      = "500 5.5.2 Line too long\r\n"
	replyBareLine      = "500 5.5.2 Bare <CR> or <LF> in a command, lines end with <CR><LF>\r\n"
	replyNoArgument    = "501 5.5.4 This command takes no argument\r\n"
	replyHeloSyntax    = "501 5.5.4 Give a domain name or an address literal\r\n"
	replyMailSyntax    = "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
	replyRcptSyntax    = "501 5.5.4 Syntax: RCPT TO:<address>\r\n"
	replyBdatSyntax    = "501 5.5.4 Syntax: BDAT size [LAST]\r\n"
	replyAuthSyntax    = "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n"
	replyParamSyntax   = "501 5.5.4 Parameter not well formed\r\n"
	replyParamUnknown  = "555 5.5.4 Parameter not known\r\n"
	replyNoExpn        = "502 5.5.1 Command not implemented\r\n"
	replyHeloFirst     = "503 5.5.1 Say EHLO first\r\n"
	replyNested        = "503 5.5.1 A message is already under way\r\n"
	replyMailFirst     = "503 5.5.1 Say MAIL first\r\n"
	replyRcptFirst     = "503 5.5.1 Say RCPT first\r\n"
	replyNoRecipients  = "554 5.5.1 No valid recipients\r\n"
	replyInChunks      = "503 5.5.1 BDAT is under way\r\n"
	replyChunkFailed   = "503 5.5.1 The message has failed, say RSET\r\n"
	replyTLSTwice      = "503 5.5.1 TLS is already on\r\n"
	replyNoTLS         = "502 5.5.1 TLS is not offered\r\n"
	replyTLSInMail     = "503 5.5.1 Not while a message is under way\r\n"
	replyAuthTwice     = "503 5.5.1 Already authenticated\r\n"
	replyNoAuth        = "502 5.5.1 Authentication is not offered\r\n"
	replyAuthNeedsTLS  = "538 5.7.11 Say STARTTLS first\r\n"
	replyAuthMechanism = "504 5.5.4 Mechanism not known\r\n"
	replyAuthMalformed = "501 5.5.2 Malformed response\r\n"
	replyAuthLong      = "500 5.5.6 Response too long\r\n"
	replyAuthFailed    = "535 5.7.8 Authentication credentials invalid\r\n"
	replyAuthTrouble   = "454 4.7.0 Authentication is not possible at the moment, try again later\r\n"
	replyUTF8Sender    = "550 5.6.7 Address needs SMTPUTF8\r\n"
	replyUTF8Rcpt      = "553 5.6.7 Address needs SMTPUTF8\r\n"

	replyTooBig       = "552 5.3.4 Message too big\r\n"
	replyTooManyRcpts = "452 4.5.3 Too many recipients\r\n"
	replyBareContent  = "550 5.6.0 Bare <CR> or <LF> in the message, lines end with <CR><LF> (RFC 5321, section 2.3.8)\r\n"
	replyContentLine  = "550 5.6.0 Line too long in the message (RFC 5321, section 4.5.3.1.6)\r\n"
	replyNul          = "550 5.6.0 NUL octet in the message (RFC 6152, section 2)\r\n"
	replyEarlyContent = "554 5.5.0 Content sent before 354\r\n"
	replyTalker       = "554 5.5.1 Wait for the greeting\r\n"

	replyTooManySessions = "421 4.7.0 Too many connections, try again later\r\n"
	replyTooManyOfClient = "421 4.7.0 Too many connections from your address, try again later\r\n"
	replyTooFast         = "421 4.7.0 Too many connections per minute from your address, try again later\r\n"
	replyTooManyErrors   = "421 4.7.0 Too many errors\r\n"
	replyTooManyLogins   = "421 4.7.0 Too many failed logins\r\n"
	replyTooManyMessages = "421 4.7.0 Too many messages in one session, connect again\r\n"
	replyNotHTTP         = "421 4.7.0 This is a mail server\r\n"
	replyDrain           = "421 4.3.2 Going down, try again later\r\n"
	replyTimeout         = "421 4.4.2 Timeout\r\n"
	replySessionLong     = "421 4.4.2 The session took too long\r\n"
	replyLostTrack       = "421 4.7.0 Cannot tell content from commands without a size\r\n"
	replyTooMuch         = "421 4.7.0 Too much input\r\n"
)

// appendReply writes a reply of the Handler. A line feed in its text would let the rest pass for another reply, so everything that
// is not printable becomes a space.
func appendReply(out []byte, r *mail.Reply) []byte {
	code := r.Code
	if code < 200 || code > 599 || code/100 == 3 {
		code = 451 // no answer to a question about a message
	}
	lines := r.Lines
	if len(lines) == 0 {
		lines = []string{r.Status.String()}
	}
	for i, line := range lines {
		out = strconv.AppendInt(out, int64(code), 10)
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		out = append(out, sep)
		for j := 0; j < len(line); j++ {
			if c := line[j]; c >= ' ' && c != 0x7f {
				out = append(out, c)
			} else {
				out = append(out, ' ')
			}
		}
		out = append(out, '\r', '\n')
	}
	return out
}
