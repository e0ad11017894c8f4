package qmail

import (
	"fmt"
	"io"
	"math"
	"os"
)

// message is what is to be delivered, in a file that can be read from its beginning as often as need be.
type message struct {
	f     *os.File
	start int64 // where it begins: descriptor 0 is handed over as it is
	own   bool  // f is a copy of ours
}

// openMessage takes the message that comes on descriptor 0. qmail-rspawn opens the queue's file there; a script that signs mail on
// its way may have made a pipe of it, which is read into a file without a name.
func openMessage(in *os.File) (*message, error) {
	if st, err := in.Stat(); err == nil && st.Mode().IsRegular() {
		if start, err := in.Seek(0, io.SeekCurrent); err == nil {
			return &message{f: in, start: start}, nil
		}
	}
	f, err := os.CreateTemp("", "ukai-qmail-*")
	if err != nil {
		return nil, fmt.Errorf("keep the message: %w", err)
	}
	_ = os.Remove(f.Name()) // what a killed process leaves behind takes no room
	if _, err := io.Copy(f, in); err != nil {
		f.Close()
		return nil, fmt.Errorf("keep the message: %w", err)
	}
	return &message{f: f, own: true}, nil
}

func (m *message) close() {
	if m.own {
		m.f.Close()
	}
}

// rewind makes the next reader of the descriptor, who is another process, begin where the message does.
func (m *message) rewind() error {
	_, err := m.f.Seek(m.start, io.SeekStart)
	return err
}

// content reads the message with CRLF line ends, without moving the descriptor's place.
func (m *message) content() io.Reader {
	return &crlfReader{src: io.NewSectionReader(m.f, m.start, math.MaxInt64-m.start)}
}

// measure returns the size of content, and whether octets above 127 are in it.
func (m *message) measure() (size int64, eightBit bool, err error) {
	buf := make([]byte, 32<<10)
	for r := m.content(); ; {
		n, err := r.Read(buf)
		size += int64(n)
		for _, c := range buf[:n] {
			eightBit = eightBit || c > 127
		}
		if err == io.EOF {
			return size, eightBit, nil
		}
		if err != nil {
			return 0, false, fmt.Errorf("read the message: %w", err)
		}
	}
}

// crlfReader makes CRLF of the line ends of a file. qmail-remote puts a CR before each LF and leaves others alone, so that a file
// with CRLF goes out with CR CR LF, which no server should take (RFC 5321, section 2.3.8). Here any CRs before an LF are part of
// the line end, a CR that stands alone is one, and the last line has one.
type crlfReader struct {
	src  io.Reader
	in   [8 << 10]byte
	out  []byte // what is ready to be read
	cr   bool   // CRs have come, and it is open what follows
	line bool   // in the midst of a line
	err  error
}

// Read implements io.Reader.
func (r *crlfReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(r.in[:])
		r.turn(r.in[:n])
		if r.err = err; err == io.EOF && (r.cr || r.line) {
			r.end()
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *crlfReader) turn(in []byte) {
	r.out = make([]byte, 0, len(in)+len(in)/16+4)
	for _, c := range in {
		switch {
		case c == '\r':
			r.cr = true
			continue
		case c == '\n':
			r.end()
			continue
		case r.cr:
			r.end()
		}
		r.out = append(r.out, c)
		r.line = true
	}
}

func (r *crlfReader) end() {
	r.out = append(r.out, '\r', '\n')
	r.cr, r.line = false, false
}
