// Package incident makes one story of a trouble.
//
// When a network gets onto a blocklist, thousands of messages are refused by a dozen providers, paths move, lists appear and
// vanish, and a person who looks at all that sees noise. An incident is what belongs together because it has one [Cause]: it
// opens, gathers (who refuses since when, which domains, what became of the mail), and closes, and it is the unit that people
// are told about, take on, and send to their customers.
//
// # Causes
//
// A refusal for the reputation of the address, a blocked path and a listing belong to one cause: the network that the egress
// sends from. A refusal for the sender's domain (its reputation, its authentication) belongs to that domain, a refusal as spam
// to the domain that wrote it. Everything else (unknown users, full mailboxes, dead hosts) is daily life and makes no incident.
//
// # Opening and closing
//
// A path that is blocked or a listing opens an incident at once, refusals do when there are enough of them within a window. It
// closes when no path is shut, no listing stands and nothing was refused for a while. A cause that comes back within the quiet
// time reopens its incident rather than making another one: nothing flaps. A listing that is over while a provider still
// refuses keeps it open: in 2019 Gmail's memory outlived the listing by half a year.
//
// All methods judge by the time they are given. Numbers of domains, providers and entries are bounded, so that a story of a
// hundred thousand refusals takes no more memory than one of a hundred.
package incident

import (
	"net/netip"
	"time"

	"ukai/internal/classify"
)

// Kind says what sort of trouble an incident is.
type Kind string

// The kinds.
const (
	Reputation Kind = "reputation" // our address or network is refused or listed
	Sender     Kind = "sender"     // a sender domain is refused, for its reputation or its authentication
	Content    Kind = "content"    // what a sender domain writes is refused as spam or worse
)

// Cause is what makes refusals one story.
type Cause struct {
	Kind Kind `json:"kind"`
	// Place is the network (Reputation: its prefix, or the name of an egress whose address nobody knows) or the sender domain.
	Place string `json:"place"`
}

// State is where an incident stands.
type State string

// The states.
const (
	Open   State = "open"
	Acked  State = "acknowledged" // a person has taken it on
	Closed State = "closed"
)

// Tally says what became of the mail, in recipients.
type Tally struct {
	Refused   int64 `json:"refused"`
	Detoured  int64 `json:"detoured"` // delivered by another way than the preferred one
	Delivered int64 `json:"delivered"`
	Held      int64 `json:"held"`
	Bounced   int64 `json:"bounced"`
}

// Incident is one story. Copies are handed out: they may be kept.
type Incident struct {
	ID    int64 `json:"id"`
	Cause Cause `json:"cause"`
	State State `json:"state"`

	Began    time.Time `json:"began"`  // the first refusal or listing of it
	Opened   time.Time `json:"opened"` // when it was enough to be an incident
	Last     time.Time `json:"last"`   // the newest refusal, move or listing
	ClosedAt time.Time `json:"closed_at,omitzero"`
	Reopened int       `json:"reopened,omitempty"`
	// By says who acknowledged or closed it; empty: it closed by itself.
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`

	Blame     classify.Blame `json:"blame"` // ip, range, domain, content, authentication: the widest that was seen
	Counts    Tally          `json:"counts"`
	Providers []Provider     `json:"providers,omitempty"` // most refused first
	Listings  []ListEntry    `json:"listings,omitempty"`  // in order of time
	Egresses  []string       `json:"egresses,omitempty"`
	// Addresses are those of ours that the refusals name or went out from.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Domains   Tops         `json:"domains"` // recipient domains
	Senders   Tops         `json:"senders"` // sender domains
	Timeline  Timeline     `json:"timeline"`

	// Shut are the paths that are not healthy: egress and provider.
	Shut []Path `json:"shut,omitempty"`
	// Judged says whether it is we or our network, once the blocklists were asked.
	Judged *Judgement `json:"judged,omitempty"`
}

// Judgement is what the blocklists say about who is the cause.
type Judgement struct {
	At      time.Time `json:"at"`
	Verdict string    `json:"verdict"` // culprit, neighbour, range, clean
	// Evidence are lines of figures: list, how many of how many addresses, range.
	Evidence []string `json:"evidence,omitempty"`
}

// Path names a path.
type Path struct {
	Egress   string `json:"egress"`
	Provider string `json:"provider"`
}

// Provider is how one mailbox provider takes part in an incident.
type Provider struct {
	ID      string    `json:"id"`
	Refused int64     `json:"refused"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Classes []string  `json:"classes"` // of the refusals, at most maxClasses
	// Reply is one of its refusals, whole, and Rule and URL are what was read from it.
	Reply string `json:"reply"`
	Rule  string `json:"rule,omitempty"`
	URL   string `json:"url,omitempty"`
}

// ListEntry is an entry in a blocklist, from its beginning to its end.
type ListEntry struct {
	Name  string    `json:"name"`
	Net   string    `json:"net"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: it stands
	URL   string    `json:"url,omitempty"`
}

// Standing tells whether a listing has not ended.
func (l *ListEntry) Standing() bool { return l.Until.IsZero() }

// News says what happened to an incident that a person may want to know.
type News string

// What can happen.
const (
	WasOpened   News = "opened"
	WasReopened News = "reopened"
	HasGrown    News = "grown" // another provider refuses, or a listing began or ended
	WasAcked    News = "acknowledged"
	WasClosed   News = "closed"
)

// Event is a step in an incident's life, with the incident as it stood then.
type Event struct {
	At       time.Time `json:"at"`
	News     News      `json:"news"`
	Incident Incident  `json:"incident"`
}

const (
	maxClasses   = 8
	maxProviders = 64
	maxListings  = 64
	maxPaths     = 256
	maxEvidence  = 8
)
