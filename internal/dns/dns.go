// Package dns asks the domain name system what mail needs to know: who receives for a domain, at which addresses.
//
// Answers are never booleans. "There is no such domain" is final, "I could not find out" is not, and mail must not be
// bounced for the second. A Resolver therefore returns an *Error whose Temporary says which of the two it is.
//
// There are two of them: a Client asks name servers and keeps what they said for as long as they allow, and a Static is a
// table for tests. A Finder stands on either and answers the question of RFC 5321, section 5: where does the mail of this
// domain go? The answer is a Destination, whose host names tell the mailbox provider, and whose hosts' addresses are looked
// up only when a connection is to be made.
//
// The records that matter: MX names the hosts that receive, each with a preference, where a lower one is tried first; A and
// AAAA hold the addresses of a host; a domain without MX receives at its own address (the implicit MX); a single MX with the
// empty name says that a domain takes no mail at all (RFC 7505).
package dns

import (
	"context"
	"net/netip"
)

// MX is one mail exchanger of a domain.
type MX struct {
	Host string // lower case, without trailing dot
	Pref uint16
}

// Resolver is what ukai asks. Implementations are safe for concurrent use, follow CNAMEs, and cache by TTL.
// Every method returns an *Error when it fails; "no records" is an Error with NotFound set, never an empty slice.
// A resolver retries by itself within ctx; a caller treats a temporary error as "try the message again later".
type Resolver interface {
	// MX returns the mail exchangers of a domain by preference, equal preferences in random order. A null MX (RFC 7505)
	// is returned as one MX with an empty Host. No MX record is NotFound: the implicit MX (RFC 5321, section 5.1) is the caller's.
	MX(ctx context.Context, domain string) ([]MX, error)
	// Addrs returns the addresses of a host, IPv6 and IPv4.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	// TXT returns the text records of a name, the strings of each joined (RFC 7208, section 3.3).
	TXT(ctx context.Context, name string) ([]string, error)
	// PTR returns the names of an address, lower case, without trailing dot.
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
}

// Error says why a question has no answer.
type Error struct {
	Op        string // "mx", "addr", "txt", "ptr"
	Name      string
	Reason    string // "no such domain", "no records", "server failure", "timeout", ...
	NotFound  bool   // the name or the record does not exist: final
	NXDomain  bool   // with NotFound: the name itself does not exist
	Temporary bool   // could not find out: try again
	Status    string // the enhanced status code of this trouble for a report: "5.1.2", "5.1.10", "4.4.3", ...
}

// Error returns "mx example.org: no such domain".
func (e *Error) Error() string { return e.Op + " " + e.Name + ": " + e.Reason }
