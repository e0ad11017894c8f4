// Package outcome says how one delivery attempt ended for one recipient, as a value that can be judged, stored and told.
//
// The end of an attempt is never an error in Go's sense: a refusal is the most interesting thing that ukai sees.
// What an outcome means is decided by package classify.
package outcome

import (
	"net/netip"
	"time"

	"ukai/internal/mail"
)

// Phase is the step of the SMTP dialogue in which an attempt ended.
type Phase uint8

// The phases in the order in which an attempt passes them.
const (
	Lookup    Phase = iota // MX or address lookup; no connection was tried
	Connect                // TCP (or SOCKS5)
	Greeting               // waiting for 220
	Ehlo                   // EHLO or HELO
	StartTLS               // STARTTLS and the handshake
	Auth                   // AUTH
	MailFrom               // MAIL
	RcptTo                 // RCPT
	Data                   // DATA or BDAT before the content
	EndOfData              // after the content: the reply that takes responsibility
)

var phaseNames = [...]string{"lookup", "connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "end-of-data"}

// String returns the phase's name as it stands in the journal and in JSON.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}

// MarshalText makes a Phase its name in JSON.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a phase's name; an unknown one becomes Lookup.
func (p *Phase) UnmarshalText(b []byte) error {
	*p = ParsePhase(string(b))
	return nil
}

// ParsePhase reads a phase's name; an unknown one is Lookup.
func ParsePhase(s string) Phase {
	for i, n := range phaseNames {
		if n == s {
			return Phase(i)
		}
	}
	return Lookup
}

// Outcome is how one attempt ended for one recipient (or, before RCPT, for all of them).
type Outcome struct {
	At    time.Time  `json:"at"`
	Phase Phase      `json:"phase"`
	Reply mail.Reply `json:"reply"` // Code 0: no reply came, Err says why
	// Err is the network, TLS or DNS trouble in words where no reply came: "connection refused", "i/o timeout".
	Err string `json:"err,omitempty"`
	// ErrTemporary is false for lookup troubles that are final: the domain does not exist, it takes no mail.
	ErrTemporary bool `json:"err_temporary,omitempty"`

	Egress   string         `json:"egress"`   // name of the egress
	Provider string         `json:"provider"` // mailbox provider of the recipient domain
	Host     string         `json:"host,omitempty"`
	Remote   netip.AddrPort `json:"remote,omitzero"`
	LocalIP  netip.Addr     `json:"local_ip,omitzero"` // source address of the connection
	TLS      string         `json:"tls,omitempty"`     // "TLS1.3", or empty

	Duration time.Duration `json:"duration_ns"` // from the start of the attempt to this outcome
}

// OK tells whether the recipient's message was taken: a 2xx after the content.
func (o *Outcome) OK() bool { return o.Phase == EndOfData && o.Reply.Code >= 200 && o.Reply.Code < 300 }

// Text is what a person would quote: the reply on one line, or the trouble.
func (o *Outcome) Text() string {
	if o.Reply.Code != 0 {
		return o.Reply.String()
	}
	return o.Err
}
