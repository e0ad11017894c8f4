// Package classify judges an outcome: why was the mail refused, whose fault is it, and would a detour help?
//
// The enhanced status code alone cannot tell: 5.7.1 stands for twenty different things. A rule therefore sees provider,
// phase, code, status and text together. Rules are data (rules/*.toml), each with an example and its source.
package classify

import (
	"net/netip"

	"ukai/internal/outcome"
)

// Blame says whose fault a refusal is.
type Blame string

// Everything that can be to blame. A detour may help for IP and Range, sometimes for Rate and Network, never for the others.
const (
	BlameNone           Blame = "none"           // accepted
	BlameIP             Blame = "ip"             // this source address
	BlameRange          Blame = "range"          // the network around it
	BlameDomain         Blame = "domain"         // the sender's domain
	BlameContent        Blame = "content"        // the message
	BlameAuthentication Blame = "authentication" // SPF, DKIM, DMARC
	BlameRecipient      Blame = "recipient"      // no such mailbox, full, moved
	BlameRate           Blame = "rate"           // too much, too fast; greylisting
	BlameNetwork        Blame = "network"        // not reached, connection lost, remote trouble
	BlamePolicy         Blame = "policy"         // the receiver does not want it, without a better reason
	BlameConfiguration  Blame = "configuration"  // ours or theirs: relaying denied, TLS required, loop
)

// Scope says how far a verdict reaches.
type Scope string

// The scopes, narrow to wide.
const (
	ScopeRecipient Scope = "recipient"
	ScopeMessage   Scope = "message"
	ScopeSender    Scope = "sender" // the sender domain
	ScopeIP        Scope = "ip"     // one egress address
	ScopeRange     Scope = "range"  // the network it lies in
	ScopeHost      Scope = "host"   // one receiving host
)

// Action says what becomes of the recipient.
type Action string

// The actions. Whether a retry takes a detour at once is decided by package route, from Verdict.Detour.
const (
	Deliver Action = "delivered"
	Retry   Action = "retry" // try again later (or at once by another way where Detour says so)
	Fail    Action = "fail"  // final for this recipient, unless Detour says that another way out may take it
)

// Verdict is what an outcome means.
type Verdict struct {
	Class  string `json:"class"` // "ip_reputation", "user_unknown", ...: see Classes
	Blame  Blame  `json:"blame"`
	Scope  Scope  `json:"scope"`
	Action Action `json:"action"`
	// Detour is true when another egress would likely be accepted.
	Detour bool `json:"detour_helps"`
	// Reputation is true when this outcome is evidence against the path (egress and provider): it moves health.
	Reputation bool `json:"reputation"`

	Rule string     `json:"rule,omitempty"` // name of the rule that matched
	List string     `json:"list,omitempty"` // the blocklist or vendor that the text names
	IP   netip.Addr `json:"ip,omitzero"`    // the address that the text names
	URL  string     `json:"url,omitempty"`  // where the text sends its reader
	Code string     `json:"code,omitempty"` // the provider's own code: S3140, TSS04, HM08, ...
}

// Judge decides what an outcome means. It is safe for concurrent use and does not keep o.
type Judge interface {
	Classify(o *outcome.Outcome) Verdict
}
