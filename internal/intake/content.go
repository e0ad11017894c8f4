package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ukai/internal/dkim"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/smtpserver"
)

// content takes one message over: it reads the header while it passes, has it signed, and commits it to the queue.
type content struct {
	in       *Intake
	env      *mail.Envelope
	draft    queue.Draft
	scan     mail.HeaderScan
	sign     *dkim.Stream // nil when nothing is signed
	head     []byte       // header lines that are ukai's own: Received first
	listener string
	complete bool   // add Date and Message-ID where they are missing: this is a submission (RFC 6409, section 8)
	held     []byte // the header of a submission, kept from the signer until it is known what is missing
	added    []byte // Date and Message-ID that were missing
	err      error  // of the draft; the rest is not written any more
}

// Write takes the next piece of the content.
func (c *content) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if !c.scan.Done() {
		_, _ = c.scan.Write(p) // it takes everything
	}
	c.feed(p)
	n, err := c.draft.Write(p)
	c.err = err
	return n, err
}

// feed passes the content to the signer; fields that are added to a submission come first, so that they are signed as well.
func (c *content) feed(p []byte) {
	switch {
	case !c.complete:
		c.toSigner(p)
	case !c.scan.Done():
		c.held = append(c.held, p...)
	default:
		c.completed()
		c.toSigner(p)
	}
}

// completed ends the wait for the header of a submission.
func (c *content) completed() {
	info := c.scan.Info()
	c.complete = false
	c.added = c.missing(&info)
	c.toSigner(c.added)
	c.toSigner(c.held)
	c.held = nil
}

func (c *content) toSigner(p []byte) {
	if c.sign != nil {
		_, _ = c.sign.Write(p) // it takes everything
	}
}

// Abort throws the message away.
func (c *content) Abort() {
	if c.sign != nil {
		c.sign.Abort()
	}
	c.draft.Abort()
}

// Commit makes the message durable and says so, or says why not.
func (c *content) Commit(ctx context.Context) mail.Reply {
	info := c.scan.Info()
	if c.err == nil && info.Received >= c.in.opts.MaxHops {
		c.Abort()
		return mail.NewReply(554, mail.Status{Class: 5, Subject: 4, Detail: 6}, fmt.Sprintf("message has passed %d servers: it goes round in a loop", info.Received))
	}
	if err := c.commit(ctx, &info); err != nil {
		c.Abort()
		return c.refusal(err)
	}
	c.in.accepted(c.env, c.listener)
	return mail.NewReply(250, mail.Status{Class: 2}, "queued as "+c.env.ID.String())
}

func (c *content) commit(ctx context.Context, info *mail.HeaderInfo) error {
	if c.err != nil {
		return c.err
	}
	e := c.env
	e.MessageID, e.FromHdr, e.Class = info.MessageID, info.FromDomain, info.Class()
	if c.complete {
		c.completed()
	}
	if len(c.added) > 0 && e.MessageID == "" {
		e.MessageID = c.messageID()
	}
	head := c.head
	if c.sign != nil {
		lines, domains, err := c.sign.Sign()
		if err != nil {
			return err
		}
		e.DKIM = domains
		head = append(lines, head...)
	}
	return c.draft.Commit(ctx, append(head, c.added...))
}

// missing returns the header fields that a submission must have and this one lacks.
func (c *content) missing(info *mail.HeaderInfo) []byte {
	var b []byte
	if !info.Date {
		b = fmt.Appendf(b, "Date: %s\r\n", c.env.Accepted.Format(time.RFC1123Z))
	}
	if info.MessageID == "" {
		b = fmt.Appendf(b, "Message-ID: <%s>\r\n", c.messageID())
	}
	return b
}

func (c *content) messageID() string { return c.env.ID.String() + "@" + c.in.opts.Hostname }

// refusal says in SMTP why the message was not taken. Nothing about our insides: "disk" and "try again" is all a client needs.
func (c *content) refusal(err error) mail.Reply {
	switch {
	case errors.Is(err, queue.ErrFull):
		c.in.log.Error("message refused: no space", "error", err)
		return mail.NewReply(452, mail.Status{Class: 4, Subject: 3, Detail: 1}, "insufficient system storage, try again later")
	case errors.Is(err, queue.ErrClosed):
		return mail.NewReply(421, mail.Status{Class: 4, Subject: 3, Detail: 2}, "shutting down, try again later")
	}
	c.in.log.Error("message not taken", "error", err)
	return mail.NewReply(451, mail.Status{Class: 4, Subject: 3}, "local error, try again later")
}

func (in *Intake) accepted(e *mail.Envelope, listener string) {
	if in.opts.OnAccepted != nil {
		in.opts.OnAccepted(listener)
	}
	ev := journal.Event{At: e.Accepted, Msg: e.ID, Kind: journal.Accepted, From: e.From, Account: e.Account, MessageID: e.MessageID, Size: e.Size,
		Recipients: make([]string, len(e.Recipients))}
	if e.Client.IsValid() {
		ev.Client = e.Client.String()
	}
	for i := range e.Recipients {
		ev.Recipients[i] = e.Recipients[i].Addr
	}
	in.journal.Record(ev)
}

var _ smtpserver.Content = (*content)(nil)
