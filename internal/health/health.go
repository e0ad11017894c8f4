// Package health decides when a way out is bad and when it is good again.
//
// A path is an egress as seen by one mailbox provider. One refusal proves little: receivers have bad minutes. A listing
// that lasts a day proves a lot. A path therefore moves on evidence and with hysteresis,
//
//	healthy -> suspect -> blocked -> probing -> recovering -> healthy
//
// and every change keeps the evidence that caused it. Package route reads the book; package dispatch writes to it.
//
// # What counts
//
// Only two kinds of outcome move a path: a message that was taken, and a refusal for the reputation of the source address
// (Verdict.Reputation). An unknown user, a full mailbox, spam in the content, a dead host say nothing about the path and are
// not even counted, with one exception: when a probe gets such an answer at RCPT or later, and not before the phase at which
// the path had been refused, the address got through the door that was shut, and the probe was good.
//
// A permanent refusal (5xx) counts in full. A temporary one (4xx) counts half, because some providers defer everybody in a
// bad hour; twice as many of them block a path all the same, because others never say anything else (Yahoo's TSS04 and TS03
// are 421). A connection dropped for reputation without a reply counts as a temporary one.
//
// # A listing and a provider's memory are two different states
//
// In 2019 Spamhaus had taken the network off its list within hours; Gmail went on refusing until the autumn. So the end of a
// listing never makes a path healthy: it only lets probes begin, and a path comes back when its provider takes mail.
//
// # How to use it
//
// There is one Book. Dispatch asks Path for each decision, BeginProbe before a probe, and calls Observe once per transaction,
// with the outcome that says most (a taken message before a refusal for reputation before anything else). Run moves what the
// clock alone moves and saves. Every change is returned by the call that caused it and also handed to Options.OnChange.
package health

import (
	"errors"
	"time"

	"ukai/internal/classify"
	"ukai/internal/outcome"
)

// State is where a path stands.
type State uint8

// The states of a path.
const (
	Healthy    State = iota // use it
	Suspect                 // refused lately, not often enough to be sure: use it, watch it
	Blocked                 // do not use it; a probe is due at Path.ProbeAt
	Probing                 // one real message is on its way over it, or the next one is due at Path.ProbeAt
	Recovering              // carries Path.Share of its traffic, doubling per clean window
)

var stateNames = [...]string{"healthy", "suspect", "blocked", "probing", "recovering"}

// String returns the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText makes a State its name in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// errState is returned for a text that names no state.
var errState = errors.New("not a state of a path")

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if string(b) == name {
			*s = State(i)
			return nil
		}
	}
	return errState
}

// Key names a path.
type Key struct {
	Egress   string `json:"egress"`
	Provider string `json:"provider"`
}

// Path is what package route needs to know of a path at one moment. The zero value is a healthy path without history.
type Path struct {
	State State
	// ProbeAt is when a probe may go out. Blocked: not before. Probing: when the next one is due, or, while one is on its
	// way, when that one is given up. Pinned: when the pin ends; zero: no end.
	ProbeAt time.Time
	Share   uint32        // Recovering: share of the traffic, of 1<<32-1
	ShareAt time.Time     // Recovering: when Share doubles, if nothing is refused until then
	Slow    time.Time     // rate limited: send nothing new before this time
	SlowFor time.Duration // how long the pause is that ends at Slow: it grows while the provider goes on complaining
	Pinned  bool          // an admin blocked it by hand: evidence does not move it
	Sent    int           // messages accepted over it today (UTC), for the warm-up budget; those on their way are not in it
}

// Shut tells whether the path carries no ordinary mail.
func (p *Path) Shut() bool { return p.State == Blocked || p.State == Probing }

// Evidence is one observation that bears on a path.
type Evidence struct {
	At      time.Time        `json:"at"`
	Key     Key              `json:"path"`
	Verdict classify.Verdict `json:"verdict"`
	Outcome outcome.Outcome  `json:"outcome"`
	MsgID   string           `json:"msg_id,omitempty"`
	Probe   bool             `json:"probe,omitempty"` // the attempt was a probe that BeginProbe granted
}

// Change is one move of a path, with the evidence that caused it.
// From and To are the same where only the reason changed: a share that doubled, a listing that ended, one more good probe.
type Change struct {
	At       time.Time  `json:"at"`
	Key      Key        `json:"path"`
	From     State      `json:"from"`
	To       State      `json:"to"`
	Why      string     `json:"why"` // a key of the message catalogue: "health.why.first_refusal", ...
	Evidence []Evidence `json:"evidence,omitempty"`
}
