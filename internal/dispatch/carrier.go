package dispatch

import (
	"context"
	"net"
	"net/netip"

	"ukai/internal/outcome"
	"ukai/internal/smtpclient"
)

// SMTP is the Carrier that speaks SMTP.
type SMTP struct{ Options smtpclient.Options }

// Dial opens a connection, greets, secures and authenticates it.
func (c *SMTP) Dial(ctx context.Context, t smtpclient.Target) (Link, *outcome.Outcome) {
	conn, o := smtpclient.Dial(ctx, t, &c.Options)
	if o != nil {
		return nil, o
	}
	return conn, nil
}

// Sources dials from the source address of the family that the remote address has.
type Sources struct{ V4, V6 netip.Addr }

// DialContext implements smtpclient.Dialer. A family without a source address is dialled from whatever the system chooses.
func (s Sources) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	source := s.V4
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Unmap().Is6() {
		source = s.V6
	}
	return smtpclient.DirectDialer(source).DialContext(ctx, network, address)
}
