package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ukai/internal/i18n"
)

// Sender hands a notice to a channel. Send is called from several goroutines, has a deadline in ctx, and returns nil only when
// the other side has said that it took the notice. It does not try again: the Notifier does. What its error says of secrets is
// taken out by the caller.
type Sender interface {
	Send(ctx context.Context, m *Notice) error
}

// channel is one way to people, with what is known of it. The fields below opts are guarded by Notifier.mu.
type channel struct {
	opts    ChannelOptions
	print   string // what it was made from
	sender  Sender
	secrets []string

	failing  bool
	why      string // the last error, without secrets
	since    time.Time
	fails    int       // attempts to come back
	again    time.Time // when it is tried again while it fails
	probing  bool
	reported string // the channel that was told of the failure; empty: none yet
	lastOK   time.Time
}

func (n *Notifier) newChannel(o ChannelOptions) *channel {
	c := &channel{opts: o, secrets: secretsOf(&o)}
	c.print = fmt.Sprintf("%+v", o)
	c.sender = n.newSender(&c.opts)
	return c
}

// newSender makes what speaks to a channel. Its options were checked by package config.
func (n *Notifier) newSender(o *ChannelOptions) Sender {
	switch o.Kind {
	case MailKind:
		return &mailSender{o: o, send: n.parts.Mail}
	case Command:
		return &commandSender{argv: o.Command}
	case Shoutrrr:
		return &shoutrrrSender{url: o.URL}
	}
	if request, ok := requests[o.Kind]; ok {
		return &httpSender{o: o, request: request}
	}
	return unknown{o.Kind}
}

// unknown is a channel of a kind that there is not.
type unknown struct{ kind Kind }

func (u unknown) Send(context.Context, *Notice) error {
	return fmt.Errorf("channel kind %q is not known", u.kind)
}

// quickly is how soon a failure must come for a second attempt before another channel is asked: a notice is late otherwise.
const (
	quickly   = 300 * time.Millisecond
	soonAgain = 200 * time.Millisecond
)

// try sends a notice by one channel and records it. A second attempt follows a failure that came quickly.
func (n *Notifier) try(ctx context.Context, c *channel, m *Notice) error {
	began := time.Now()
	s := Sent{At: began, Channel: c.opts.Name, News: m.News, Attempts: 1}
	if m.Event != nil {
		s.Incident = m.Event.Incident.ID
	}
	err := c.once(ctx, m)
	if err != nil && time.Since(began) < quickly && wait(ctx, soonAgain) {
		s.Attempts++
		err = c.once(ctx, m)
	}
	s.Took = time.Since(began)
	if err != nil {
		s.Error = c.mask(err.Error())
		err = errors.New(s.Error)
	}
	s.OK = err == nil
	if dbErr := n.writeSent(context.WithoutCancel(ctx), &s); dbErr != nil {
		n.parts.Log.Warn("notice not recorded", "error", dbErr)
	}
	n.parts.Log.Info("notice", "channel", s.Channel, "incident", s.Incident, "news", string(s.News), "ok", s.OK, "attempts", s.Attempts,
		"took", s.Took.Round(time.Millisecond), "error", s.Error)
	if ctx.Err() == nil {
		n.learn(c, err)
	}
	return err
}

func (c *channel) once(ctx context.Context, m *Notice) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	err := c.sender.Send(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return i18n.Errorf("notify.error.timeout", "timeout", c.opts.Timeout)
	}
	return err
}

// learn notes how a send by a channel ended. One that fails is tried again after a minute, then two, ... up to half an hour.
func (n *Notifier) learn(c *channel, err error) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		c.lastOK = now
		return // that it is back is told by comeback, which ends failing
	}
	if !c.failing {
		c.failing, c.since, c.fails, c.reported = true, now, 0, ""
	}
	c.why = err.Error()
	c.again = now.Add(min(time.Minute<<min(c.fails, 10), 30*time.Minute))
	c.fails++
}

// wait waits; ok is false when ctx ended before.
func wait(ctx context.Context, d time.Duration) (ok bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
