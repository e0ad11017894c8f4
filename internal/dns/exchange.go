package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// udpSize is what we say we take over UDP (RFC 6891, section 6.2.3): small enough never to be fragmented on the way,
	// since lost fragments look like a dead server and forged ones like an answer.
	udpSize = 1232
	// rounds is how often all servers are asked before we give up.
	rounds = 3
	// rest is how long a server that did not answer is asked last.
	rest = 30 * time.Second
)

// server is one name server. A dead one costs a timeout only now and then: "how slow" and "is it dead" are two questions.
type server struct {
	addr  string
	until atomic.Int64 // Unix nanoseconds: asked last before this time
}

// trouble is why a server gave no usable answer.
type trouble struct {
	reason string
	silent bool // it may be dead, or the datagram was lost: worth another round
}

func (t *trouble) Error() string { return t.reason }

// exchange asks the servers one question until one of them knows: a response with NOERROR or NXDOMAIN that answers what was
// asked. Otherwise it returns nil and the last trouble's reason.
func (c *Client) exchange(ctx context.Context, q question) (m *mdns.Msg, reason string) {
	reason = "timeout"
	for range rounds {
		again := false
		for _, s := range c.order(time.Now()) {
			if ctx.Err() != nil {
				return nil, reason
			}
			m, t := c.ask(ctx, s, q)
			if t == nil {
				s.until.Store(0)
				return m, ""
			}
			reason = t.reason
			if t.silent {
				again = true
				s.until.Store(time.Now().Add(rest).UnixNano())
			}
		}
		if !again { // all of them answered, and will not have changed their mind
			break
		}
	}
	return nil, reason
}

// order returns the servers, those that did not answer of late behind the others.
func (c *Client) order(now time.Time) []*server {
	list := make([]*server, 0, len(c.servers))
	for _, resting := range []bool{false, true} {
		for _, s := range c.servers {
			if (now.UnixNano() < s.until.Load()) == resting {
				list = append(list, s)
			}
		}
	}
	return list
}

// ask asks one server.
func (c *Client) ask(ctx context.Context, s *server, q question) (*mdns.Msg, *trouble) {
	query := new(mdns.Msg)
	query.SetQuestion(mdns.Fqdn(q.name), q.qtype) // draws a random ID
	query.SetEdns0(udpSize, false)
	m, err := c.transfer(ctx, s, query)
	if err == nil && (m.Rcode == mdns.RcodeFormatError || m.Rcode == mdns.RcodeNotImplemented || m.Rcode == mdns.RcodeBadVers) {
		query.Extra = nil // a server from before EDNS(0): ask again without (RFC 6891, section 7)
		query.Id = mdns.Id()
		m, err = c.transfer(ctx, s, query)
	}
	if err != nil {
		return nil, &trouble{reason: networkReason(err), silent: true}
	}
	return m, judge(m)
}

// transfer sends a query over UDP and, when the answer did not fit, over TCP (RFC 7766, section 5).
func (c *Client) transfer(ctx context.Context, s *server, query *mdns.Msg) (*mdns.Msg, error) {
	m, err := c.within(ctx, "udp", s.addr, query)
	if err == nil && m.Truncated {
		m, err = c.within(ctx, "tcp", s.addr, query)
		if err == nil && m.Truncated {
			err = errTruncated
		}
	}
	return m, err
}

// within gives one try its time.
func (c *Client) within(ctx context.Context, network, addr string, query *mdns.Msg) (*mdns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	return c.trip(ctx, network, addr, query)
}

var (
	errTruncated = errors.New("truncated answer")
	errForeign   = errors.New("answer to another question")
)

// judge tells whether a response is one to believe.
func judge(m *mdns.Msg) *trouble {
	switch m.Rcode {
	case mdns.RcodeSuccess, mdns.RcodeNameError:
		// A server that neither knows nor looks it up points elsewhere: it is lame for this name, and its empty answer means
		// nothing.
		if !m.RecursionAvailable && !m.Authoritative && len(m.Answer) == 0 && soa(m) == nil {
			return &trouble{reason: "lame server"}
		}
		return nil
	case mdns.RcodeServerFailure:
		return &trouble{reason: "server failure"}
	case mdns.RcodeRefused:
		return &trouble{reason: "refused"}
	}
	return &trouble{reason: "server says " + strings.ToLower(mdns.RcodeToString[m.Rcode])}
}

func networkReason(err error) string {
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "timeout"
	case errors.Is(err, errTruncated), errors.Is(err, errForeign):
		return err.Error()
	}
	return "no name server can be reached"
}

// trip sends one query over a fresh socket, so that the port is as random as the ID (RFC 5452, section 9.2), and waits for
// the response to it until ctx ends.
func trip(ctx context.Context, network, addr string, query *mdns.Msg) (*mdns.Msg, error) {
	packed, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack question: %w", err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		return stream(conn, packed, query)
	}
	return datagram(conn, packed, query)
}

// datagram waits for the datagram that answers, and lets pass those that do not: they are late, broken or forged, and must
// not keep the true answer out (RFC 5452, section 9.1).
func datagram(conn net.Conn, packed []byte, query *mdns.Msg) (*mdns.Msg, error) {
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096) // more than we asked for: some servers do not care
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		m := new(mdns.Msg)
		if err := m.Unpack(buf[:n]); (err == nil || m.Truncated) && answers(m, query) {
			return m, nil
		}
	}
}

// stream asks over TCP, where each message has its length in front (RFC 1035, section 4.2.2).
func stream(conn net.Conn, packed []byte, query *mdns.Msg) (*mdns.Msg, error) {
	out := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packed)), uint16(len(packed)))
	if _, err := conn.Write(append(out, packed...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	m := new(mdns.Msg)
	if err := m.Unpack(buf); err != nil {
		return nil, err
	}
	if !answers(m, query) {
		return nil, errForeign
	}
	return m, nil
}

// answers tells whether a message is the response to a query: same ID, same question (RFC 5452, section 9.1). A server that
// could not read the question does not repeat it.
func answers(m, query *mdns.Msg) bool {
	if m.Id != query.Id || !m.Response || m.Opcode != mdns.OpcodeQuery {
		return false
	}
	if len(m.Question) == 0 {
		return m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError
	}
	got, want := m.Question[0], query.Question[0]
	return len(m.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}
