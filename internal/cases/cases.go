// Package cases follows what people have to do to get an address off a blocklist, and back into a provider's good books.
//
// Delisting is paperwork, and it goes wrong in the same ways everywhere. Somebody asks before the cause has been mended and is
// refused, or is listed again an hour later. Somebody asks a list that takes requests from the owner of the network only, or one
// that takes none at all. Somebody asks three times in a day and is ignored from then on. Somebody pays. And when the listing is
// gone, everybody goes home, while Gmail remembers for half a year.
//
// A Case is therefore one thing to get out of: one entry of one list, or one provider's refusal of one network. They are
// different states with different doors, so the end of a listing ends its own case and no other.
//
// # The life of a case
//
// It begins with an incident (package incident) and is Open while something has to be mended first (a Check that failed, or one
// that could not be made: unknown is never "good"). It is Ready when everything that the other side looks at is in order, Asked
// when a person said so, and due after the time that the list is known to take; Again when that has passed and it still stands.
// A list that takes no requests is Waiting. Over comes by itself: when the monitor has confirmed that the listing ended, or the
// provider takes mail again. What comes back opens its case again rather than making another one.
//
// # Texts
//
// Where to ask, who may, and what the form wants are facts of the catalogues of dnsbl and provider. The letter that Text
// writes holds only what is known; a fact that only a person has is a gap in square brackets.
package cases

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Kind says what a case is about.
type Kind string

// The kinds.
const (
	Listing Kind = "listing" // an entry in a blocklist
	Block   Kind = "block"   // a mailbox provider that refuses us
)

// Key says what a case is about: nothing has two cases.
type Key struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`  // the list's id in the catalogue, or its name where that does not know it; the provider's ID
	Place string `json:"place"` // what is listed, as an address or a network; the network that is refused
}

// State is where a case stands.
type State string

// The states.
const (
	Open    State = "open"    // something has to be mended, or found out, before anybody asks
	Ready   State = "ready"   // it can be asked for
	Waiting State = "waiting" // nobody can ask: it ends by itself
	Asked   State = "asked"   // a person has asked; the answer is due at Due
	Again   State = "again"   // the answer was due, and nothing has changed
	Over    State = "over"
)

// Case is one thing to get out of. Copies are handed out: they may be kept.
type Case struct {
	ID     int64     `json:"id"`
	Key    Key       `json:"key"`
	State  State     `json:"state"`
	Opened time.Time `json:"opened"` // or reopened
	// Due is when to look again: the answer is to be expected, or the entry to have ended. Zero: no date.
	Due      time.Time `json:"due,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Reopened int       `json:"reopened,omitempty"`
	// Held says that a person opened it again although nothing was to be seen any more.
	Held  bool  `json:"held,omitempty"`
	About About `json:"about"`

	Checks   []Check   `json:"checks,omitempty"`
	Checked  time.Time `json:"checked,omitzero"`
	Requests []Request `json:"requests,omitempty"` // oldest first
	Fixes    []Fix     `json:"fixes,omitempty"`    // oldest first
	Timeline []Entry   `json:"timeline,omitempty"`
}

// About is what the incident says that bears on a case.
type About struct {
	Incident  int64        `json:"incident"`
	Addresses []netip.Addr `json:"addresses,omitempty"` // of ours, at most maxAddresses
	Egresses  []string     `json:"egresses,omitempty"`
	Senders   []string     `json:"senders,omitempty"` // sender domains, those with most mail first
	Range     bool         `json:"range,omitempty"`   // the receivers object to the whole network
	Began     time.Time    `json:"began"`
	Last      time.Time    `json:"last,omitzero"` // the newest refusal
	Refused   int64        `json:"refused,omitempty"`
	Reply     string       `json:"reply,omitempty"` // a refusal, whole
	URL       string       `json:"url,omitempty"`   // that the reply or the list names
	Shut      bool         `json:"shut,omitempty"`  // a path to the provider is shut
	Listed    Listed       `json:"listed,omitzero"` // of a listing: what the monitor of the blocklists found
}

// Listed is what a list says about an entry, which tells more than the name of the list: an entry of Spamhaus ZEN is one of the SBL
// or of the PBL by its code alone.
type Listed struct {
	List    string `json:"list"`   // id in the catalogue
	Target  string `json:"target"` // address or domain
	Code    string `json:"code,omitempty"`
	Meaning string `json:"meaning,omitempty"` // the catalogue's words
	Reason  string `json:"reason,omitempty"`  // the list's own
	Scope   string `json:"scope,omitempty"`   // ip, range, asn, domain
	Who     string `json:"who,omitempty"`     // may ask, by the code
}

// Request is that a person has asked.
type Request struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	Note string    `json:"note,omitempty"`
	// Void: it does not count any more; the answer was no, or the case was opened again since.
	Void bool `json:"void,omitempty"`
}

// Fix is what a person says has been mended.
type Fix struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	What string    `json:"what"`
}

// Entry is a line of a case's timeline, to be put into words with the message catalogue.
type Entry struct {
	At   time.Time         `json:"at"`
	What string            `json:"what"` // key of the message catalogue: "cases.event.opened", ...
	Args map[string]string `json:"args,omitempty"`
}

// The limits of what a case keeps.
const (
	maxAddresses = 4
	maxSenders   = 3
	maxRequests  = 20
	maxFixes     = 20
	maxTimeline  = 100
	maxNote      = 2000 // octets
)

// domain tells whether the case is about a listed domain rather than an address or a network.
func (c *Case) domain() bool {
	if c.Key.Kind != Listing || strings.Contains(c.Key.Place, "/") {
		return false
	}
	_, err := netip.ParseAddr(c.Key.Place)
	return err != nil
}

// Standing tells whether a case is not over.
func (c *Case) Standing() bool { return c.State != Over }

// lastRequest returns the newest request that counts; nil when there is none.
func (c *Case) lastRequest() *Request {
	if n := len(c.Requests); n > 0 && !c.Requests[n-1].Void {
		return &c.Requests[n-1]
	}
	return nil
}

// say adds a line to the timeline: args are name, value, name, value, ... The middle goes when it gets long.
func (c *Case) say(at time.Time, what string, args ...string) {
	e := Entry{At: at, What: what}
	for n := 0; n+1 < len(args); n += 2 {
		if e.Args == nil {
			e.Args = make(map[string]string)
		}
		e.Args[args[n]] = args[n+1]
	}
	if len(c.Timeline) >= maxTimeline {
		c.Timeline = slices.Delete(c.Timeline, maxTimeline/2, maxTimeline/2+1)
	}
	c.Timeline = append(c.Timeline, e)
}

// clone copies a case so that it can leave the Book.
func (c *Case) clone() Case {
	out := *c
	out.About.Addresses, out.About.Egresses = slices.Clone(c.About.Addresses), slices.Clone(c.About.Egresses)
	out.About.Senders = slices.Clone(c.About.Senders)
	out.Checks, out.Requests, out.Fixes = slices.Clone(c.Checks), slices.Clone(c.Requests), slices.Clone(c.Fixes)
	out.Timeline = slices.Clone(c.Timeline)
	return out
}
