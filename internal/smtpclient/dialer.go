package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/proxy"
)

// DirectDialer returns a Dialer that connects from a source address of this machine; from the one the system chooses if
// source is not valid. With a source it connects only to addresses of the same family.
func DirectDialer(source netip.Addr) Dialer { return direct{source.Unmap()} }

type direct struct{ source netip.Addr }

var errFamily = errors.New("the egress has no source address of this family")

func (d direct) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var nd net.Dialer
	if d.source.IsValid() {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		if to.Addr().Unmap().Is4() != d.source.Is4() {
			return nil, errFamily
		}
		nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.source, 0))
		nd.Control = shareSourcePorts
	}
	return nd.DialContext(ctx, network, address)
}

// SOCKS5Dialer returns a Dialer that connects through the SOCKS5 proxy at addr, "host:port" (RFC 1928), with a user name and
// password (RFC 1929) if user is not empty.
func SOCKS5Dialer(addr, user, password string) (Dialer, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("SOCKS5 proxy %q: %w", addr, err)
	}
	var auth *proxy.Auth
	if user != "" {
		auth = &proxy.Auth{User: user, Password: password}
	}
	d, err := proxy.SOCKS5("tcp", addr, auth, &net.Dialer{})
	if err != nil {
		return nil, fmt.Errorf("SOCKS5 proxy %q: %w", addr, err)
	}
	dc, ok := d.(proxy.ContextDialer)
	if !ok {
		panic("bug: the SOCKS5 dialer knows no context")
	}
	return dc, nil
}

// bound is what a connection through a proxy has: the address from which the proxy connects (RFC 1928, section 6).
type bound interface{ BoundAddr() net.Addr }

// localIP returns the address that the server sees, as far as it is known: behind a proxy that is what the proxy says.
func localIP(conn net.Conn) netip.Addr {
	a := conn.LocalAddr()
	if b, ok := conn.(bound); ok {
		a = b.BoundAddr()
	}
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || ap.Addr().IsUnspecified() {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
