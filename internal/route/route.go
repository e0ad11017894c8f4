// Package route decides which way a message goes out.
//
// It is pure: it gets the time, the request and a view of the paths' health, and has no clock, no socket and no goroutine.
// So the most consequential decision of the house is also the one that is easiest to test.
//
// # The rules, in the order in which they apply
//
//  1. The pool is chosen by account, then by sender domain, then for everybody. Its order is the order of preference.
//  2. An egress is eligible when it is not disabled, accepts the provider and the sender domain, and would not fail
//     authentication (Request.Unfit). The first eligible one is the preferred one; all others are detours.
//  3. A message that was told by a way to come back (greylisting) comes back by that way while it is not shut, whatever the order:
//     by another address the waiting would begin anew. Else the preferred way is used while it is open: healthy, suspect, or
//     recovering with this message in its share.
//  4. When the provider said "too fast", mail waits for its pause. A detour would dodge a limit that is meant for us, and teach
//     the provider to distrust the clean way too; only when the pause has grown to Options.SlowDetour mail takes a detour,
//     and bulk mail not even then.
//  5. A way that is shut gets a probe when one is due and the detour is ready behind it. A message that was refused in this
//     attempt is never a probe, and bulk mail only when no other message came for ten minutes.
//  6. Else the first open detour is used; a suspect one only when no better one follows it. One that is recovering carries
//     its share here too.
//  7. Without an open detour, a recovering way carries all but bulk mail beyond its share.
//  8. When every way is shut, we doubt ourselves: the mail is held rather than sprayed, and one message probes without a detour.
//  9. A message that every way refused in this attempt is held, not bounced: what refused it today may take it tomorrow.
//
// In observe mode the same rules run, and the answer is the preferred way with Decision.Would.
package route

import (
	"time"

	"ukai/internal/health"
	"ukai/internal/mail"
)

// Egress is one way out, as far as the decision needs it.
type Egress struct {
	Name string
	// Providers, if not empty, are the only providers this egress may be used for; "*" stands for all.
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
	Unfit    uint64 // bit i set: mail of this sender would fail authentication over egress i
	Stay     uint64 // bit i set: egress i has asked for this message to come back by the same way
	NoProbe  bool   // do not offer a probe: it was not granted, or the message is not fit for one
	Dice     uint32 // uniformly random per message: decides who is in a recovering path's share
}

// Kind is what to do.
type Kind uint8

// The kinds of decision.
const (
	Send Kind = iota // over Decision.Egress
	Hold             // until Decision.Until: every way out is shut; look again then, or earlier when a path changes
	Slow             // until Decision.Until: the way is open, but too fast
	None             // no egress may carry this message, and time alone will not change that; in observe mode: not by a detour
)

var kindNames = [...]string{"send", "hold", "slow", "none"}

// String returns the kind's name as it stands in the journal.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// MarshalText makes a Kind its name in JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Decision is the answer. Would is for observe mode: what act mode would have chosen.
type Decision struct {
	Kind      Kind
	Egress    int       // index into Table.Egresses, -1 if none
	Preferred int       // the egress that would be used if all ways were open, -1 if none is eligible
	Detour    bool      // not the preferred egress
	Probe     bool      // over a blocked path, with the detour ready: ask health.Book.BeginProbe first
	Until     time.Time // Hold, Slow
	Reason    Reason
	Would     int // observe mode: the egress act mode would have used, -1 if none; else the same as Egress
}

// View is what Choose sees of the paths' health. health.Book implements it; tests use a map.
// Path is called several times per decision, must not block and must not allocate.
type View interface {
	Path(egress, provider string) health.Path
}
