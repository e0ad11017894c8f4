package smtpserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	inputSize = 32 << 10
	// maxLine is the longest command line that is looked at: an AUTH response (RFC 4954, section 4). Each command has its own,
	// smaller limit.
	maxLine = 12288
	// maxSkipped is how much of an endless line is read before the session ends.
	maxSkipped = 256 << 10
	// maxPending is how many octets of replies wait for the input to run dry.
	maxPending = 16 << 10
)

// errEndless is returned for a line that does not end.
var errEndless = errors.New("line without end")

// past is a deadline that is over.
var past = time.Unix(1, 0)

// wire is a connection with its two buffers. Replies gather in out and leave in one write when the input has run dry.
type wire struct {
	raw  net.Conn // what was accepted
	conn net.Conn // what is spoken over: raw, or TLS on it
	// in[r:w] has been read and not used.
	in   []byte
	r, w int
	out  []byte
	// bare tells that the last line ended in a bare LF.
	bare         bool
	writeTimeout time.Duration
	writeBy      time.Time // the write deadline in force
	dead         error     // why nothing can be written any more

	mu     sync.Mutex
	readBy time.Time // guarded by mu: the read deadline in force
	idle   bool      // guarded by mu: waiting for a command outside of a transaction
}

// buffers are the big parts of a wire, kept for the next connection.
type buffers struct{ in, out []byte }

var bufferPool = sync.Pool{New: func() any { return &buffers{in: make([]byte, inputSize), out: make([]byte, 0, 1024)} }}

func newWire(conn net.Conn, writeTimeout time.Duration) (w *wire, release func()) {
	b := bufferPool.Get().(*buffers)
	w = &wire{raw: conn, conn: conn, in: b.in, out: b.out[:0], writeTimeout: writeTimeout}
	return w, func() {
		clear(w.in) // other people's mail and passwords
		if cap(w.out) <= 4*maxPending {
			b.out = w.out[:0]
		}
		bufferPool.Put(b)
	}
}

// readUntil sets the read deadline; a change of less than a second is not worth telling the kernel's timer.
func (w *wire) readUntil(t time.Time, idle bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = idle
	if d := t.Sub(w.readBy); d < time.Second && d > -time.Second {
		return
	}
	w.readBy = t
	w.conn.SetReadDeadline(t) // a dead connection shows at the read
}

// wake ends the wait of a session that has nothing under way.
func (w *wire) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle {
		w.readBy = past
		w.conn.SetReadDeadline(past) // a dead connection shows at the read
	}
}

// fill sends what is pending and reads more input.
func (w *wire) fill() error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.r == w.w {
		w.r, w.w = 0, 0
	}
	if w.w == len(w.in) {
		w.w = copy(w.in, w.in[w.r:w.w])
		w.r = 0
	}
	for {
		n, err := w.conn.Read(w.in[w.w:])
		w.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *wire) flush() error {
	if len(w.out) == 0 || w.dead != nil {
		return w.dead
	}
	if now := time.Now(); now.Add(w.writeTimeout / 2).After(w.writeBy) {
		w.writeBy = now.Add(w.writeTimeout)
		if err := w.conn.SetWriteDeadline(w.writeBy); err != nil {
			return err
		}
	}
	_, w.dead = w.conn.Write(w.out)
	w.out = w.out[:0]
	return w.dead
}

// isTimeout tells whether a read or write ended by its deadline.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// pending tells whether input was read that nobody has used yet.
func (w *wire) pending() bool { return w.r < w.w }

// fault is what is wrong with a line.
type fault uint8

const (
	noFault  fault = iota
	bareEnd        // it holds a bare CR or LF
	overlong       // longer than maxLine
)

// line returns the next command line without its CRLF, or what is wrong with it; it is valid until the next call. wait is
// called before each read.
//
// A bare LF ends the line too, so that a person with a simple tool gets an answer, but neither that line nor what comes behind
// it up to the next CRLF is ever carried out.
func (w *wire) line(wait func() error) ([]byte, fault, error) {
	searched, skipped := 0, 0
	for {
		if i := bytes.IndexByte(w.in[w.r+searched:w.w], '\n'); i >= 0 {
			line := w.in[w.r : w.r+searched+i]
			w.r += searched + i + 1
			return w.judge(line, skipped > 0)
		}
		searched = w.w - w.r
		if searched > maxLine {
			skipped += searched
			w.in[0] = w.in[w.w-1] // it may be the CR of the line end
			w.r, w.w, searched = 0, 1, 1
		}
		if skipped > maxSkipped {
			return nil, overlong, errEndless
		}
		if err := wait(); err != nil {
			return nil, noFault, err
		}
		if err := w.fill(); err != nil {
			return nil, noFault, err
		}
	}
}

// judge looks at a line that was ended by LF.
func (w *wire) judge(line []byte, skipped bool) ([]byte, fault, error) {
	behindBare := w.bare
	w.bare = len(line) == 0 || line[len(line)-1] != '\r'
	if w.bare || behindBare {
		return nil, bareEnd, nil
	}
	line = line[:len(line)-1]
	switch {
	case bytes.IndexByte(line, '\r') >= 0:
		return nil, bareEnd, nil
	case skipped || len(line)+2 > maxLine:
		return nil, overlong, nil
	}
	return line, noFault, nil
}

// startTLS puts TLS on the connection. What the client sent behind its STARTTLS is thrown away: it came in the clear, from
// anybody (RFC 3207, section 6).
func (w *wire) startTLS(conf *tls.Config, by time.Time) (*tls.ConnectionState, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.r, w.w = 0, 0
	conn := tls.Server(w.raw, conf)
	w.mu.Lock()
	w.conn, w.idle, w.readBy, w.writeBy = conn, false, by, by
	w.mu.Unlock()
	if err := w.raw.SetDeadline(by); err != nil {
		return nil, err
	}
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	w.writeBy = time.Time{} // the next flush sets its own
	state := conn.ConnectionState()
	return &state, nil
}

// hangUp sends what is pending and closes. With linger it goes on reading for a moment: closing a connection with unread input
// makes the kernel send a reset, which can overtake our last reply.
func (w *wire) hangUp(linger bool) {
	defer w.conn.Close() // nothing left to do for it
	if w.flush() != nil || !linger {
		return
	}
	half, ok := w.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if w.raw != w.conn {
		if tcp, ok := w.raw.(interface{ CloseWrite() error }); ok && tcp.CloseWrite() != nil {
			return
		}
	}
	w.readUntil(time.Now().Add(2*time.Second), false)
	// A slow or broken client costs 2 s and 1 MiB here; what it sends is not looked at.
	io.CopyN(io.Discard, w.raw, 1<<20) //nolint:errcheck // see above
}
