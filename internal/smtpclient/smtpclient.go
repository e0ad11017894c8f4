// Package smtpclient hands mail to another server: RFC 5321 with PIPELINING, CHUNKING, SIZE, 8BITMIME, SMTPUTF8, DSN,
// REQUIRETLS, LIMITS, STARTTLS and AUTH.
//
// A Conn is one connection over one egress. It can carry many messages. Each transaction reports, for each recipient, an
// outcome.Outcome with the phase, the whole reply and who said it; nothing here decides what a reply means.
package smtpclient

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"

	"ukai/internal/mail"
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

// Dialer opens a TCP connection: directly from a source address, or through SOCKS5.
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
	Dialer    Dialer
	Timeouts  Timeouts
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
}

// Message is one transaction.
type Message struct {
	Envelope   *mail.Envelope
	Recipients []int // indexes into Envelope.Recipients
	// Content is read once from the start, at most once per Send. It has CRLF line ends and no dot-stuffing.
	Content io.Reader
}
