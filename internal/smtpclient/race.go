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
	f := field{dialer: d, waiting: addrs, ended: make(chan dialed), timer: time.NewTimer(stagger), cancel: cancel}
	defer f.timer.Stop()
	f.begin(ctx)
	for f.running > 0 || len(f.waiting) > 0 {
		select {
		case <-f.timer.C:
			f.begin(ctx)
		case e := <-f.ended:
			f.end(ctx, e)
		}
	}
	if f.won.conn != nil {
		return f.won
	}
	return summary(f.lost)
}

// field is who takes part in a race. It belongs to the goroutine of race; an attempt has one of its own and reports to ended.
type field struct {
	dialer  Dialer
	waiting []netip.AddrPort
	running int
	ended   chan dialed
	timer   *time.Timer // when the next may begin
	cancel  context.CancelFunc

	won  dialed
	lost []dialed
}

// begin starts the attempt at the next address, if one is waiting.
func (f *field) begin(ctx context.Context) {
	if len(f.waiting) == 0 {
		return
	}
	addr := f.waiting[0]
	f.waiting = f.waiting[1:]
	f.running++
	f.timer.Reset(stagger)
	go func() {
		conn, err := f.dialer.DialContext(ctx, "tcp", addr.String())
		f.ended <- dialed{conn, addr, err}
	}()
}

// end takes the end of an attempt: the first success wins, and nobody has to wait for what has failed already.
func (f *field) end(ctx context.Context, e dialed) {
	f.running--
	switch {
	case e.err != nil:
		f.lost = append(f.lost, e)
	case f.won.conn != nil:
		_ = e.conn.Close()
	default:
		f.won = e
		f.cancel()
	}
	if ctx.Err() != nil {
		f.waiting = nil
		return
	}
	f.begin(ctx)
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
