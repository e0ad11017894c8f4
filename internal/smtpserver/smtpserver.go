// Package smtpserver takes mail in: RFC 5321 with PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES, SMTPUTF8, CHUNKING, DSN,
// STARTTLS, AUTH, REQUIRETLS and LIMITS.
//
// It speaks the protocol and keeps its limits; whether this client may send that mail is decided by a Handler.
//
// SMTP is a conversation of lines. A client that saw PIPELINING (RFC 2920) may send many commands in one go; the answers of
// such a batch leave in one write, when the input has run dry. The content of a message is the one place where lines are not
// commands, and everything hangs on both sides agreeing where it ends: CRLF "." CRLF and nothing else (RFC 5321, section 2.3.8).
// A server that also takes LF "." LF for the end, before one that does not, can be made to accept mail from anybody in the
// name of the first ("SMTP smuggling", 2023). So a CR or LF that stands alone is never a line end here: the command or message
// that has one is refused, and what follows is read as what it is.
//
// A broken rule gets a reply and the session lives on; it ends with 421 where the client does not learn (too many errors), is
// too slow, or where we go away.
package smtpserver

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"

	"ukai/internal/mail"
	"ukai/internal/sasl"
)

// Session is what is known of a client. A Handler may read it during its calls and must not keep it.
type Session struct {
	Listener string // name of the listener
	Client   netip.AddrPort
	Local    netip.AddrPort
	Helo     string
	ESMTP    bool
	TLS      *tls.ConnectionState // nil without TLS
	Account  string               // who authenticated, by SASL or by client certificate; empty for nobody
}

// Protocol returns the word for the "with" clause of a Received line: SMTP, ESMTP, ESMTPSA, UTF8SMTPS, ... (RFC 3848; RFC 6531,
// section 4.3). utf8 tells whether the message used SMTPUTF8.
func (s *Session) Protocol(utf8 bool) string {
	switch {
	case !s.ESMTP:
		return "SMTP"
	case utf8:
		return "UTF8SMTP" + s.suffix()
	}
	return "ESMTP" + s.suffix()
}

func (s *Session) suffix() string {
	switch {
	case s.TLS != nil && s.Account != "":
		return "SA"
	case s.TLS != nil:
		return "S"
	case s.Account != "":
		return "A"
	}
	return ""
}

// Handler decides. A nil reply means yes. Calls of one session come one after the other, in its goroutine. A reply with code
// 421 ends the session.
type Handler interface {
	// Mail is asked for each MAIL FROM. env.Size is what the client declared (RFC 1870), 0 when it declared nothing.
	Mail(ctx context.Context, s *Session, env *mail.Envelope) *mail.Reply
	// Rcpt is asked for each RCPT TO, before the recipient is added to env.Recipients.
	Rcpt(ctx context.Context, s *Session, env *mail.Envelope, rcpt mail.Recipient) *mail.Reply
	// Begin starts a message whose envelope is complete, but for EightBit, which is set before Commit when the content turns
	// out to hold such octets. With a reply instead of a Content the content is refused at DATA.
	Begin(ctx context.Context, s *Session, env *mail.Envelope) (Content, *mail.Reply)
}

// Content receives the content of one message: CRLF line ends, dot-stuffing removed. Write is called with pieces of any size.
// When Write fails, the rest is read and dropped and Commit is called all the same, to get the reply. Either Commit or Abort ends it.
type Content interface {
	io.Writer
	// Commit takes responsibility for the message and returns the reply to give; a nonpositive reply means it was not taken.
	Commit(ctx context.Context) mail.Reply
	// Abort throws the message away: the client is gone, or broke a limit.
	Abort()
}

// Authenticator checks who a client is.
type Authenticator interface {
	// Password checks a name and password; it returns the account's name, or ok false. It takes its time on purpose.
	Password(ctx context.Context, name, password string) (account string, ok bool, err error)
	// Scram returns the stored keys of an account for SCRAM-SHA-256 (RFC 5802, section 3). For an unknown name it returns
	// made-up keys that are the same each time, so that names cannot be probed.
	Scram(ctx context.Context, name string) (ScramKeys, error)
	// Certificate returns the account of a client certificate, or "". The handshake has shown that the client holds the key;
	// nobody has looked at who signed it.
	Certificate(ctx context.Context, state *tls.ConnectionState) string
}

// ScramKeys is what a server keeps instead of a password.
type ScramKeys = sasl.Keys
