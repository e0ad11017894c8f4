package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// maxBatch is how many commands go out before their replies are read. RFC 2920, section 3.1: a client that only writes, to a
// server that only answers, waits for ever once both their windows are full.
const maxBatch = 100

// step is a command whose reply is awaited.
type step uint8

const (
	stepReset step = iota
	stepMail
	stepRcpt
	stepData
)

type awaited struct {
	step step
	rcpt int // of stepRcpt: which
}

// transaction is one message on its way over a connection.
type transaction struct {
	c     *Conn
	m     *Message
	b     *block
	start time.Time
	res   Result

	accepted int
	mailOK   bool // MAIL was accepted: the server holds a transaction open
	bdat     bool // the content goes by BDAT
	goAhead  bool // the server waits for the content
	over     bool // the connection is lost, or the server said 421: no more commands
}

var errOutOfStep = errors.New("the server's reply does not fit the command")

// Send carries one message to its recipients and says how that ended for each of them, from the start of Send. The outcome's
// reply is that to the last step that concerned the recipient: RCPT when it was refused there, the end of the content when it was
// taken. Where the server offers PIPELINING, MAIL, RCPT and DATA are one write.
//
// A Conn that is not Usable yields outcomes without a reply and a stale Result.
func (c *Conn) Send(ctx context.Context, m *Message) Result {
	t := transaction{c: c, m: m, start: time.Now()}
	t.res.Outcomes = make([]outcome.Outcome, len(m.Recipients))
	t.res.DSN = c.ext.DSN
	if !c.Usable() || c.in.buffered() > 0 { // what the server said unasked would be taken for a reply
		c.cut()
		t.rest(c.lost(ctx, outcome.MailFrom, net.ErrClosed, t.start))
		t.res.Stale = true
		return t.res
	}
	if t.check(); t.undecided() {
		t.b = getBlock()
		stop := c.watch(ctx)
		t.carry(ctx)
		if !stop() {
			c.broken = true
		}
		putBlock(t.b)
		c.sent++
		c.used = time.Now()
	}
	t.res.ConnUsable = c.Usable()
	if c.broken {
		c.cut()
	} else if !t.res.ConnUsable {
		c.Close() // at the server's MAILMAX
	}
	return t.res
}

// carry goes through the dialogue.
func (t *transaction) carry(ctx context.Context) {
	c := t.c
	t.bdat = c.ext.Chunking && !c.opts.NoChunking && t.m.Envelope.Size > 0
	t.envelope(ctx)
	if t.over {
		c.broken = true
		return
	}
	c.dirty = t.mailOK && !t.goAhead
	switch {
	case t.goAhead && t.accepted == 0:
		t.nothing(ctx)
	case t.goAhead:
		t.content(ctx)
	}
}

// envelope sends MAIL, RCPT and DATA and reads the replies.
func (t *transaction) envelope(ctx context.Context) {
	c := t.c
	t.b.reset()
	if c.dirty {
		t.add(ctx, awaited{step: stepReset})
	}
	t.add(ctx, awaited{step: stepMail})
	for i := range t.m.Recipients {
		if t.over || t.refusedAll() {
			break
		}
		if t.open(i) {
			t.add(ctx, awaited{stepRcpt, i})
		}
	}
	if t.bdat || !c.ext.Pipelining || !t.undecided() {
		t.flush(ctx) // whether there is anybody to send to is known before DATA or BDAT
		t.goAhead = t.bdat && t.accepted > 0 && !t.over
	}
	if !t.bdat && !t.over && (len(t.b.awaited) > 0 || t.accepted > 0) {
		t.add(ctx, awaited{step: stepData})
		t.flush(ctx)
	}
}

// add puts a command behind those that wait to be sent, and sends them if it is time to.
func (t *transaction) add(ctx context.Context, a awaited) {
	if t.over {
		return
	}
	switch a.step {
	case stepReset:
		t.b.out = append(t.b.out, "RSET\r\n"...)
	case stepMail:
		t.b.out = t.appendMail(t.b.out)
	case stepRcpt:
		t.b.out = t.appendRcpt(t.b.out, a.rcpt)
	case stepData:
		t.b.out = append(t.b.out, "DATA\r\n"...)
	}
	t.b.awaited = append(t.b.awaited, a)
	if !t.c.ext.Pipelining || len(t.b.awaited) == maxBatch {
		t.flush(ctx)
	}
}

// flush sends the commands that wait to be sent and reads their replies.
func (t *transaction) flush(ctx context.Context) {
	c := t.c
	if len(t.b.awaited) == 0 || t.over {
		return
	}
	werr := c.write(ctx, t.b.out, c.times.Command)
	for n, a := range t.b.awaited {
		limit := c.times.Command
		if a.step == stepData {
			limit = c.times.Data
		}
		if werr != nil { // the server may have said why it hung up
			limit = lastWords
		}
		raw, err := c.read(ctx, limit)
		if err != nil {
			if werr != nil {
				err = werr
			}
			t.hungUp(n == 0 && a.step <= stepMail)
			t.rest(c.lost(ctx, phaseOf(a.step), err, t.start))
			break
		}
		if raw.code == 421 { // RFC 5321, section 3.8: at any time, and the server closes
			t.hungUp(n == 0 && a.step <= stepMail)
			t.rest(c.said(phaseOf(a.step), raw.reply(), t.start))
			break
		}
		if t.hear(ctx, a, raw); t.over {
			break
		}
	}
	t.b.reset()
}

func phaseOf(s step) outcome.Phase {
	switch s {
	case stepRcpt:
		return outcome.RcptTo
	case stepData:
		return outcome.Data
	}
	return outcome.MailFrom
}

// hungUp notes that the connection is gone. If it had carried mail before and nothing came back for this message, the server
// had closed it in the meantime.
func (t *transaction) hungUp(unheard bool) {
	t.over = true
	t.res.Stale = unheard && t.c.sent > 0
}

// hear takes the reply to one command.
func (t *transaction) hear(ctx context.Context, a awaited, raw rawReply) {
	c := t.c
	switch {
	case a.step == stepData && raw.code == 354:
		t.goAhead = true
	case a.step == stepData && raw.refusal():
		t.rest(c.said(outcome.Data, raw.reply(), t.start))
	case raw.positive() && a.step != stepData:
		switch a.step {
		case stepReset:
			c.dirty = false
		case stepMail:
			t.mailOK = true
		case stepRcpt:
			if t.open(a.rcpt) {
				t.accepted++
			}
		}
	case raw.refusal() && a.step == stepMail:
		t.rest(c.said(outcome.MailFrom, raw.reply(), t.start))
	case raw.refusal() && a.step == stepRcpt:
		if t.open(a.rcpt) { // after a refused MAIL it is decided already, and the server only says "bad sequence"
			t.res.Outcomes[a.rcpt] = c.said(outcome.RcptTo, raw.reply(), t.start)
		}
	default: // we have lost each other: what follows could be taken for the reply to something else
		t.over = true
		err := fmt.Errorf("%w: %s", errOutOfStep, raw.reply().String())
		t.rest(c.lost(ctx, phaseOf(a.step), err, t.start))
	}
}

// open tells whether the outcome of a recipient is still open.
func (t *transaction) open(i int) bool { return t.res.Outcomes[i].At.IsZero() }

// undecided tells whether the outcome of any recipient is open.
func (t *transaction) undecided() bool {
	for i := range t.res.Outcomes {
		if t.open(i) {
			return true
		}
	}
	return false
}

// refusedAll tells whether MAIL was refused, with the replies read so far.
func (t *transaction) refusedAll() bool { return len(t.b.awaited) == 0 && !t.mailOK }

// rest gives all recipients that are still open the same outcome.
func (t *transaction) rest(o outcome.Outcome) {
	for i := range t.res.Outcomes {
		if t.open(i) {
			t.res.Outcomes[i] = o
		}
	}
}

// TooMany returns the recipients (as indexes into Outcomes) that the server did not take only because it had taken enough of
// them: they can go in another transaction at once. RFC 5321, section 4.5.3.1.10: 452, and 552 from servers that err.
func (r *Result) TooMany() []int {
	var list []int
	taken := false
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		switch {
		case o.Phase > outcome.RcptTo:
			taken = true
		case tooMany(o.Reply):
			list = append(list, i)
		}
	}
	if !taken {
		return nil
	}
	return list
}

func tooMany(r mail.Reply) bool {
	s := r.Status
	return (r.Code == 452 || r.Code == 552) && (s.Class == 0 || s.Subject == 5 && s.Detail == 3) // RFC 3463, X.5.3
}
