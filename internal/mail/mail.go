// Package mail holds the words that every other room speaks: message identifiers, addresses, the envelope of a message,
// SMTP replies and enhanced status codes.
//
// SMTP (RFC 5321) separates the envelope (who sent it, to whom, with which options) from the content. ukai never
// changes content after acceptance; what it decides, it decides on the envelope and on what servers answer.
package mail

import (
	"net/netip"
	"time"
)

// Class says how urgent a message is when a budget is short: see Envelope.Class.
type Class uint8

// The classes of a message, most urgent first.
const (
	Transactional Class = iota // nothing says otherwise
	Bulk                       // List-Unsubscribe, List-Id or Precedence: bulk, list or junk in its header
)

// Envelope is everything about an accepted message but its content. It is immutable once the queue has it.
type Envelope struct {
	ID       ID
	Accepted time.Time
	// From is the reverse-path without angle brackets; empty for a bounce (RFC 5321, section 4.5.5).
	From       string
	Recipients []Recipient
	// Size is the length of the content in octets as it will be sent, with the header lines ukai added, before dot-stuffing.
	Size int64

	EightBit   bool   // BODY=8BITMIME was declared or 8-bit octets were found (RFC 6152)
	UTF8       bool   // SMTPUTF8 was asked for (RFC 6531)
	RequireTLS bool   // REQUIRETLS was asked for (RFC 8689)
	Ret        string // DSN RET: "FULL", "HDRS" or empty (RFC 3461, section 4.3)
	EnvID      string // DSN ENVID, xtext-decoded (RFC 3461, section 4.4)

	Client    netip.Addr // who handed it to us; zero for what ukai wrote itself
	Helo      string
	Account   string // who authenticated; empty when admitted by network
	MessageID string // the Message-ID header without angle brackets
	FromHdr   string // the domain of the From header, lower case: what DMARC aligns with
	Class     Class
	// DKIM lists the domains that ukai signed for at acceptance.
	DKIM []string
}

// Recipient is one RCPT TO with its DSN options (RFC 3461, section 4).
type Recipient struct {
	Addr   string // without angle brackets
	Notify Notify
	ORcpt  string // ORCPT as given: "rfc822;..." xtext-decoded; empty if absent
}

// Notify is the set of RFC 3461 NOTIFY conditions of a recipient. Zero means that none was given: failures and delays are reported.
type Notify uint8

// The NOTIFY conditions.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// WantsFailure tells whether a failure of this recipient is to be reported.
func (n Notify) WantsFailure() bool { return n == 0 || n&NotifyFailure != 0 }

// WantsDelay tells whether a delay of this recipient is to be reported.
func (n Notify) WantsDelay() bool { return n == 0 || n&NotifyDelay != 0 }
