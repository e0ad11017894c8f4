package smtpclient

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Dial connects to a server, over the first of the target's addresses that answers, and brings the connection to where mail
// can be sent: greeting, EHLO, STARTTLS, AUTH. It returns a Conn or the Outcome that says where and why this ended, never both
// and never neither. An opportunistic TLS handshake that fails is followed by one connection in plain text.
func Dial(ctx context.Context, target Target, opts *Options) (*Conn, *outcome.Outcome) {
	start := time.Now()
	c, o, tlsFailed := dial(ctx, target, opts, opts.TLS, start)
	if tlsFailed && opts.TLS == Opportunistic && ctx.Err() == nil {
		target.Addrs = []netip.AddrPort{o.Remote}
		c, o, _ = dial(ctx, target, opts, NoTLS, start)
	}
	return c, o
}

func dial(ctx context.Context, target Target, opts *Options, mode TLSMode, start time.Time) (c *Conn, o *outcome.Outcome, tlsFailed bool) {
	c = &Conn{opts: opts, times: opts.Timeouts.withDefaults()}
	c.base = outcome.Outcome{Host: target.Host, Egress: target.Egress, Provider: target.Provider}
	dialer := opts.Dialer
	if dialer == nil {
		dialer = DirectDialer(netip.Addr{})
	}
	connecting, cancel := context.WithTimeout(ctx, c.times.Connect)
	defer cancel()
	won := race(connecting, dialer, target.Addrs)
	c.base.Remote = won.addr
	if won.err != nil {
		return nil, ref(c.lost(ctx, outcome.Connect, won.err, start)), false
	}
	c.raw, c.nc = won.conn, won.conn
	c.base.LocalIP = localIP(won.conn)
	c.in.buf = make([]byte, readSize)
	stop := c.watch(ctx)
	o, tlsFailed = c.open(ctx, mode, start)
	if !stop() && o == nil {
		o = ref(c.lost(ctx, outcome.Ehlo, ctx.Err(), start))
	}
	if o != nil {
		c.giveUp(o)
		return nil, o, tlsFailed
	}
	c.used = time.Now()
	return c, nil, false
}

// open brings a connection from its first octet to where mail can be sent.
func (c *Conn) open(ctx context.Context, mode TLSMode, start time.Time) (o *outcome.Outcome, tlsFailed bool) {
	if mode == Implicit {
		if err := c.handshake(ctx); err != nil {
			return ref(c.lost(ctx, outcome.StartTLS, err, start)), true
		}
	}
	raw, err := c.read(ctx, c.times.Greeting)
	if err != nil {
		return ref(c.lost(ctx, outcome.Greeting, err, start)), false
	}
	if !raw.positive() {
		return ref(c.said(outcome.Greeting, raw.reply(), start)), false
	}
	if o := c.greet(ctx, start); o != nil {
		return o, false
	}
	if o, tlsFailed := c.startTLS(ctx, mode, start); o != nil {
		return o, tlsFailed
	}
	if o := c.authenticate(ctx, start); o != nil {
		return o, false
	}
	if c.in.buffered() > 0 {
		return ref(c.lost(ctx, outcome.Ehlo, errUnasked, start)), false
	}
	return nil, false
}

// errUnasked is the fault of a server that says more than it was asked for: no reply can be told from another any more.
var errUnasked = errors.New("the server says more than it was asked for")

// greet says EHLO and makes an outcome of what goes wrong.
func (c *Conn) greet(ctx context.Context, start time.Time) *outcome.Outcome {
	refusal, err := c.hello(ctx)
	if err != nil {
		return ref(c.lost(ctx, outcome.Ehlo, err, start))
	}
	if refusal != nil {
		return ref(c.said(outcome.Ehlo, *refusal, start))
	}
	return nil
}

// giveUp leaves a server that does not want us, with QUIT where it may still be listening.
func (c *Conn) giveUp(o *outcome.Outcome) {
	if o.Reply.Code == 0 || o.Reply.Code == 421 { // RFC 5321, section 4.2.1: after 421 the server closes
		c.cut()
		return
	}
	c.Close()
}

// refused is a reply that ukai gives itself because it can see from what the server offers that the message cannot go there.
// The text says so: nobody should look for it in the server's log.
func (c *Conn) refused(p outcome.Phase, code int, st mail.Status, text string, start time.Time) outcome.Outcome {
	return c.said(p, mail.NewReply(code, st, text+" (not sent)"), start)
}
