package connect

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ukai/internal/mtaconf"
)

// portOf returns the port of a listener that is open until the end of the test.
func portOf(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestADoorGetsAPortThatIsFreeAndKeepsIt(t *testing.T) {
	b := newBox(t)
	b.planner.door = portOf(t)
	e := b.engine(nil)
	r, err := e.Apply(t.Context(), b.target(e), Request{Wish: b.wish})
	if err != nil {
		t.Fatal(err)
	}
	_, port, ok := hostPort(r.Door)
	if !ok || port <= b.planner.door {
		t.Fatalf("the door is at %s, and %d is taken", r.Door, b.planner.door)
	}
	l, err := net.Listen("tcp", r.Door) // as the server does
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := e.Plan(t.Context(), b.target(e), Request{Wish: b.wish})
	if err != nil || p.Door != r.Door || !p.Nothing() {
		t.Errorf("%v: the door is to be at %s, and was at %s", err, p.Door, r.Door)
	}
	st, err := e.Status(t.Context(), b.target(e), &Request{Wish: b.wish})
	if err != nil || st.Door != r.Door || (st.PeerTrouble != "" || st.MTATrouble != "" || len(st.Behind) > 0) {
		t.Errorf("%v %+v", err, st)
	}
	b.wish.Peer.Host, b.wish.Peer.Port = "127.0.0.1", port
	if _, err := e.Plan(t.Context(), b.target(e), Request{Wish: b.wish}); err == nil || !strings.Contains(err.Error(), "only the door") {
		t.Errorf("the door leads to itself: %v", err)
	}
}

// The user that the server runs ukai's program as may not be allowed to: what is refused would wait for good.
func TestADoorThatDoesNotOpenIsTakenBack(t *testing.T) {
	b := newBox(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.planner.door = l.Addr().(*net.TCPAddr).Port
	l.Close()
	was := b.snapshot()
	for name, c := range map[string]struct {
		away, undone bool
	}{"ukai is there": {false, true}, "ukai is not there either": {true, false}} {
		t.Run(name, func(t *testing.T) {
			e := b.engine(func(o *Options) {
				o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
					if address == net.JoinHostPort("127.0.0.1", strconv.Itoa(b.planner.door)) || c.away && address == b.wish.Peer.Address() {
						return nil, syscall.ECONNREFUSED
					}
					return b.dial(ctx, address)
				}
			})
			_, err := e.Apply(t.Context(), b.target(e), Request{Wish: b.wish})
			var undone *UndoneError
			if errors.As(err, &undone) != c.undone || c.undone && !strings.Contains(err.Error(), "not through the mail server's door") || !c.undone && err != nil {
				t.Fatalf("%v", err)
			}
			if c.undone {
				sameTree(t, b.snapshot(), was)
			}
		})
	}
}

func TestWithoutAFreePortThereIsNoDoor(t *testing.T) {
	b := newBox(t)
	e := b.engine(nil)
	b.planner.door = portOf(t)
	b.planner.stubborn = true
	if _, err := e.Plan(t.Context(), b.target(e), Request{Wish: mtaconf.Wish{Server: "box", Peer: b.wish.Peer}}); err == nil || !strings.Contains(err.Error(), "all in use") {
		t.Errorf("%v", err)
	}
}
