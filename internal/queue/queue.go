// Package queue keeps mail.
//
// Its one promise: what Commit has acknowledged survives a kill -9 and a power cut, and is neither lost nor handed out twice,
// except that a delivery whose Settle had not reached the disk is handed out again. A message has one content and one or
// more deliveries: its recipients grouped by recipient domain, because that is what is tried, deferred and settled together.
//
//	Create -> Write... -> Commit   (250 may be said)
//	Lease -> attempts -> Settle    (recipients done, the rest due again at a time, or on hold)
//
// Behind Store stands the embedded engine (segments and a SQLite index); storetest is the suite that it passes, and that any
// other one has to. Deletes may lag behind, acknowledgements may not. docs/queue.md tells how it works.
package queue

import (
	"context"
	"errors"
	"io"
	"time"

	"ukai/internal/mail"
)

// Errors that a caller branches on.
var (
	ErrFull     = errors.New("no space left for mail")                // tell the client 452 and try again
	ErrBroken   = errors.New("the queue stopped after a disk error")  // tell the client 451; only a restart helps
	ErrClosed   = errors.New("the queue is closed")                   // shutting down
	ErrNotFound = errors.New("no such message in the queue")          // done, deleted or never here
	ErrLocked   = errors.New("another ukai uses this data directory") // start refused
	ErrSetAside = errors.New("the message was unreadable, set aside") // kept as a file for the admin to look at
)

// Store keeps mail. All methods are safe for concurrent use.
type Store interface {
	// Create starts a message. env.ID and env.Accepted are set by the store; the store keeps env: do not change it after Commit.
	Create(env *mail.Envelope) (Draft, error)
	// Lease hands out deliveries that are due, in turn over the recipient domains, oldest due first within one. What is
	// leased is not handed out again until Settle, or until the process restarts. It returns at once, with fewer than
	// asked or none; then Wake tells when to ask again.
	Lease(ctx context.Context, q LeaseQuery) ([]*Delivery, error)
	// Wake has capacity 1 and receives when a delivery may have become due (enqueued, released, its time come).
	Wake() <-chan struct{}
	// Settle records what became of a leased delivery and ends the lease. It returns before the disk is synced: a crash may
	// undo the last moments of settlements (the delivery is tried again), never a commit.
	Settle(s Settlement) error
	// Open reads the content of a message as it is to be sent (CRLF line ends, without dot-stuffing).
	Open(id mail.ID) (io.ReadCloser, error)

	// Get returns a message with all its deliveries that are not done.
	Get(ctx context.Context, id mail.ID) (*Message, error)
	// List returns up to f.Limit messages behind f.After in order of acceptance.
	List(ctx context.Context, f Filter) ([]*Message, error)
	// Change applies an order of the admin to all deliveries that match and are not leased (a leased one is changed as
	// soon as it is settled); it returns how many messages it touched.
	Change(ctx context.Context, f Filter, order Order, now time.Time) (int, error)
	// Release makes all deliveries waiting for tag due at once; it returns how many.
	Release(ctx context.Context, tag string, now time.Time) (int, error)

	Stats() Stats
	Close() error
}

// Draft is a message being taken in. Either Commit or Abort ends it. It is used by one goroutine.
type Draft interface {
	io.Writer
	// Commit makes the message durable and due at once: head (header lines that ukai adds: Received, DKIM-Signature; CRLF line
	// ends) is put before what was written. When it returns nil, the message survives a power cut. env.Size is set by it.
	Commit(ctx context.Context, head []byte) error
	// Abort throws the draft away. After Commit it does nothing.
	Abort()
}

// Key names a delivery: the nth recipient domain of a message.
type Key struct {
	ID mail.ID `json:"id"`
	N  int     `json:"n"`
}

// Delivery is the open recipients of one message in one recipient domain.
type Delivery struct {
	Key
	Envelope   *mail.Envelope // shared between deliveries: read only
	Domain     string         // recipient domain, lower case
	Recipients []int          // open ones, as indexes into Envelope.Recipients
	State      DeliveryState
}

// DeliveryState is what the queue remembers of a delivery between attempts.
type DeliveryState struct {
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due"`
	Held     bool      `json:"held,omitempty"`   // by an admin: not due until released
	Warned   bool      `json:"warned,omitempty"` // a delay warning was sent
	// Tag is what a delivery waits for: "path:google" while every way to google is shut. Release makes it due before its time.
	Tag  string `json:"tag,omitempty"`
	Last string `json:"last,omitempty"` // the last reply or trouble, for people; at most 500 octets are kept
}

// LeaseQuery bounds what Lease hands out.
type LeaseQuery struct {
	Now time.Time
	Max int // deliveries at most
	// Skip, if not nil, leaves out recipient domains (those the caller has enough of already). It is called under the
	// store's lock: it must not block.
	Skip func(domain string) bool
	// PerDomain, if not 0, is how many deliveries of one recipient domain are handed out at most by this call.
	PerDomain int
}

// Settlement says what became of a leased delivery.
type Settlement struct {
	Key
	// Done are the recipients (indexes into Envelope.Recipients) that need nothing more: delivered, bounced, dropped.
	Done []int
	// Next is the state of those that are left. It is ignored when none is left.
	Next DeliveryState
}

// Message is a message in the queue as the admin sees it.
type Message struct {
	Envelope   *mail.Envelope `json:"envelope"`
	Deliveries []*Delivery    `json:"deliveries"`
}

// Filter selects messages. Zero fields do not filter. Sender, Recipient and Domain match without regard to case.
type Filter struct {
	IDs       []mail.ID
	Sender    string // whole address or "@domain"
	Recipient string // whole address or "@domain"
	Domain    string // recipient domain
	Account   string
	Held      *bool
	Tag       string
	After     mail.ID
	Limit     int // 0: 1000 in List, no limit in Change
}

// Order is what an admin can do to mail in the queue.
type Order string

// The orders.
const (
	HoldOrder    Order = "hold"    // keep it, try nothing
	ReleaseOrder Order = "release" // end a hold; due at once
	RetryOrder   Order = "retry"   // due at once
	DeleteOrder  Order = "delete"  // drop it without a bounce
)

// Stats is the queue at a glance.
type Stats struct {
	Messages   int           `json:"messages"`
	Deliveries int           `json:"deliveries"`
	Leased     int           `json:"leased"`
	Held       int           `json:"held"`
	Bytes      int64         `json:"bytes"` // on disk, dead segments not yet removed included
	Oldest     time.Time     `json:"oldest,omitzero"`
	SetAside   int           `json:"set_aside"`
	IndexLag   time.Duration `json:"index_lag_ns"` // how far the search index is behind the log
	Commits    uint64        `json:"commits"`      // messages made durable since start
	Syncs      uint64        `json:"syncs"`        // disk syncs since start: Commits/Syncs is the group size
	Broken     string        `json:"broken,omitempty"`
}
