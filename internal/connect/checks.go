package connect

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// look sees to what stands around the server: mail that would go in a circle, and whether ukai answers.
func (e *Engine) look(ctx context.Context, p *Proposal) error {
	w := &p.request.Wish
	if err := e.notADoor(ctx, w.Peer.Address()); err != nil {
		return err
	}
	if p.Alive != "" {
		if e.same(ctx, w.Peer.Address(), p.Alive) {
			return i18n.Errorf("connect.loop.self", "relay", w.Peer.Address(), "mta", string(p.Instance.MTA))
		}
		for _, s := range p.request.Smarthosts {
			if e.same(ctx, s, p.Alive) {
				return i18n.Errorf("connect.loop.smarthost", "relay", w.Peer.Address(), "smarthost", s)
			}
		}
	}
	if len(p.Left) > 0 {
		p.Notes = append(p.Notes, mtaconf.N("connect.note.edited", "count", len(p.Left)))
	}
	err := e.greets(ctx, w.Peer.Address(), relayGreets)
	if err == nil {
		return nil
	}
	if p.Mode == mtaconf.Relay {
		p.Notes = append(p.Notes, mtaconf.N("connect.note.relay_down", "relay", w.Peer.Address(), "cause", err.Error()))
		return nil
	}
	p.Notes = append(p.Notes, mtaconf.N("connect.note.relay_away", "relay", w.Peer.Address(), "cause", err.Error()))
	return nil
}

// preflight looks for what would go wrong, before anything is written.
func (e *Engine) preflight(ctx context.Context, p *Proposal) error {
	w := &p.request.Wish
	if p.Mode == mtaconf.Relay {
		if err := e.greets(ctx, w.Peer.Address(), relayGreets); err != nil {
			return i18n.Errorf("connect.relay.down", "relay", w.Peer.Address(), "cause", err)
		}
	}
	return e.canWrite(p.files)
}

// canWrite checks rights and room for files.
func (e *Engine) canWrite(files []planned) error {
	need := make(map[string]uint64) // by directory
	for i := range files {
		f := &files[i]
		if !f.changes() {
			continue
		}
		if f.was != nil && os.Geteuid() != 0 && f.was.attr.UID != os.Geteuid() {
			return i18n.Errorf("connect.rights", "file", f.path)
		}
		dir, err := e.nearest(path.Dir(f.path))
		if err != nil {
			return err
		}
		if err := writable(dir); err != nil {
			return i18n.Errorf("connect.read_only", "file", f.path, "dir", dir, "cause", err)
		}
		need[dir] += 2 * uint64(len(f.to))
	}
	dir, err := e.nearest(stateDir)
	if err != nil {
		return err
	}
	if err := writable(dir); err != nil {
		return i18n.Errorf("connect.read_only", "file", stateDir, "dir", dir, "cause", err)
	}
	for i := range files {
		need[dir] += 2 * uint64(len(files[i].to))
		if files[i].was != nil {
			need[dir] += uint64(len(files[i].was.text))
		}
	}
	const slack = 256 << 10 // blocks, directories, the journal, what the server's own commands make
	for dir, n := range need {
		if free, ok := room(dir); ok && free < n+slack {
			return i18n.Errorf("connect.full", "dir", dir, "free", free>>10, "need", (n+slack)>>10)
		}
	}
	return nil
}

// nearest returns where a directory inside the root is, or the one above it that is there.
func (e *Engine) nearest(dir string) (string, error) {
	for dir != "/" && !e.sys.Exists(dir) {
		dir = path.Dir(dir)
	}
	full, err := e.sys.Real(dir)
	if err != nil {
		return "", err
	}
	// What is named may be a link to a file's directory that the root does not have; then its parent decides.
	if _, err := os.Stat(full); err != nil {
		return filepath.Dir(full), nil //nolint:nilerr // it is not there: a state like others
	}
	return full, nil
}

// same tells whether two addresses are one listener of this machine.
func (e *Engine) same(ctx context.Context, a, b string) bool {
	hostA, portA, err1 := net.SplitHostPort(a)
	hostB, portB, err2 := net.SplitHostPort(b)
	if err1 != nil || err2 != nil || portA != portB {
		return false
	}
	if hostA == hostB {
		return true
	}
	as, bs := addresses(ctx, hostA), addresses(ctx, hostB)
	own := ownAddresses()
	for _, x := range as {
		for _, y := range bs {
			// A listener on all addresses is every one of this machine's; one on 127.0.0.1 is not that of 127.0.0.2.
			if x == y || y.IsUnspecified() && own[x] || x.IsUnspecified() && own[y] {
				return true
			}
		}
	}
	return false
}

// addresses returns what a host name leads to; an address leads to itself.
func addresses(ctx context.Context, host string) []netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	if host == "" || host == "*" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range all {
		all[i] = all[i].Unmap()
	}
	return all
}

// ownAddresses are those of this machine.
func ownAddresses() map[netip.Addr]bool {
	own := make(map[netip.Addr]bool)
	all, err := net.InterfaceAddrs()
	if err != nil {
		return own
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr().Unmap()] = true
		}
	}
	return own
}

// relayGreets is how long ukai has for its greeting.
const relayGreets = 5 * time.Second

// greets connects to a mail server and waits for its greeting (RFC 5321, section 3.1: 220). The error says what came instead.
func (e *Engine) greets(ctx context.Context, address string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := e.o.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	line, err := bufio.NewReaderSize(c, 1024).ReadString('\n')
	if err != nil {
		return err
	}
	_, _ = c.Write([]byte("QUIT\r\n")) // a courtesy: it would find out by itself
	if !strings.HasPrefix(line, "220") {
		return &unwelcome{strings.TrimSpace(line)}
	}
	return nil
}

// unwelcome is a greeting that is none.
type unwelcome struct{ line string }

func (u *unwelcome) Error() string { return u.line }

// alive waits until the server greets.
func (e *Engine) alive(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, e.o.Greet)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := e.greets(ctx, address, e.o.Greet)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// hostPort parts an address.
func hostPort(address string) (host string, port int, ok bool) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, false
	}
	port, err = strconv.Atoi(p)
	return host, port, err == nil
}
