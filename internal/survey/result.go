package survey

import (
	"net/netip"
	"time"

	"ukai/internal/classify"
	"ukai/internal/provider"
)

// Result is what a log says. Its times are zero where the log had none.
type Result struct {
	First time.Time `json:"first,omitzero"` // of the first event
	Last  time.Time `json:"last,omitzero"`
	Hosts []string  `json:"hosts,omitempty"` // who wrote the log

	Totals Totals `json:"totals"`
	// Providers come in the order of how many messages they refused for our reputation, then of how many were meant for them.
	Providers []Provider `json:"providers"`
	Domains   Tally      `json:"domains"` // recipient domains whose mail was refused for our reputation
	Senders   Tally      `json:"senders"` // sender domains it happened to
	Inbound   Inbound    `json:"inbound"`
}

// Totals count messages by recipients: one message to three recipients is three.
type Totals struct {
	Delivered int64 `json:"delivered"`
	Deferred  int64 `json:"deferred"` // had to wait; each counts once
	Retries   int64 `json:"retries"`  // attempts after the first that had to wait again
	Bounced   int64 `json:"bounced"`
	Expired   int64 `json:"expired"`
	Waiting   int64 `json:"waiting"` // deferred, and neither delivered nor given up when the log ends
	Local     int64 `json:"local"`   // delivered on this machine; not in Delivered
	Rejected  int64 `json:"rejected"`
	Accepted  int64 `json:"accepted"`
}

// Provider is what became of the mail for one mailbox provider.
type Provider struct {
	ID   provider.ID `json:"id"` // empty: all those for which there was no room
	Name string      `json:"name"`
	// Gateway: the mailboxes lie behind somebody else.
	Gateway bool   `json:"gateway,omitempty"`
	Totals  Counts `json:"totals"`
	// Refused are messages with a refusal that is evidence against our address, temporary or final, each counted once.
	Refused int64 `json:"refused"`
	// Tried are the messages that Refused is a part of: those accepted and those refused so.
	Tried int64 `json:"tried"`
	// Trouble says from when to when it refused. Few is set when there are refusals, but too few to say.
	Trouble []Episode `json:"trouble,omitempty"`
	Few     bool      `json:"few,omitempty"`
	Causes  []Cause   `json:"causes,omitempty"` // most frequent first

	Delay   Delay        `json:"delay"`
	Storm   *Storm       `json:"storm,omitempty"`
	Domains Tally        `json:"domains"` // recipient domains that were refused for our reputation
	IPs     []netip.Addr `json:"ips,omitempty"`
}

// Counts are the Totals of one provider.
type Counts struct {
	Delivered int64 `json:"delivered"`
	Deferred  int64 `json:"deferred"`
	Retries   int64 `json:"retries"`
	Bounced   int64 `json:"bounced"`
	Expired   int64 `json:"expired"`
}

// Cause is one reason for which messages were not delivered at once. Of its Verdict, what differs from one reply to the next (the
// address, the provider's own code) is that of the first.
type Cause struct {
	classify.Verdict

	Messages int64     `json:"messages"` // each once, however often it was tried
	Final    int64     `json:"final"`    // of those: given up
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Example  string    `json:"example,omitempty"` // the first reply, as the log has it
	Host     string    `json:"host,omitempty"`    // who gave it
	// Trouble says from when to when this class of causes alone was frequent.
	Trouble []Episode `json:"trouble,omitempty"`
}

// Episode is a time in which an unusual share of messages was refused.
type Episode struct {
	Host string `json:"host,omitempty"` // who wrote the log
	// Since is the first refusal; Good the last message that was accepted before it. Open: the log begins like this.
	Since time.Time `json:"since,omitzero"`
	Good  time.Time `json:"good,omitzero"`
	Open  bool      `json:"open,omitempty"`
	// Until is the first message that was accepted when it was over, zero while it lasts; Bad is the last refusal.
	Until time.Time `json:"until,omitzero"`
	Bad   time.Time `json:"bad,omitzero"`

	Messages int64   `json:"messages"` // in that time
	Refused  int64   `json:"refused"`
	Share    float64 `json:"share"`  // refused, of 1, where it was worst
	Before   float64 `json:"before"` // share before it; 0 where Open
	After    float64 `json:"after"`  // share behind it; 0 while it lasts
	Gradual  bool    `json:"gradual,omitempty"`
}

// Delay is how long delivered messages were on their way, from acceptance, within 7 % of the true value.
type Delay struct {
	P50 time.Duration `json:"p50_ns"`
	P95 time.Duration `json:"p95_ns"`
}

// Storm tells that the same messages were tried again and again.
type Storm struct {
	Messages int64     `json:"messages"` // that were deferred
	Retries  int64     `json:"retries"`
	Most     int       `json:"most"` // attempts for one message
	Peak     int64     `json:"peak"` // attempts that failed in the worst minute
	PeakAt   time.Time `json:"peak_at,omitzero"`
}

// Tally is a table of the most frequent names. A name that is not in it has a count of at most Missing.
type Tally struct {
	Top     []Count `json:"top,omitempty"`
	Others  int     `json:"others,omitempty"`  // names that are not in Top
	Missing int64   `json:"missing,omitempty"` // 0: the table is exact
}

// Count is a name, how often it came and when.
type Count struct {
	Name  string    `json:"name"`
	N     int64     `json:"n"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Inbound is what our own server rejected.
type Inbound struct {
	Rejected int64   `json:"rejected"`
	Causes   []Count `json:"causes,omitempty"` // classes, most frequent first
	Lists    []List  `json:"lists,omitempty"`  // blocklists that our server asks
}

// List is a blocklist that our own server asks, and whom it kept out.
type List struct {
	Zone     string    `json:"zone"`
	Rejected int64     `json:"rejected"`
	Partners []Partner `json:"partners,omitempty"` // those we have written to first
	Known    int       `json:"known"`              // partners that we have written to
	Others   int       `json:"others,omitempty"`   // partners that are not shown
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
}

// Partner is somebody who could not write to us.
type Partner struct {
	Domain   string     `json:"domain"` // of the sender; of the client's name where the log does not tell the sender
	Client   string     `json:"client,omitempty"`
	Addr     netip.Addr `json:"addr,omitzero"`
	Rejected int64      `json:"rejected"`
	First    time.Time  `json:"first,omitzero"`
	Last     time.Time  `json:"last,omitzero"`
	Reply    string     `json:"reply,omitempty"`
	// Written is how many messages to that domain were delivered, LastWritten when the last one was.
	Written     int64     `json:"written"`
	LastWritten time.Time `json:"last_written,omitzero"`
}
