package smtpserver

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Options are the same for all listeners. Zero values mean the defaults; -1 switches a limit off.
type Options struct {
	// Hostname stands in the greeting and the EHLO reply. Default "localhost".
	Hostname string
	// MaxSize is the largest content in octets (SIZE, RFC 1870). Default 50 MiB.
	MaxSize int64
	// MaxRecipients is the most RCPT of one message (452 4.5.3 after that). Default 1000; RFC 5321, section 4.5.3.1.8 asks for 100.
	MaxRecipients int
	// MaxLine is the longest content line without its CRLF. Default 998 (RFC 5321, section 4.5.3.1.6). Raise it, or -1, for
	// clients that write whole HTML pages on one line; some receivers will then refuse their mail.
	MaxLine int
	// MaxMessages is the most messages of one session (MAILMAX, RFC 9422). Default: no limit.
	MaxMessages int
	// MaxErrors ends a session with so many broken rules. Default 20.
	MaxErrors int
	// MaxAuthFailures ends a session with so many failed AUTH. Default 5.
	MaxAuthFailures int
	Clients         ClientLimits
	Timeouts        Timeouts
}

// ClientLimits keep one client from taking all places. A client is an IPv4 address or an IPv6 /64.
type ClientLimits struct {
	// Total is the most sessions at a time. Default 2000.
	Total int
	// Connections is the most sessions of one client at a time. Default 100.
	Connections int
	// PerMinute is how many connections one client may open per minute, as a burst of that size that refills evenly. Default 600.
	PerMinute int
	// Exempt clients are counted in Total only, and see no greeting pause: our own networks.
	Exempt []netip.Prefix
}

// Timeouts protect from slow clients. Zero means the default.
type Timeouts struct {
	Command   time.Duration // for one whole command line. Default 5 min (RFC 5321, section 4.5.3.2.7)
	Data      time.Duration // head start of a content before MinRate is asked for. Default 3 min
	Session   time.Duration // for a whole session. Default 2 h
	Handshake time.Duration // for TLS and for a PROXY header. Default 30 s
	Write     time.Duration // for the client to take our replies. Default 1 min
	// MinRate is the least average rate of a content in octets per second, once Data is over. Default 1024.
	MinRate int64
}

// AuthMode says when a listener offers AUTH.
type AuthMode uint8

// The modes of AUTH.
const (
	AuthTLS   AuthMode = iota // only over TLS
	AuthPlain                 // without TLS too: for loopback and for networks that are safe otherwise
	AuthNone                  // never
)

// ListenerOptions are those of one listener.
type ListenerOptions struct {
	// Name names the listener for SetListenerOptions, the log and Session.
	Name string
	// TLS is asked at each handshake, so that a certificate can change. nil, or a nil result: no TLS. It should return the
	// same Config while nothing has changed: session tickets hang on it.
	TLS func() *tls.Config
	// Implicit starts with TLS instead of waiting for STARTTLS (RFC 8314).
	Implicit bool
	// ClientCerts asks clients for a certificate, which then is shown to the Authenticator, whatever Auth says. A Config that has a
	// ClientAuth of its own is left as it is.
	ClientCerts bool
	Auth        AuthMode
	// Proxy names the networks of load balancers that put a PROXY header (version 1 or 2) before everything: from these it must
	// come, from others it is not understood.
	Proxy []netip.Prefix
	// GreetPause is how long the greeting waits for a client that talks first, which spam software does. Default: no pause.
	GreetPause time.Duration
}

func (o Options) withDefaults() *Options {
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	o.MaxSize = limit(o.MaxSize, 50<<20)
	o.MaxRecipients = limit(o.MaxRecipients, 1000)
	o.MaxLine = limit(o.MaxLine, 998)
	o.MaxMessages = limit(o.MaxMessages, -1)
	o.MaxErrors = limit(o.MaxErrors, 20)
	o.MaxAuthFailures = limit(o.MaxAuthFailures, 5)
	o.Clients.Total = limit(o.Clients.Total, 2000)
	o.Clients.Connections = limit(o.Clients.Connections, 100)
	o.Clients.PerMinute = limit(o.Clients.PerMinute, 600)
	o.Timeouts.Command = limit(o.Timeouts.Command, 5*time.Minute)
	o.Timeouts.Data = limit(o.Timeouts.Data, 3*time.Minute)
	o.Timeouts.Session = limit(o.Timeouts.Session, 2*time.Hour)
	o.Timeouts.Handshake = limit(o.Timeouts.Handshake, 30*time.Second)
	o.Timeouts.Write = limit(o.Timeouts.Write, time.Minute)
	if o.Timeouts.MinRate == 0 {
		o.Timeouts.MinRate = 1024 // a negative one is no limit at all
	}
	return &o
}

// limit turns the zero value into the default and a negative one into a number that is never reached. It is a quarter of the
// largest, so that sums and products by small numbers do not overflow.
func limit[T ~int | ~int64](v, def T) T {
	if v == 0 {
		v = def
	}
	if v < 0 {
		return T(unlimited)
	}
	return v
}

const unlimited = int(^uint(0)>>1) / 4
