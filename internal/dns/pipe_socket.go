package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// call is one question under way. Its socket's mutex guards it until done is told.
type call struct {
	id    uint16
	query []byte
	asked time.Time // for the timeout
	next  time.Time // when it is sent again
	tries int
	done  chan struct{} // gets one token when reply or err is set
	reply Reply
	err   error
}

var callPool = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1), query: make([]byte, 0, 300)} }}

// pipeSocket is one port of a Pipe.
type pipeSocket struct {
	pipe *Pipe
	conn net.Conn

	mu    sync.Mutex // guards calls and closed
	calls map[uint16]*call
	ended error // the socket is of no use any more
}

var errCrowded = errors.New("too many questions at a time")

// maxCalls is how many questions may be under way on one port: with more of them a reply would be easy to forge, and a
// server's buffer would overflow anyway.
const maxCalls = 4096

func (s *pipeSocket) start(c *call, name string, qtype uint16) error {
	now := time.Now()
	c.asked, c.next, c.tries, c.reply, c.err = now, now.Add(s.pipe.wait(1)), 1, Reply{}, nil
	query, err := appendQuestion(c.query[:0], 0, name, qtype)
	if err != nil {
		return err
	}
	c.query = query
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()
		return s.ended
	}
	if len(s.calls) >= maxCalls {
		s.mu.Unlock()
		return errCrowded
	}
	first := len(s.calls) == 0
	for {
		c.id = uint16(rand.Uint32())
		if s.calls[c.id] == nil {
			break
		}
	}
	binary.BigEndian.PutUint16(c.query, c.id)
	s.calls[c.id] = c
	s.mu.Unlock()
	if first {
		select {
		case s.pipe.wake <- struct{}{}:
		default:
		}
	}
	s.pipe.sent.Add(1)
	s.send(c.query)
	return nil
}

// send sends a datagram. That nobody listened to the one before (ICMP) is told to whoever uses the socket next, reader or
// writer; any other failure is a datagram that was lost, which the repetition deals with.
func (s *pipeSocket) send(query []byte) {
	if _, err := s.conn.Write(query); errors.Is(err, syscall.ECONNREFUSED) {
		s.fail(err, false)
	}
}

// forget gives a question up. When its reply came in the meantime, the token is taken away.
func (s *pipeSocket) forget(c *call) {
	s.mu.Lock()
	under := s.calls[c.id] == c
	if under {
		delete(s.calls, c.id)
	}
	s.mu.Unlock()
	if !under {
		<-c.done
	}
}

func (s *pipeSocket) look(now time.Time) (busy bool) {
	var again [][]byte
	s.mu.Lock()
	for id, c := range s.calls {
		if now.Before(c.next) {
			continue
		}
		if c.tries >= s.pipe.opts.Tries || now.Sub(c.asked) > s.pipe.opts.Timeout {
			delete(s.calls, id)
			c.err = context.DeadlineExceeded
			c.done <- struct{}{}
			continue
		}
		c.tries++
		c.next = now.Add(s.pipe.wait(c.tries))
		again = append(again, slices.Clone(c.query))
	}
	busy = len(s.calls) > 0
	s.mu.Unlock()
	for _, q := range again {
		s.pipe.sent.Add(1)
		s.pipe.again.Add(1)
		s.send(q)
	}
	return busy
}

// read hands replies to their questions until the socket is closed.
func (s *pipeSocket) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if errors.Is(err, syscall.ECONNREFUSED) {
			s.fail(err, false) // nothing listens there (ICMP): the next question may find somebody
			continue
		}
		if err != nil {
			s.fail(err, true)
			return
		}
		s.take(buf[:n])
	}
}

func (s *pipeSocket) take(msg []byte) {
	if len(msg) < headerSize {
		return
	}
	id := binary.BigEndian.Uint16(msg)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[id]
	if c == nil || !sameQuestion(msg, c.query) {
		return // late, or forged: the true reply may still come (RFC 5452, section 9.1)
	}
	r, err := parseReply(msg)
	if err != nil {
		return
	}
	delete(s.calls, id)
	if c.tries == 1 {
		s.pipe.measured(time.Since(c.asked))
	}
	c.reply = r
	c.done <- struct{}{}
}

func (s *pipeSocket) fail(err error, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended {
		s.ended = err
	}
	for id, c := range s.calls {
		delete(s.calls, id)
		c.err = err
		c.done <- struct{}{}
	}
}
