package smtpclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"

	"ukai/internal/outcome"
)

// Conn is one connection to a server, greeted and ready for mail. It is used by one goroutine at a time.
type Conn struct {
	raw   net.Conn // below TLS
	nc    net.Conn // what is talked over
	in    reader
	ext   Extensions
	base  outcome.Outcome // what every outcome of this connection has in common
	opts  *Options
	times Timeouts

	sent   int       // transactions begun
	used   time.Time // end of the last one, or of Dial
	dirty  bool      // the server is in the middle of a transaction: RSET comes before the next
	broken bool      // closed, or not to be used again
}

// Extensions are what the server offered in its reply to EHLO.
type Extensions struct {
	Pipelining bool // RFC 2920
	EightBit   bool // 8BITMIME, RFC 6152
	UTF8       bool // SMTPUTF8, RFC 6531
	DSN        bool // RFC 3461
	Chunking   bool // RFC 3030
	StartTLS   bool // RFC 3207
	RequireTLS bool // RFC 8689

	Size    bool  // RFC 1870
	MaxSize int64 // octets; 0: no limit was named

	Auth []string // mechanisms, upper case; RFC 4954

	// The LIMITS of RFC 9422; 0: none.
	MailMax       int // transactions in this connection
	RcptMax       int // recipients in a transaction
	RcptDomainMax int // recipient domains in a transaction
}

// Extensions returns what the server offers.
func (c *Conn) Extensions() *Extensions { return &c.ext }

// Host returns the name of the server as it stood in Target.
func (c *Conn) Host() string { return c.base.Host }

// Remote returns the server's address.
func (c *Conn) Remote() netip.AddrPort { return c.base.Remote }

// LocalIP returns our address, as far as it is known.
func (c *Conn) LocalIP() netip.Addr { return c.base.LocalIP }

// TLS returns the version of TLS, such as "TLS1.3", or "" for plain text.
func (c *Conn) TLS() string { return c.base.TLS }

// Sent returns how many transactions were begun.
func (c *Conn) Sent() int { return c.sent }

// Idle returns how long the connection has carried nothing.
func (c *Conn) Idle(now time.Time) time.Duration { return now.Sub(c.used) }

// Usable tells whether the connection can carry another message: it is neither closed nor at the server's MAILMAX.
func (c *Conn) Usable() bool { return !c.broken && (c.ext.MailMax == 0 || c.sent < c.ext.MailMax) }

// verified tells whether the server's certificate is valid for its host.
func (c *Conn) verified() bool {
	t, ok := c.nc.(*tls.Conn)
	return ok && c.verify(t.ConnectionState()) == nil
}

// Close says QUIT and closes the connection without waiting for the reply, which could say nothing of interest.
func (c *Conn) Close() {
	if !c.broken { // RFC 5321, section 4.1.1.10: not without QUIT
		c.nc.SetWriteDeadline(time.Now().Add(farewell))
		_, _ = c.nc.Write([]byte("QUIT\r\n"))
	}
	c.cut()
}

// Quit says QUIT, waits a moment for the reply, and closes the connection.
func (c *Conn) Quit(ctx context.Context) {
	if !c.broken && c.write(ctx, []byte("QUIT\r\n"), farewell) == nil {
		_, _ = c.read(ctx, farewell)
	}
	c.cut()
}

// Reset ends a transaction that was given up, with RSET, and shows on the way that the server is still there.
// Send does so by itself where it is needed.
func (c *Conn) Reset(ctx context.Context) error {
	if c.broken {
		return net.ErrClosed
	}
	stop := c.watch(ctx)
	raw, err := c.command(ctx, []byte("RSET\r\n"), c.times.Command)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil && !raw.positive() {
		err = fmt.Errorf("%w: %s", errOutOfStep, raw.reply().String())
	}
	if err != nil {
		c.cut()
		return fmt.Errorf("RSET: %w", err)
	}
	c.dirty = false
	return nil
}

// cut closes the connection as it is. For TLS that means without close_notify, so that a content under way cannot pass for
// complete.
func (c *Conn) cut() {
	if c.raw != nil {
		_ = c.raw.Close()
	}
	c.broken = true
}

// watch makes the end of ctx wake whoever reads or writes. The function it returns ends that, and returns false when it came
// too late: then the deadline of the connection may be spoilt at any moment.
func (c *Conn) watch(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	raw := c.raw
	return context.AfterFunc(ctx, func() { raw.SetDeadline(past) })
}

var past = time.Unix(1, 0)

// arm sets the deadline of what comes next, or none if limit is 0. Since ctx may have ended before, it looks there afterwards.
func arm(ctx context.Context, set func(time.Time) error, limit time.Duration) {
	var end time.Time
	if limit > 0 {
		end = time.Now().Add(limit)
	}
	_ = set(end)
	if ctx.Err() != nil {
		_ = set(past)
	}
}

// write writes b within limit.
func (c *Conn) write(ctx context.Context, b []byte, limit time.Duration) error {
	arm(ctx, c.nc.SetWriteDeadline, limit)
	_, err := c.nc.Write(b)
	return err
}

// read returns the next reply, which may take limit from the moment on in which it is missed.
func (c *Conn) read(ctx context.Context, limit time.Duration) (rawReply, error) {
	armed := false
	for {
		raw, ok, err := c.in.scan()
		if ok || err != nil {
			return raw, err
		}
		if !armed {
			armed = true
			arm(ctx, c.nc.SetReadDeadline, limit)
		}
		if err := c.in.fill(c.nc); err != nil {
			return rawReply{}, err
		}
	}
}

// command writes a line and returns the reply to it.
func (c *Conn) command(ctx context.Context, line []byte, limit time.Duration) (rawReply, error) {
	if err := c.write(ctx, line, limit); err != nil {
		return c.lastWords(ctx, err)
	}
	return c.read(ctx, limit)
}

// lastWords returns the reply that a server may have left when it hung up, and otherwise err.
func (c *Conn) lastWords(ctx context.Context, err error) (rawReply, error) {
	if raw, ok := c.read(ctx, lastWords); ok == nil {
		return raw, nil
	}
	return rawReply{}, err
}
