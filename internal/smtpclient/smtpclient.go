// Package smtpclient hands mail to another server: RFC 5321 with PIPELINING, CHUNKING, SIZE, 8BITMIME, SMTPUTF8, DSN,
// REQUIRETLS, LIMITS, STARTTLS and AUTH.
//
// A Conn is one connection over one egress. It can carry many messages. Each transaction reports, for each recipient, an
// outcome.Outcome with the phase, the whole reply and who said it; nothing here decides what a reply means.
//
// SMTP is a dialogue: the client says a line, the server answers with a three-digit code and text, 2xx for done, 3xx for go
// on, 4xx for not now, 5xx for no. A connection begins with the server's greeting and EHLO, whose reply lists what the server
// can do beyond the basics. Then come transactions: MAIL names the sender, RCPT each recipient, DATA the content, and the reply
// to its last dot hands over the responsibility. Each step waits for the one before, one round trip each, unless the server
// offers PIPELINING (RFC 2920): then a message takes two writes and two reads.
//
// Two rules guard the mail. A content that cannot be read to its end is never ended properly: the connection is cut, so that
// no truncated message is taken for a whole one. And when the connection is lost after the last dot, nobody knows whether the
// message was taken: it is tried again, for twice is better than never (RFC 1047).
package smtpclient

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// TLSMode says how STARTTLS is used.
type TLSMode uint8

// The modes of TLS.
const (
	Opportunistic TLSMode = iota // use it when offered, without looking at the certificate; plain text when it fails (RFC 7435)
	Required                     // use it or fail; the certificate is not looked at
	Verified                     // use it or fail; the certificate must be valid for the host
	Implicit                     // TLS from the first byte (RFC 8314), certificate valid
	NoTLS                        // never
)

// Dialer opens a TCP connection: directly from a source address, or through SOCKS5. It is called from many goroutines, is
// always given an IP address, and returns soon after ctx has ended.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Options are the same for all connections of an egress.
type Options struct {
	Helo     string // EHLO name; must be a domain name or an address literal
	TLS      TLSMode
	TLSConf  *tls.Config // roots, client certificate; may be nil
	Username string      // AUTH is used when not empty: SCRAM-SHA-256, else PLAIN, else LOGIN; never without TLS unless PlainAuth
	Password string
	// PlainAuth allows PLAIN and LOGIN without TLS (for a smarthost on the same machine).
	PlainAuth bool
	// NoChunking keeps to DATA where BDAT is offered (RFC 3030).
	NoChunking bool
	Dialer     Dialer // nil: DirectDialer without a source address
	Timeouts   Timeouts
}

// Timeouts are the limits of RFC 5321, section 4.5.3.2, per phase. Zero means the default.
type Timeouts struct {
	Connect   time.Duration // 30 s
	Greeting  time.Duration // 5 min
	Ehlo      time.Duration // 5 min, STARTTLS and AUTH too
	Command   time.Duration // 5 min: MAIL, RCPT
	Data      time.Duration // 2 min: the reply to DATA
	Block     time.Duration // 3 min: each write of content
	EndOfData time.Duration // 10 min
}

// Target is where to connect to.
type Target struct {
	Host  string // for the log, SNI and certificate
	Addrs []netip.AddrPort
	// Egress and Provider are put into every outcome of the connection; they may be left empty and filled in later.
	Egress, Provider string
}

// Message is one transaction.
type Message struct {
	Envelope   *mail.Envelope
	Recipients []int // indexes into Envelope.Recipients
	// Content is read once from the start, at most once per Send. It has CRLF line ends and no dot-stuffing.
	Content io.Reader
}

// Result is how a transaction ended.
type Result struct {
	// Outcomes stand in the order of Message.Recipients, one for each.
	Outcomes []outcome.Outcome
	// ConnUsable tells whether the Conn can carry another message; otherwise it is closed already.
	ConnUsable bool
	// Stale tells that a connection that had carried mail before was closed by the server before it answered MAIL: nothing was
	// tried, and the message may go over another connection at once.
	Stale bool
	// DSN tells whether the server offered DSN (RFC 3461): if not, success must be reported on our side.
	DSN bool
	// Broken is why the content could not be read; nothing was delivered then, and it is no fault of the server's.
	Broken error
}
