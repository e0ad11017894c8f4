package smtpserver

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"ukai/internal/mail"
)

// Why a session ends, apart from troubles of the network.
var (
	errQuit     = errors.New("quit")
	errTold     = errors.New("told to go")                // the reply that says so is pending
	errDrain    = errors.New("going down")                // 421 4.3.2 is owed
	errTooLong  = errors.New("session too long")          // 421 4.4.2 is owed
	errTurned   = errors.New("turned away")               // before the greeting; the reply is pending
	errNoTalk   = errors.New("no SMTP was spoken")        // nothing is owed
	errNoHeader = errors.New("no PROXY header, or a bad") // nothing is owed
)

// session is one connection from accept to close. It belongs to one goroutine; only wire.wake is called from others.
type session struct {
	srv   *Server
	ln    *listener
	opts  *Options
	lo    *ListenerOptions
	wire  *wire
	pub   Session // what the Handler sees
	tx    transaction
	auth  authState
	log   *slog.Logger
	begun time.Time
	// admitted tells that a place among the clients has been taken.
	admitted bool
	errors   int // broken rules
	messages int // transactions that came to a content
}

// transaction is one message from MAIL to the reply after its content.
type transaction struct {
	env     *mail.Envelope // nil: none is under way
	tried   bool           // a RCPT has been seen, taken or not
	chunked bool           // BDAT has begun
	failed  bool           // BDAT has failed: nothing but RSET helps
	content scanner
}

func newSession(srv *Server, conn net.Conn, ln *listener, opts *Options) (s *session, release func()) {
	w, release := newWire(conn, opts.Timeouts.Write)
	s = &session{srv: srv, ln: ln, opts: opts, lo: ln.opts.Load(), wire: w, log: srv.log, begun: time.Now()}
	s.pub = Session{Listener: s.lo.Name, Client: addrPort(conn.RemoteAddr()), Local: addrPort(conn.LocalAddr())}
	return s, release
}

// addrPort returns the address of a TCP connection, the zero value for another kind.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func (s *session) run() {
	err := s.open()
	for err == nil {
		err = s.command()
	}
	s.tx.content.abort()
	linger := s.farewell(err)
	s.wire.hangUp(linger)
	if s.admitted {
		s.srv.clients.release(s.pub.Client.Addr())
	}
	if s.log.Enabled(s.srv.base, slog.LevelDebug) {
		s.log.Debug("session ended", "listener", s.pub.Listener, "client", s.pub.Client, "helo", s.pub.Helo, "account", s.pub.Account,
			"messages", s.messages, "errors", s.errors, "duration", time.Since(s.begun), "why", err.Error())
	}
}

// farewell puts the last reply in, where one is owed, and tells whether the client may still be talking.
func (s *session) farewell(err error) (linger bool) {
	switch {
	case errors.Is(err, errQuit), errors.Is(err, io.EOF), errors.Is(err, errNoTalk), errors.Is(err, errNoHeader):
		return false
	case errors.Is(err, errTold):
		return true
	case errors.Is(err, errTurned):
		s.srv.counters.Turned.Add(1)
		return true
	case errors.Is(err, errEndless):
		s.say(replyLineLong)
		s.say(replyTooMuch)
		return true
	case errors.Is(err, errDrain):
		s.say(replyDrain)
		return false
	case errors.Is(err, errTooLong):
		s.srv.counters.Timeouts.Add(1)
		s.say(replySessionLong)
	case isTimeout(err):
		s.srv.counters.Timeouts.Add(1)
		s.say(replyTimeout)
	}
	return false
}

// command reads one command and carries it out. An error ends the session.
func (s *session) command() error {
	if s.tx.env == nil && s.srv.stopping() {
		return errDrain
	}
	if len(s.wire.out) > maxPending {
		if err := s.wire.flush(); err != nil {
			return err
		}
	}
	line, wrong, err := s.readLine()
	switch {
	case err != nil:
		return err
	case wrong == overlong:
		return s.mistake(replyLineLong)
	case wrong == bareEnd:
		s.srv.counters.BareLineEnds.Add(1)
		return s.mistake(replyBareLine)
	}
	return s.dispatch(line)
}

// readLine waits for a line. Its time runs from the first wait: a client that sends an octet now and then gains nothing.
func (s *session) readLine() ([]byte, fault, error) {
	var by time.Time
	line, wrong, err := s.wire.line(func() error {
		if by.IsZero() {
			by = time.Now().Add(s.opts.Timeouts.Command)
		}
		return s.await(by)
	})
	if isTimeout(err) && s.tx.env == nil && s.srv.stopping() {
		err = errDrain // it was woken
	}
	if isTimeout(err) && !time.Now().Before(s.end()) {
		err = errTooLong
	}
	return line, wrong, err
}

func (s *session) end() time.Time { return s.begun.Add(s.opts.Timeouts.Session) }

// await prepares for a read that may take until by. The order matters: first idle is declared, then the drain is looked at, so
// that a drain that begins in between wakes the read.
func (s *session) await(by time.Time) error {
	if end := s.end(); end.Before(by) {
		by = end
	}
	idle := s.tx.env == nil
	s.wire.readUntil(by, idle)
	if idle && s.srv.stopping() {
		return errDrain
	}
	return nil
}

// say puts a reply in; it leaves with the others when the input has run dry.
func (s *session) say(reply string) { s.wire.out = append(s.wire.out, reply...) }

// tell puts in a reply of the Handler; 421 ends the session.
func (s *session) tell(r *mail.Reply) error {
	s.wire.out = appendReply(s.wire.out, r)
	if r.Code == 421 {
		return errTold
	}
	return nil
}

// mistake answers a broken rule, and ends the session when there have been too many.
func (s *session) mistake(reply string) error {
	s.srv.counters.ProtocolErrors.Add(1)
	s.say(reply)
	if s.errors++; s.errors >= s.opts.MaxErrors {
		return s.dismiss(replyTooManyErrors)
	}
	return nil
}

// dismiss ends the session with a last reply.
func (s *session) dismiss(reply string) error {
	s.say(reply)
	return errTold
}

// reset forgets the transaction.
func (s *session) reset() {
	s.tx.content.abort()
	s.tx = transaction{}
}
