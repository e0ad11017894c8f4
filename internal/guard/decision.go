package guard

import (
	"time"

	"ukai/internal/mail"
)

// Reason is why something may not be sent.
type Reason uint8

// The reasons. Allowed is a yes.
const (
	Allowed           Reason = iota
	NoRelay                  // neither an account nor a trusted network
	Suspended                // the account is suspended
	ForeignNetwork           // the account may not be used from there
	ForeignSender            // the sender's domain is not one of the account's
	TooManyMessages          // the hour's budget is spent
	TooManyRecipients        // the day's budget is spent
)

var reasonNames = [...]string{"allowed", "no-relay", "suspended", "foreign-network", "foreign-sender", "too-many-messages", "too-many-recipients"}

// String returns the reason's name as it stands in the log and in JSON.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// MarshalText makes a Reason its name in JSON.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Decision is the answer of a Guard. The zero value is a yes.
type Decision struct {
	Reason Reason
	// RetryAfter is in how long there will be room again, where the reason is a rate.
	RetryAfter time.Duration
}

// OK tells whether it is a yes.
func (d Decision) OK() bool { return d.Reason == Allowed }

// What a client is told. An admin's words about a suspension stay in the house.
var replies = [...]mail.Reply{
	NoRelay:           mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "Relaying denied: log in, or send from a trusted network"),
	Suspended:         mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "Your account is suspended, ask your administrator"),
	ForeignNetwork:    mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "Your account may not be used from your address"),
	ForeignSender:     mail.NewReply(550, mail.Status{Class: 5, Subject: 7, Detail: 1}, "Sender domain not allowed for your account"),
	TooManyMessages:   mail.NewReply(450, mail.Status{Class: 4, Subject: 7, Detail: 1}, "Too many messages this hour, try again later"),
	TooManyRecipients: mail.NewReply(450, mail.Status{Class: 4, Subject: 7, Detail: 1}, "Too many recipients today, try again later"),
}

// Reply returns what to tell the client, nil for a yes. It is shared and must not be changed.
func (d Decision) Reply() *mail.Reply {
	if d.OK() || int(d.Reason) >= len(replies) {
		return nil
	}
	return &replies[d.Reason]
}
