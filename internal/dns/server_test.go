package dns

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// nameServer is a name server on loopback that answers from records and rules.
type nameServer struct {
	records []mdns.RR
	// rules answer for a name (or for "name TYPE") instead of the records.
	rules map[string]func(w mdns.ResponseWriter, r *mdns.Msg)

	mu    sync.Mutex
	asked []string // "udp example.org. MX", in order
}

// start serves UDP and TCP on one port of loopback until the test ends, and returns the address.
func (s *nameServer) start(t *testing.T) string {
	t.Helper()
	for range 20 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil { // the port is taken in TCP
			_ = udp.Close()
			continue
		}
		for _, srv := range []*mdns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
			ready := make(chan struct{})
			srv.NotifyStartedFunc = func() { close(ready) }
			done := make(chan struct{})
			go func() { defer close(done); _ = srv.ActivateAndServe() }()
			<-ready
			t.Cleanup(func() { _ = srv.Shutdown(); <-done })
		}
		return udp.LocalAddr().String()
	}
	t.Fatal("no port is free in UDP and TCP")
	return ""
}

func (s *nameServer) ServeDNS(w mdns.ResponseWriter, r *mdns.Msg) {
	q := r.Question[0]
	s.mu.Lock()
	s.asked = append(s.asked, w.LocalAddr().Network()+" "+q.Name+" "+mdns.TypeToString[q.Qtype])
	s.mu.Unlock()
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	rule, ok := s.rules[name+" "+mdns.TypeToString[q.Qtype]]
	if !ok {
		rule, ok = s.rules[name]
	}
	if ok {
		rule(w, r)
		return
	}
	_ = w.WriteMsg(s.answer(r))
}

// answer does what a recursive server does: it follows CNAMEs among its records, and gives an SOA with a "no".
func (s *nameServer) answer(r *mdns.Msg) *mdns.Msg {
	m := new(mdns.Msg).SetReply(r)
	m.RecursionAvailable = true
	name, exists := r.Question[0].Name, false
	for range 20 {
		alias := ""
		exists = false
		for _, rr := range s.records {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			exists = true
			if c, ok := rr.(*mdns.CNAME); ok {
				alias = c.Target
			}
			if rr.Header().Rrtype == r.Question[0].Qtype || alias != "" {
				m.Answer = append(m.Answer, rr)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if n := len(m.Answer); n == 0 || m.Answer[n-1].Header().Rrtype == mdns.TypeCNAME {
		m.Ns = []mdns.RR{rr("zone. 60 SOA ns.zone. root.zone. 1 1 1 1 30")}
		if !exists {
			m.Rcode = mdns.RcodeNameError
		}
	}
	return m
}

// queries returns what was asked so far.
func (s *nameServer) queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func rr(line string) mdns.RR {
	r, err := mdns.NewRR(line)
	if err != nil {
		panic("bug: " + line + ": " + err.Error())
	}
	return r
}

func zone(lines string) []mdns.RR {
	var rrs []mdns.RR
	for l := range strings.Lines(lines) {
		if l = strings.TrimSpace(l); l != "" {
			rrs = append(rrs, rr(l))
		}
	}
	return rrs
}

// Rules for a nameServer.

func rcode(code int) func(mdns.ResponseWriter, *mdns.Msg) {
	return func(w mdns.ResponseWriter, r *mdns.Msg) { _ = w.WriteMsg(new(mdns.Msg).SetRcode(r, code)) }
}

func silence(mdns.ResponseWriter, *mdns.Msg) {}

// reply answers with these records and nothing else, recursive or not.
func reply(recursive bool, lines string) func(mdns.ResponseWriter, *mdns.Msg) {
	return func(w mdns.ResponseWriter, r *mdns.Msg) {
		m := new(mdns.Msg).SetReply(r)
		m.RecursionAvailable = recursive
		m.Answer = zone(lines)
		_ = w.WriteMsg(m)
	}
}

func newClient(t *testing.T, opts Options) *Client {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = 300 * time.Millisecond
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
