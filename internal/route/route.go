// Package route decides which way a message goes out.
//
// It is pure: it gets the time, the request and a view of the paths' health, and has no clock, no socket and no goroutine.
// So the most consequential decision of the house is also the one that is easiest to test.
package route

import (
	"time"

	"ukai/internal/health"
	"ukai/internal/mail"
)

// Egress is one way out, as far as the decision needs it.
type Egress struct {
	Name string
	// Providers, if not empty, are the only providers this egress may be used for.
	Providers []string
	// SenderDomains, if not empty, are the only sender domains (of From) this egress accepts; "*.example.org" covers subdomains.
	SenderDomains []string
	// WarmUp, if not 0, is how many messages a provider may get over this egress per day (UTC).
	WarmUp int
	// BulkShare is the share of WarmUp, in percent, that bulk mail may use up; 0 means the default of 50.
	BulkShare int
	// Disabled takes the egress out of every choice.
	Disabled bool
}

// Pool is an ordered group of egresses for some senders: first the preferred one, then the detours.
type Pool struct {
	Name     string
	Egresses []int    // indexes into Table.Egresses
	Senders  []string // sender domains; "*.example.org" covers subdomains; empty: everybody
	Accounts []string // accounts; empty: everybody
}

// Request is what is to be sent.
type Request struct {
	Provider string
	Sender   string // domain of the reverse-path (of the From header for a null reverse-path), lower case
	Account  string
	Class    mail.Class
	Tried    uint64 // bit i set: egress i was refused in this attempt, or may not be used again
	NoProbe  bool   // do not offer a probe: it was not granted, or the message is not fit for one
	Dice     uint32 // uniformly random per message: decides who is in a recovering path's share
}

// Kind is what to do.
type Kind uint8

// The kinds of decision.
const (
	Send Kind = iota // over Decision.Egress
	Hold             // until Decision.Until: every way out is shut
	Slow             // until Decision.Until: the way is open, but too fast
	None             // no egress is left that may carry this message in this attempt
)

// Decision is the answer. Would is for observe mode: what act mode would have chosen.
type Decision struct {
	Kind   Kind
	Egress int       // index into Table.Egresses, -1 if none
	Detour bool      // not the preferred egress
	Probe  bool      // over a blocked path, with the detour ready: ask health.Book.BeginProbe first
	Until  time.Time // Hold, Slow
	Reason Reason
	Would  int // observe mode: the egress act mode would have used; else the same as Egress
}

// Reason says why, as a key of the message catalogue ("route.why.preferred", ...).
type Reason string

// View is what Choose sees of the paths' health. health.Book implements it; tests use a map.
// Path is called several times per decision, must not block and must not allocate.
type View interface {
	Path(egress, provider string) health.Path
}
