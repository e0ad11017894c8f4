// Package smtpserver takes mail in: RFC 5321 with PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES, SMTPUTF8, CHUNKING, DSN,
// STARTTLS, AUTH, REQUIRETLS and LIMITS.
//
// It speaks the protocol and keeps its limits; whether this client may send that mail is decided by a Handler.
package smtpserver

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"

	"ukai/internal/mail"
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

// Handler decides. A nil reply means yes. Calls of one session come one after the other, in its goroutine.
type Handler interface {
	// Mail is asked for each MAIL FROM.
	Mail(ctx context.Context, s *Session, env *mail.Envelope) *mail.Reply
	// Rcpt is asked for each RCPT TO, before the recipient is added to env.Recipients.
	Rcpt(ctx context.Context, s *Session, env *mail.Envelope, rcpt mail.Recipient) *mail.Reply
	// Begin starts a message whose envelope is complete. With a reply instead of a Content the content is refused at DATA.
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
	// Certificate returns the account of a verified client certificate, or "".
	Certificate(ctx context.Context, state *tls.ConnectionState) string
}

// ScramKeys is what a server keeps instead of a password.
type ScramKeys struct {
	Account    string // empty for an unknown name: authentication fails at the end
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}
