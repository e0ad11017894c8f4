package smtpclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"
)

// stagger is how long an address has before the next is tried alongside (RFC 8305, section 5: Connection Attempt Delay).
const stagger = 250 * time.Millisecond

// dialed is how the attempt at one address ended.
type dialed struct {
	conn net.Conn
	addr netip.AddrPort
	err  error
}

// race connects to the first of the addresses that answers, IPv6 and IPv4 in turn (RFC 8305). A dead address, or a dead
// family, costs 250 ms and not a timeout. It returns when every attempt it began has ended.
func race(ctx context.Context, d Dialer, addrs []netip.AddrPort) dialed {
	addrs = interleave(addrs)
	switch len(addrs) {
	case 0:
		return dialed{err: errors.New("no address to connect to")}
	case 1:
		conn, err := d.DialContext(ctx, "tcp", addrs[0].String())
		return dialed{conn, addrs[0], err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		ended   = make(chan dialed)
		timer   = time.NewTimer(0)
		won     dialed
		lost    []dialed
		running = 0
	)
	defer timer.Stop()
	begin := func() {
		addr := addrs[0]
		addrs = addrs[1:]
		running++
		timer.Reset(stagger)
		go func() {
			conn, err := d.DialContext(ctx, "tcp", addr.String())
			ended <- dialed{conn, addr, err}
		}()
	}
	for running > 0 || len(addrs) > 0 {
		select {
		case <-timer.C:
			if len(addrs) > 0 {
				begin()
			}
		case e := <-ended:
			running--
			switch {
			case e.err != nil:
				lost = append(lost, e)
				if len(addrs) > 0 && ctx.Err() == nil { // no need to wait for what has failed already
					begin()
				}
			case won.conn != nil:
				_ = e.conn.Close()
			default:
				won = e
				cancel()
			}
			if won.conn != nil || ctx.Err() != nil {
				addrs = nil
			}
		}
	}
	if won.conn != nil {
		return won
	}
	return summary(lost)
}

// interleave puts IPv6 and IPv4 addresses in turn, beginning with IPv6, each family in its own order (RFC 8305, section 4).
func interleave(addrs []netip.AddrPort) []netip.AddrPort {
	var v6, v4 []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Unmap().Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	out := make([]netip.AddrPort, 0, len(addrs))
	for len(v6) > 0 || len(v4) > 0 {
		if len(v6) > 0 {
			out, v6 = append(out, v6[0]), v6[1:]
		}
		if len(v4) > 0 {
			out, v4 = append(out, v4[0]), v4[1:]
		}
	}
	return out
}

// summary is one end for several: with one reason that all have in common, or with the reason of each.
func summary(lost []dialed) dialed {
	last := lost[len(lost)-1]
	same := true
	var b strings.Builder
	for i, e := range lost {
		t := trouble(context.Background(), e.err)
		if t != trouble(context.Background(), last.err) {
			same = false
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.addr.String() + ": " + t)
	}
	if !same {
		last.err = errors.New(b.String())
	}
	return last
}
