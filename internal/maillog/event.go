package maillog

import (
	"net/netip"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Kind says what an event tells of a message and one recipient.
type Kind uint8

// The kinds. A message that was refused at another server's door is Bounced or Deferred; one that our own server did not let in
// is Rejected.
const (
	Delivered Kind = iota + 1 // a server, or the local mailbox, took it
	Deferred                  // to be tried again
	Bounced                   // given up
	Expired                   // given up for its age
	Rejected                  // our server refused what a client wanted to hand in
	Accepted                  // our server took it from a client
)

// MTA is the mail server that wrote a line.
type MTA uint8

// The servers that are understood.
const (
	Postfix MTA = iota + 1
	Exim
	Sendmail
	Qmail
	OpenSMTPD
)

// Event is what the lines of a log say together about one recipient of one message. Fields that the log does not tell are zero.
// An Event is handed to a function and is only valid until that function returns; its strings may be kept.
type Event struct {
	At   time.Time
	Kind Kind
	MTA  MTA
	Host string // who wrote the log: the syslog host name
	// Queue is the server's own name for the message (Postfix queue ID, Exim message ID, qmail's "msg 123").
	Queue     string
	MessageID string // without angle brackets
	Size      int64  // octets
	From      string // reverse-path; empty for a bounce or when the log does not tell: see Sender
	Sender    bool   // From is known (an empty one is a bounce's)
	To        string // the recipient as delivered to
	OrigTo    string // before aliases, where it differs

	// Towards whom it went (all kinds but Rejected and Accepted).
	Relay  string         // host name of the other server; "local" or the name of a pipe for a delivery on this machine
	Remote netip.AddrPort // its address, where the log has it
	Local  bool           // it did not leave this machine
	TLS    bool
	Delay  time.Duration // from acceptance to this event

	// From whom it came (Rejected, Accepted).
	Client     netip.Addr
	ClientName string // by reverse DNS, as logged; empty for "unknown"
	Helo       string
	Account    string // who authenticated

	Phase outcome.Phase // of the reply, where the log tells
	// Reply is what the other server said (or what ours said, for Rejected). Code 0: there was none, and Text has the trouble.
	Reply mail.Reply
	// Text is the reason as logged: the reply with its codes, or the server's own words ("connect to ...: Connection refused").
	Text string
	List string // Rejected: the zone of the DNS blocklist that our server asked
}
