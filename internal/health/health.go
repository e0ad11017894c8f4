// Package health decides when a way out is bad and when it is good again.
//
// A path is an egress as seen by one mailbox provider. One refusal proves little: receivers have bad minutes. A listing
// that lasts a day proves a lot. A path therefore moves on evidence and with hysteresis,
//
//	healthy -> suspect -> blocked -> probing -> recovering -> healthy
//
// and every change keeps the evidence that caused it. Package route reads the book; package dispatch writes to it.
package health

import (
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
	Probing                 // one real message is on its way over it
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

// Key names a path.
type Key struct {
	Egress   string `json:"egress"`
	Provider string `json:"provider"`
}

// Path is what package route needs to know of a path at one moment.
type Path struct {
	State   State
	ProbeAt time.Time // Blocked: when a probe may go out
	Share   uint32    // Recovering: share of the traffic, of 1<<32-1
	Slow    time.Time // rate limited: send nothing new before this time
	Pinned  bool      // an admin blocked or cleared it by hand: evidence does not move it
	Sent    int       // messages accepted over it today (UTC), for the warm-up budget
}

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
type Change struct {
	At       time.Time  `json:"at"`
	Key      Key        `json:"path"`
	From     State      `json:"from"`
	To       State      `json:"to"`
	Why      string     `json:"why"` // a key of the message catalogue: "health.why.first_refusal", ...
	Evidence []Evidence `json:"evidence,omitempty"`
}
