package app

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"ukai/internal/config"
)

// ownEgress is the egress that sends from where a mail server sends, where there is only one it can be: else the addresses in
// refusals will tell. addrs are the server's addresses; none: it is on this machine, and sends from where the system says.
func (a *App) ownEgress(addrs []netip.Addr) string {
	a.mu.Lock()
	egresses := a.cfg.Egresses
	a.mu.Unlock()
	if len(addrs) > 0 {
		return egressFrom(egresses, func(e *config.Egress) bool { return shareAddr(e.Source, addrs) })
	}
	return egressHere(egresses, systemAddrs())
}

// egressHere is the egress of a server on this machine, where the system chooses these addresses for it.
func egressHere(egresses []config.Egress, chosen []netip.Addr) string {
	return egressFrom(egresses, func(e *config.Egress) bool {
		// A source on loopback belongs to a rehearsal, in which the system's choice for the world says nothing.
		return len(e.Source) == 0 || len(chosen) == 0 || shareAddr(e.Source, chosen) || slices.ContainsFunc(e.Source, netip.Addr.IsLoopback)
	})
}

// egressFrom returns the only direct egress that fits, or "".
func egressFrom(egresses []config.Egress, fits func(*config.Egress) bool) string {
	name := ""
	for i := range egresses {
		e := &egresses[i]
		switch {
		case e.Kind != config.Direct || !fits(e):
		case name != "":
			return ""
		default:
			name = e.Name
		}
	}
	return name
}

func shareAddr(a, b []netip.Addr) bool {
	return slices.ContainsFunc(a, func(x netip.Addr) bool {
		return slices.ContainsFunc(b, func(y netip.Addr) bool { return x.Unmap() == y.Unmap() })
	})
}

// systemAddrs are the addresses that the system chooses for connections to the world, as far as there is a route. A socket for
// datagrams that is connected sends nothing: connect(2) only looks the route up. The ends are addresses for documentation
// (RFC 5737, RFC 3849), which nobody has a route of their own for.
func systemAddrs() (all []netip.Addr) {
	for _, to := range []string{"192.0.2.1:25", "[2001:db8::1]:25"} {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "udp", to)
		if err != nil {
			continue // no route
		}
		if from, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
			all = append(all, from.Addr().Unmap())
		}
		_ = conn.Close() // nothing was sent
	}
	return all
}
