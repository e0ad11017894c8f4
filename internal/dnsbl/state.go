package dnsbl

import (
	"net/netip"
	"time"
)

// State is what came of asking one list about one target. Only Listed and Clean say something about the target; the others
// say something about the list, about our right to ask it, or about the resolver in between.
type State string

// The states.
const (
	Listed State = "listed"
	Clean  State = "clean"
	// Refused: the list does not answer us: too many queries, no key, not registered.
	Refused State = "refused"
	// ResolverUnfit: the resolver changes answers, or is one that the list does not talk to.
	ResolverUnfit State = "resolver_unfit"
	// Broken: the list lists everything, or nothing, or answers what no list may.
	Broken State = "broken"
	// Timeout: no reply in time.
	Timeout State = "timeout"
)

// Told tells whether the state says something about the target.
func (s State) Told() bool { return s == Listed || s == Clean }

// Scope is what an entry covers.
type Scope string

// The scopes.
const (
	ScopeIP     Scope = "ip"
	ScopeRange  Scope = "range"
	ScopeASN    Scope = "asn"
	ScopeDomain Scope = "domain"
)

// Severity is how an entry is meant.
type Severity string

// The severities.
const (
	Block  Severity = "block"  // an accusation
	Policy Severity = "policy" // "no mail should come from here", declared by the network owner or for dynamic addresses
	Info   Severity = "info"   // a score, a category, context: not to be alarmed about
	Allow  Severity = "allow"  // a good word
)

// Why says in one word why a state is neither listed nor clean; the words for people are "dnsbl.why." and this.
type Why string

// The reasons.
const (
	WhyTimeout      Why = "timeout"       // no reply
	WhyUnreachable  Why = "unreachable"   // nothing listens where the resolver should be
	WhyServfail     Why = "servfail"      // the resolver could not find out
	WhyLame         Why = "lame"          // the server asked knows nothing of the zone
	WhyRefused      Why = "refused"       // response code REFUSED or NOTAUTH
	WhyProtocol     Why = "protocol"      // another response code
	WhyAlias        Why = "alias"         // a CNAME that leads nowhere
	WhyOutside      Why = "outside"       // an address outside 127.0.0.0/8
	WhyQuota        Why = "quota"         // too many queries
	WhyPublic       Why = "public"        // asked through a public or unattributable resolver
	WhyKey          Why = "key"           // the key is missing, wrong or disabled
	WhyZone         Why = "zone"          // the name of the zone is wrong
	WhyIPQueried    Why = "ip_queried"    // a list of domains was asked for an address
	WhyUndocumented Why = "undocumented"  // a code that the catalogue does not know, from a list whose codes are known
	WhyRewritten    Why = "rewritten"     // the resolver answers where there is nothing
	WhyNoTestEntry  Why = "no_test_entry" // what must be listed is not: emptied or dead
	WhyWorld        Why = "world"         // what must not be listed is: it lists the world
	WhyBudget       Why = "budget"        // our own budget for this list is used up
	WhyFeedOld      Why = "feed_old"      // the file of the feed has not been renewed
	WhyError        Why = "error"         // the list's own word for an error, explained by Meaning
)

// Answer is what one list says about one target.
type Answer struct {
	Target Target
	List   *List
	State  State
	// Code is the return code, or that of the error; with several of them the gravest. Codes are all of them.
	Code  netip.Addr
	Codes []netip.Addr
	// Meaning is the catalogue's, Reason the list's own (TXT).
	Meaning  string
	Reason   string
	Scope    Scope
	Severity Severity
	// Why is set for the states that are neither Listed nor Clean.
	Why Why
	TTL time.Duration
	// Feed: it comes from a file, not from a question.
	Feed bool
	// Asked and Hits are set for a range: how many of its addresses were looked at, and how many of those are listed.
	Asked, Hits int
}

// Accuses tells whether the answer is a listing to worry about: scores, categories and whole autonomous systems are context.
func (a *Answer) Accuses() bool {
	return a.State == Listed && (a.Severity == Block || a.Severity == Policy)
}
