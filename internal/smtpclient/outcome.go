package smtpclient

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// said is the outcome of a reply.
func (c *Conn) said(p outcome.Phase, r mail.Reply, start time.Time) outcome.Outcome {
	o := c.base
	o.Phase, o.Reply = p, r
	o.At = time.Now()
	o.Duration = o.At.Sub(start)
	return o
}

// lost is the outcome where no reply came.
func (c *Conn) lost(ctx context.Context, p outcome.Phase, err error, start time.Time) outcome.Outcome {
	o := c.said(p, mail.Reply{}, start)
	o.Err, o.ErrTemporary = trouble(ctx, err), true
	return o
}

// trouble says in words what went wrong with a connection, without the addresses, which stand elsewhere in the outcome.
func trouble(ctx context.Context, err error) string {
	var errno syscall.Errno
	var ne net.Error
	var cert x509.HostnameError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "cancelled"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "connection closed by the server"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "i/o timeout"
	case errors.As(err, &cert):
		return "certificate is for " + strings.Join(cert.Certificate.DNSNames, ", ") + ", not for " + cert.Host
	}
	return err.Error()
}
