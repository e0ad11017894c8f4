package smtpserver

import "sync/atomic"

// Counters count since the start of the Server; Sessions goes up and down. They may be read at any time.
type Counters struct {
	Connections    atomic.Int64 // accepted connections
	Turned         atomic.Int64 // of them turned away with 421 before a greeting: limits, drain
	Sessions       atomic.Int64 // open at present
	TLS            atomic.Int64 // handshakes done
	TLSFailed      atomic.Int64
	AuthOK         atomic.Int64
	AuthFailed     atomic.Int64
	Accepted       atomic.Int64 // messages that got a 2xx after the content
	Refused        atomic.Int64 // messages refused by the Handler after the content or at DATA
	Malformed      atomic.Int64 // messages refused here: bare CR or LF, line or message too long
	BareLineEnds   atomic.Int64 // of them, and of commands, those with a bare CR or LF: what a smuggler sends
	Octets         atomic.Int64 // of content, of messages accepted
	RcptRefused    atomic.Int64 // recipients refused by the Handler
	ProtocolErrors atomic.Int64 // commands answered with 500, 501, 503, 504, 555
	Timeouts       atomic.Int64 // sessions ended for slowness
}
