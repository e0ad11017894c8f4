package dispatch

import (
	"context"

	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/smtpclient"
)

// Egress is one way out, as far as carrying needs it. What the choice needs is in route.Egress under the same name.
type Egress struct {
	Name    string
	Carrier Carrier
	// Smarthost, if not empty, is the host that takes everything; empty: the MX hosts of the recipient domain do.
	Smarthost string
	Port      uint16 // of the MX hosts (25) or the smarthost
	// MaxConnections bounds the connections of each site; 0: Options.MaxConnections.
	MaxConnections int
}

// Carrier opens connections over one egress. A refusal or trouble comes back as an Outcome (its Egress and Provider are
// filled by the caller), never both and never neither. Dial is called from many goroutines; who called it owns the Link.
type Carrier interface {
	Dial(ctx context.Context, t smtpclient.Target) (Link, *outcome.Outcome)
}

// Link is a connection that carries messages one after the other. It is used by one goroutine.
type Link interface {
	Send(ctx context.Context, m *smtpclient.Message) smtpclient.Result
	Close()
}

// sender returns the domain a message's authorisation hangs on: of the reverse-path, or, for a report, of the From header.
func sender(env *mail.Envelope) string {
	if env.From == "" {
		return env.FromHdr
	}
	return mail.Domain(env.From)
}
