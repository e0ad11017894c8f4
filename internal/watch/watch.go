// Package watch lets what others saw bear on the paths: the log of a mail server that ukai does not relay for, delivery reports
// in a mailbox, reports that came to a bounce address.
//
// A Source finds observations, the Hub turns them into evidence for package health. There is one place where a path becomes bad
// or good, whoever saw it; a source only says what it saw, and when.
package watch

import (
	"context"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Observation is what a source saw become of one recipient of one message.
type Observation struct {
	Source string // name of the source, as configured
	Server string // which mail server delivered: the configured name, or the host of the log
	// Outcome has Egress empty when the source does not know it: the Hub finds it from Server and from the address in the verdict.
	Outcome   outcome.Outcome
	Verdict   classify.Verdict
	Recipient string
	Sender    string
	MessageID string
	// Msg is our own ID, where a token or the Message-ID led to it.
	Msg mail.ID
	// Late is set for what is told long after it happened (a report, a log read from its beginning): it counts for the past only.
	Late bool
}

// Source finds observations. Run returns when ctx ends, or with the error that makes going on pointless; the Hub runs it in a
// goroutine of its own, tells of the error, and starts it again after a pause that grows. see is called from that goroutine
// only, never after Run has returned, and does not block for long.
type Source interface {
	Name() string
	Run(ctx context.Context, see func(Observation)) error
}
