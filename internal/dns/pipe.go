package dns

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// PipeOptions tune a Pipe. Zero values mean the defaults.
type PipeOptions struct {
	// Server is whom to ask: "192.0.2.1" or "192.0.2.1:53". Empty: the first of /etc/resolv.conf.
	Server string
	// Sockets is how many ports are used; each question goes out by a random one (RFC 5452, section 9.2). Default 4.
	Sockets int
	// Timeout is how long one question may take, with all its repetitions. Default 5 s.
	Timeout time.Duration
	// Tries is how often a question is sent at most. Default 8.
	Tries int
}

// Pipe asks one server many questions at a time and returns what it said, whatever that is: it is for those who judge the
// server itself, as the reader of a blocklist must. It keeps no answers.
//
// A question without a reply is sent again, first after about the time that replies take on this way and then ever later
// (RFC 6298 applied to questions), so that a lost datagram costs little on a fast way and a slow one is not flooded.
type Pipe struct {
	opts    PipeOptions
	server  string
	sockets []*pipeSocket
	stop    chan struct{}
	wake    chan struct{} // holds one token: there are questions under way
	wg      sync.WaitGroup

	srtt, rttvar atomic.Int64 // nanoseconds; 0: nothing measured
	sent, again  atomic.Int64
}

// NewPipe opens the sockets. The caller closes the Pipe.
func NewPipe(opts PipeOptions) (*Pipe, error) {
	if opts.Sockets <= 0 {
		opts.Sockets = 4
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Tries <= 0 {
		opts.Tries = 8
	}
	var given []string
	if opts.Server != "" {
		given = []string{opts.Server}
	}
	servers, err := Options{Servers: given}.servers()
	if err != nil {
		return nil, err
	}
	p := &Pipe{opts: opts, server: servers[0].addr, stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	for range opts.Sockets {
		conn, err := net.Dial("udp", p.server)
		if err != nil {
			p.Close()
			return nil, err
		}
		s := &pipeSocket{pipe: p, conn: conn, calls: make(map[uint16]*call)}
		p.sockets = append(p.sockets, s)
		p.wg.Go(s.read)
	}
	p.wg.Go(p.repeat)
	return p, nil
}

// Server returns whom the Pipe asks, with port.
func (p *Pipe) Server() string { return p.server }

// Sent returns how many datagrams were sent, and how many of them repeated a question.
func (p *Pipe) Sent() (all, again int64) { return p.sent.Load(), p.again.Load() }

// Close ends the questions under way, which fail, and waits for everything that runs.
func (p *Pipe) Close() {
	select {
	case <-p.stop:
		return
	default:
		close(p.stop)
	}
	for _, s := range p.sockets {
		_ = s.conn.Close()
	}
	p.wg.Wait()
}

// Ask asks for the records of one type. It fails with a temporary *Error when no reply came: "timeout", or "no name server
// can be reached" when nothing listens there. It is safe for concurrent use.
func (p *Pipe) Ask(ctx context.Context, name string, qtype uint16) (Reply, error) {
	c := callPool.Get().(*call) //nolint:forcetypeassert // the pool makes nothing else
	defer callPool.Put(c)
	s := p.sockets[rand.IntN(len(p.sockets))]
	if err := s.start(c, name, qtype); err != nil {
		return Reply{}, TemporaryError("ask", name, err.Error())
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		s.forget(c)
		return Reply{}, TemporaryError("ask", name, "timeout")
	}
	if c.err != nil {
		return Reply{}, TemporaryError("ask", name, networkReason(c.err))
	}
	if c.reply.Truncated {
		c.reply = p.whole(ctx, c)
	}
	return c.reply, nil
}

// whole gets over TCP what did not fit into a datagram (RFC 7766, section 5). Some servers of blocklists answer over UDP only:
// then the part that came has to do.
func (p *Pipe) whole(ctx context.Context, c *call) Reply {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.server)
	if err != nil {
		return c.reply
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(c.query))), c.query...)); err != nil {
		return c.reply
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return c.reply
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil || !sameQuestion(msg, c.query) {
		return c.reply
	}
	r, err := parseReply(msg)
	if err != nil {
		return c.reply
	}
	return r
}

// repeat sends again what has had no reply. It rests while nothing is under way.
func (p *Pipe) repeat() {
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		tick.Stop()
		select {
		case <-p.wake:
		case <-p.stop:
			return
		}
		tick.Reset(step)
		for busy := true; busy; {
			select {
			case now := <-tick.C:
				busy = p.look(now)
			case <-p.stop:
				return
			}
		}
	}
}

func (p *Pipe) look(now time.Time) (busy bool) {
	for _, s := range p.sockets {
		busy = s.look(now) || busy
	}
	return busy
}

// wait is how long to wait for a reply before a question is sent again (RFC 6298, section 2, with bounds for questions).
func (p *Pipe) wait(tries int) time.Duration {
	const first, least, most = 500 * time.Millisecond, 40 * time.Millisecond, time.Second
	d := first
	if srtt := p.srtt.Load(); srtt > 0 {
		d = max(time.Duration(srtt+4*p.rttvar.Load()), least)
	}
	return min(d<<min(tries-1, 6), most)
}

// measured takes the time of a question that was sent once (RFC 6298, section 3: others would mislead).
func (p *Pipe) measured(d time.Duration) {
	srtt, v := p.srtt.Load(), p.rttvar.Load()
	if srtt == 0 {
		p.srtt.Store(max(1, int64(d)))
		p.rttvar.Store(int64(d) / 2)
		return
	}
	diff := srtt - int64(d)
	p.rttvar.Store(v + (max(diff, -diff)-v)/4)
	p.srtt.Store(max(1, srtt-diff/8))
}
