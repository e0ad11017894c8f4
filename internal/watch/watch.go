// Package watch lets what others saw bear on the paths: the log of a mail server that ukai does not relay for, delivery reports
// in a mailbox, reports that came to a bounce address.
//
// A Source finds observations, the Hub turns them into evidence for package health. There is one place where a path becomes bad
// or good, whoever saw it; a source only says what it saw, and when.
//
// # Whose path is it?
//
// A path is an egress and a provider. What a server beside ukai meets is told of the egress that it shares with ukai, where the
// settings say so or where the address in the refusal is that of an egress. Else the server's own name stands in the place of
// the egress: it has paths of its own, which no message of ukai goes over, and which block and recover as the others do. What
// it goes on sending over a blocked path is its probe.
//
// # When is it news?
//
// A refusal that is told long after it happened says nothing about today: the path may have been blocked, probed and opened
// again since. What is older than Options.Late, or marked as late by its source, is counted and kept in the journal of the
// message, and moves no path. See Hub.
//
// # Who is believed?
//
// A log is written by a server that the operator chose. A mail is written by anybody who knows the address of the mailbox. A
// report that leads to a message of ours is believed, because only who got the message can name it. Any other (see
// Observation.Hearsay) bears on paths of the server that the mailbox belongs to, and only towards providers of the catalogue.
package watch

import (
	"context"
	"time"

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
	// Hearsay is set for what a mail says that leads to no message of ours: anybody may have written it.
	Hearsay bool
	// Late is set for what is told long after it happened (a report, a log read from its beginning): it counts for the past only.
	// It is also set for what happened beyond the path that the message went over.
	Late bool

	from *runner // who saw it, while the provider is being asked for
}

// Source finds observations. Run returns when ctx ends, or with the error that makes going on pointless; the Hub runs it in a
// goroutine of its own, tells of the error, and starts it again after a pause that grows. see is called from that goroutine
// only, never after Run has returned, and does not block for long.
type Source interface {
	Name() string
	Run(ctx context.Context, see func(Observation)) error
}

// Gauge is what a Source may tell of itself besides: the Hub asks a Source that has a method "Gauge() Gauge" for Status.
type Gauge struct {
	Kind    string    // "log", "maildir", "imap"
	Where   string    // file, directory, server and mailbox
	Contact time.Time // when it was last seen to be there
	Read    int64     // lines or mails
	Trouble error     // what keeps it from reading now, though it goes on trying
}
