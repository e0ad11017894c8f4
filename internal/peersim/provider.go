package peersim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/mail"
)

// Provider describes one receiver of mail.
type Provider struct {
	Name string
	// Groups are the domains it receives for, by MX hosts.
	Groups []Group
	// Listen are its addresses; MX hosts are spread over them in turn. Empty: one address of its own in 127.25.0.0/16.
	Listen []netip.Addr
	Rules  []Rule
	// Relay takes mail for any domain: a smarthost.
	Relay bool
	TLS   bool // STARTTLS is offered, with a certificate of World.Roots
	// Login, if not nil, is what a client must prove by AUTH PLAIN before MAIL.
	Login *Login
	// Without leaves extensions out of the reply to EHLO: "PIPELINING", "CHUNKING", ...
	Without []string
	// MaxSize is announced by SIZE and kept; 0 means 50 MB.
	MaxSize int64
}

// Group is some recipient domains that share their MX hosts.
type Group struct {
	Domains []string
	MX      []string // in order of preference; empty: "mx." and the first domain
}

// Login is a name and a password.
type Login struct{ User, Password string }

// defaultMaxSize is about what the big providers take.
const defaultMaxSize = 50 << 20

// provider is a Provider at work.
type provider struct {
	w       *World
	conf    Provider
	domains map[string]bool
	script  atomic.Pointer[script]
	ehlo    [4]string // the reply to EHLO; bit 0: under TLS, bit 1: authenticated

	mu        sync.Mutex
	listeners []listener
	conns     map[net.Conn]struct{}
}

type listener struct {
	net.Listener
	addr netip.AddrPort
	host string
}

func newProvider(w *World, n int) (*provider, error) {
	p := &provider{w: w, conf: w.opts.Providers[n], domains: make(map[string]bool), conns: make(map[net.Conn]struct{})}
	if p.conf.Name == "" {
		return nil, fmt.Errorf("provider %d has no name", n+1)
	}
	if len(p.conf.Listen) == 0 {
		p.conf.Listen = []netip.Addr{netip.AddrFrom4([4]byte{127, 25, byte(n / 250), byte(n%250 + 1)})}
	}
	for _, a := range p.conf.Listen {
		if !a.IsLoopback() {
			return nil, fmt.Errorf("provider %q: %s is no loopback address: this world ends at the machine's edge", p.conf.Name, a)
		}
	}
	if p.conf.MaxSize == 0 {
		p.conf.MaxSize = defaultMaxSize
	}
	p.conf.Groups = slices.Clone(p.conf.Groups)
	for i := range p.conf.Groups {
		g := &p.conf.Groups[i]
		if len(g.MX) == 0 && len(g.Domains) > 0 {
			g.MX = []string{"mx." + g.Domains[0]}
		}
		for _, d := range g.Domains {
			p.domains[strings.ToLower(d)] = true
		}
	}
	s, err := compile(p.conf.Rules, w.opts.Seed)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.conf.Name, err)
	}
	p.script.Store(s)
	p.writeEhlo()
	return p, nil
}

// receives tells whether mail for an address is at home here.
func (p *provider) receives(rcpt []byte) bool {
	return p.conf.Relay || p.domains[mail.Domain(string(rcpt))] || strings.EqualFold(string(rcpt), "postmaster")
}

// host returns the name of the MX host that listens at the nth address.
func (p *provider) host(n int) string {
	for _, g := range p.conf.Groups {
		if len(g.MX) > n {
			return g.MX[n]
		}
	}
	return p.conf.Name + ".invalid"
}

// addr returns the nth address.
func (p *provider) addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(p.conf.Listen[n%len(p.conf.Listen)], p.w.port)
}

// open listens on every address. The caller closes what was opened when it fails.
func (p *provider) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.listeners) > 0 {
		return nil
	}
	port := p.w.port
	for i, ip := range p.conf.Listen {
		l, err := net.Listen("tcp", netip.AddrPortFrom(ip, port).String())
		if err != nil {
			return fmt.Errorf("provider %q: %w", p.conf.Name, err)
		}
		addr, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			l.Close()
			return fmt.Errorf("provider %q: %w", p.conf.Name, err)
		}
		port = addr.Port()
		p.listeners = append(p.listeners, listener{Listener: l, addr: addr, host: p.host(i)})
	}
	return nil
}

// serve starts to accept on what open has opened.
func (p *provider) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listeners {
		p.w.wg.Go(func() { p.accept(l) })
	}
}

func (p *provider) accept(l listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors: those that are open will end
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-p.w.done:
				return
			}
		}
		p.mu.Lock()
		select {
		case <-p.w.done:
			p.mu.Unlock()
			conn.Close()
			return
		default:
		}
		p.conns[conn] = struct{}{}
		p.w.wg.Go(func() { p.talk(conn, l.host) })
		p.mu.Unlock()
	}
}

// talk serves one connection.
func (p *provider) talk(conn net.Conn, host string) {
	s := newSession(p, conn, host)
	s.run()
	s.conn.Close() // with TLS, this says good-bye
	s.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// shut closes the listeners.
func (p *provider) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listeners {
		l.Close()
	}
	p.listeners = nil
}

// hangUp ends the open connections.
func (p *provider) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// writeEhlo puts the replies to EHLO together; the host name is put in by the session.
func (p *provider) writeEhlo() {
	for i := range p.ehlo {
		words := []string{"PIPELINING", "8BITMIME", fmt.Sprintf("SIZE %d", p.conf.MaxSize), "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"}
		if p.conf.TLS && i&1 == 0 {
			words = append(words, "STARTTLS")
		}
		if p.conf.Login != nil && i&2 == 0 && (i&1 != 0 || !p.conf.TLS) { // RFC 4954, section 4: no password in the clear
			words = append(words, "AUTH PLAIN")
		}
		words = slices.DeleteFunc(words, func(w string) bool {
			name, _, _ := strings.Cut(w, " ")
			return slices.Contains(p.conf.Without, name)
		})
		var b strings.Builder
		for n, w := range words {
			sep := "-"
			if n == len(words)-1 {
				sep = " "
			}
			b.WriteString("250" + sep + w + "\r\n")
		}
		p.ehlo[i] = b.String()
	}
}

// offers tells whether an extension was offered.
func (p *provider) offers(ext string) bool { return !slices.Contains(p.conf.Without, ext) }
