package smtpclient

import (
	"context"
	"fmt"

	"ukai/internal/outcome"
)

// content sends the content and takes the reply to it.
func (t *transaction) content(ctx context.Context) {
	c := t.c
	raw, sent, err := t.stream(ctx)
	c.broken = !sent || err != nil || raw.code == 421
	if err == nil && (raw.refusal() || sent && raw.positive()) {
		t.rest(c.said(outcome.EndOfData, raw.reply(), t.start))
		return
	}
	if err == nil {
		c.broken = true
		err = fmt.Errorf("%w: %s", errOutOfStep, raw.reply().String())
	}
	o := c.lost(ctx, outcome.Data, err, t.start)
	switch {
	case t.res.Broken != nil:
		o.Err = "the content could not be read: " + t.res.Broken.Error()
	case sent: // it may have been taken all the same (RFC 1047)
		o.Phase = outcome.EndOfData
		o.Err = "lost after end of data: " + o.Err
	}
	t.rest(o)
}

// stream sends the content and returns the reply. Sent tells whether all of it went out, so that the server may have taken the
// message.
func (t *transaction) stream(ctx context.Context) (raw rawReply, sent bool, err error) {
	c := t.c
	s := content{src: t.m.Content, bdat: t.bdat, size: t.m.Envelope.Size}
	last, err := s.next(t.b)
	switch {
	case err != nil:
		t.res.Broken = err
		return rawReply{}, false, err
	case !last:
		return t.streamLong(ctx, &s)
	}
	if err := c.write(ctx, t.b.out, c.times.Block); err != nil {
		raw, err = c.lastWords(ctx, err)
		return raw, false, err
	}
	raw, err = c.read(ctx, c.times.EndOfData)
	return raw, true, err
}

// streamLong sends a content of more than one block, of which the first is ready, and listens meanwhile: a server that has had
// enough says so at once, and may not read on.
func (t *transaction) streamLong(ctx context.Context, s *content) (raw rawReply, sent bool, err error) {
	c := t.c
	arm(ctx, c.nc.SetReadDeadline, 0)
	ear := make(chan heard, 1)
	go c.listen(ear)
	sent, err = t.pour(ctx, s, ear)
	limit := c.times.EndOfData
	switch {
	case t.res.Broken != nil:
		c.cut() // which ends the listener too
	case err != nil:
		limit = lastWords
	}
	arm(ctx, c.nc.SetReadDeadline, limit)
	h := <-ear
	for range ear { // closed when the listener has ended
	}
	if t.res.Broken != nil || err != nil && h.err != nil {
		return rawReply{}, false, err
	}
	return h.raw, sent, h.err
}

// pour writes one block after the other until the content ends or something is heard.
func (t *transaction) pour(ctx context.Context, s *content, ear <-chan heard) (sent bool, err error) {
	c := t.c
	for last := false; ; {
		arm(ctx, c.nc.SetWriteDeadline, c.times.Block)
		if len(ear) > 0 { // looked at after the deadline was set: the listener sets it back when it has heard something
			return false, nil
		}
		if _, err := c.nc.Write(t.b.out); err != nil || last {
			return err == nil, err
		}
		if last, err = s.next(t.b); err != nil {
			t.res.Broken = err
			return false, err
		}
	}
}

// heard is a reply that came while content was being written, or the end of the connection.
type heard struct {
	raw rawReply
	err error
}

// listen waits for a reply while content is being written, and stops the writing when one comes.
func (c *Conn) listen(ear chan<- heard) {
	defer close(ear)
	var h heard
	for ok := false; !ok; {
		if h.raw, ok, h.err = c.in.scan(); !ok && h.err == nil {
			h.err = c.in.fill(c.nc)
		}
		if h.err != nil {
			break
		}
	}
	ear <- h
	_ = c.nc.SetWriteDeadline(past)
}

// nothing ends a DATA that the server wants although it accepted nobody: RFC 2920, section 3.1 has the client send a dot.
func (t *transaction) nothing(ctx context.Context) {
	raw, err := t.c.command(ctx, []byte(".\r\n"), t.c.times.EndOfData)
	t.c.broken = err != nil || raw.code == 421
}
