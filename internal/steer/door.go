package steer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// DoorOptions say what Door does. Zero values mean the defaults.
type DoorOptions struct {
	To string // where ukai takes mail, host:port
	// Greet is how long ukai has until the first octet of its greeting, the connecting included; default 2 s.
	Greet time.Duration
	// Idle is how long nothing may pass in either direction; default 1 min. It covers the end of DATA, where ukai writes the
	// message to disk: a server that is cut off there tries the message again, and may have it delivered twice (RFC 5321,
	// section 4.5.3.2.6), so this is more than ukai ever takes.
	Idle time.Duration
}

// Door passes one SMTP session on to ukai once ukai has begun to greet. Where it does not in time, the client is told so by a
// temporary reply in place of the greeting: it goes on to its next hop, or keeps the message. A session in which ukai hangs is
// ended. What is said is not looked at, so TLS passes through. The client's connection is closed at the end.
//
// A mail server could wait for ukai by itself, but the limits for that hold for all whom it sends to: a provider that greets
// after ten seconds on purpose would get no mail.
func Door(ctx context.Context, client io.ReadWriteCloser, o DoorOptions) {
	defer client.Close()
	o.Greet, o.Idle = or(o.Greet, 2*time.Second), or(o.Idle, time.Minute)
	ukai, greeting, err := o.enter(ctx)
	if err != nil {
		_, _ = io.WriteString(client, "421 4.3.2 ukai at "+o.To+" "+absence(err)+"\r\n") // RFC 3463, section 3.4
		return
	}
	defer ukai.Close()
	if _, err := client.Write(greeting); err != nil {
		return
	}
	pump(ctx, client, ukai, o.Idle)
}

// enter connects to ukai and returns the beginning of its greeting: that a connection is made says nothing of a process that
// is stopped, since the kernel makes it.
func (o *DoorOptions) enter(ctx context.Context) (ukai *net.TCPConn, greeting []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.Greet)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", o.To)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
	greeting = make([]byte, 1024)
	n, err := conn.Read(greeting)
	if !stop() {
		err = errSilent
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn.(*net.TCPConn), greeting[:n], nil
}

// errSilent is for a ukai that is connected and has said nothing.
var errSilent = errors.New("no greeting")

// absence says to whoever reads the mail server's log in what way ukai is not there.
func absence(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "hangs up"
	case errors.Is(err, errSilent):
		return "hangs: it does not greet"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "cannot be reached in time"
	}
	return "is not there"
}

// pump passes everything on, both ways. When the client has said all it has to say, ukai may still answer (RFC 9293, section
// 3.6: a half-closed connection); when ukai ends, or nothing passes for too long, the session is over.
func pump(ctx context.Context, client io.ReadWriteCloser, ukai *net.TCPConn, idle time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		client.Close()
		ukai.Close()
	})()
	timer := time.AfterFunc(idle, cancel)
	defer timer.Stop()
	passed := func() { timer.Reset(idle) }
	go func() { // it ends when Door closes the client's connection, at the latest with the process
		if pass(ukai, client, passed) != nil {
			cancel()
			return
		}
		_ = ukai.CloseWrite()
	}()
	_ = pass(client, ukai, passed)
}

// pass copies until the end of what is read, which is no error.
func pass(to io.Writer, from io.Reader, passed func()) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			passed()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
