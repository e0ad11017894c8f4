package peersim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	idleTime    = 5 * time.Minute // RFC 5321, section 4.5.3.2.7
	lineBuffer  = 16 << 10
	maxCommand  = 4096 // generous: RFC 5321, section 4.5.3.1.4 with the extensions' room
	maxTextLine = 1000 // RFC 5321, section 4.5.3.1.6, CRLF included
)

// errEnd ends a session without more words.
var errEnd = errors.New("session over")

// session is one connection.
type session struct {
	p       *provider
	conn    net.Conn
	br      *bufio.Reader
	bw      *bufio.Writer
	host    string // the MX host that is called
	source  netip.Addr
	shown   netip.Addr
	helo    string
	secure  bool
	account string
	shut    bool // refused at the greeting: only QUIT helps (RFC 5321, section 3.1)

	tx      transaction
	content content
}

// transaction is one MAIL and what follows.
type transaction struct {
	open     bool
	from     string
	id       string // from the reverse-path
	mailArgs string
	eight    bool
	utf8     bool
	rcpts    []rcpt
	bdat     bool // a BDAT has come
}

type rcpt struct{ addr, args string }

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, lineBuffer) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4096) }}
)

func newSession(p *provider, conn net.Conn, host string) *session {
	s := &session{p: p, conn: conn, host: host, br: readers.Get().(*bufio.Reader), bw: writers.Get().(*bufio.Writer)}
	s.br.Reset(conn)
	s.bw.Reset(conn)
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		s.source = a.Addr().Unmap()
	}
	s.shown = s.source
	if a, ok := p.w.opts.Shown[s.source]; ok {
		s.shown = a
	}
	return s
}

// release gives the buffers back.
func (s *session) release() {
	s.br.Reset(nil)
	s.bw.Reset(nil)
	readers.Put(s.br)
	writers.Put(s.bw)
}

func (s *session) run() {
	if s.greet() != nil {
		_ = s.flush() // the last words; whether they are heard does not matter any more
		return
	}
	for {
		line, err := s.readLine()
		if err != nil {
			return
		}
		if err := s.command(line); err != nil {
			_ = s.flush()
			return
		}
	}
}

func (s *session) greet() error {
	w := s.p.w
	w.ledger.connect(&entry{now: time.Now(), provider: s.p.conf.Name, source: s.source, phase: Greeting})
	refused, err := s.judge(Greeting)
	if err != nil {
		return err
	}
	if refused {
		s.shut = true
		return nil
	}
	s.say("220 " + s.host + " ESMTP peersim")
	return nil
}

// readLine reads a command. Replies go out together when nothing more has come in (RFC 2920, section 3.2).
func (s *session) readLine() ([]byte, error) {
	if b, _ := s.br.Peek(s.br.Buffered()); bytes.IndexByte(b, '\n') < 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
		s.conn.SetReadDeadline(time.Now().Add(idleTime))
	}
	line, err := s.br.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			s.complain("a command line above %d octets", lineBuffer)
		}
		return nil, err
	}
	if len(line) > maxCommand {
		s.complain("a command line of %d octets", len(line))
	}
	if !bytes.HasSuffix(line, []byte("\r\n")) {
		s.complain("a command that ends with a bare LF: %q", line)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (s *session) flush() error {
	if s.bw.Buffered() == 0 {
		return nil
	}
	s.conn.SetWriteDeadline(time.Now().Add(idleTime))
	return s.bw.Flush()
}

// say writes one line of reply; a failure shows at the next flush.
func (s *session) say(line string) {
	_, _ = s.bw.WriteString(line)
	_, _ = s.bw.WriteString("\r\n")
}

func (s *session) complain(format string, args ...any) {
	s.p.w.ledger.complain(s.p.conf.Name+" about "+s.source.String()+": "+format, args...)
}

// startTLS changes to TLS (RFC 3207).
func (s *session) startTLS() error {
	if s.br.Buffered() > 0 { // RFC 3207, section 4.2: nothing learned before TLS counts, pipelined commands least of all
		s.complain("commands behind STARTTLS")
		return errEnd
	}
	s.say("220 2.0.0 Ready to start TLS")
	if err := s.flush(); err != nil {
		return err
	}
	conn := tls.Server(s.conn, s.p.w.tls.conf)
	s.conn.SetDeadline(time.Now().Add(idleTime))
	if err := conn.Handshake(); err != nil {
		return err
	}
	s.conn.SetDeadline(time.Time{})
	s.conn, s.secure, s.helo, s.account = conn, true, "", ""
	s.br.Reset(conn)
	s.bw.Reset(conn)
	s.reset()
	return nil
}

func (s *session) reset() {
	s.tx = transaction{rcpts: s.tx.rcpts[:0]}
}
