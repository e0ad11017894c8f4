package connect

import (
	"context"
	"errors"
	"net"
	"syscall"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// mostDoors is how many ports are tried for a door.
const mostDoors = 20

// draft has the planner plan. A door (mtaconf.Plan.Door) keeps its port for as long as the server is connected; it gets another
// where somebody listens there already: master(8) of Postfix ends when it cannot have a port.
func (e *Engine) draft(t *Target, sys *mtaconf.System, w *mtaconf.Wish, old *manifest) (*mtaconf.Plan, error) {
	had := ""
	if old != nil {
		had = old.Plan.Door
	}
	if _, port, ok := hostPort(had); ok && w.Door == 0 {
		w.Door = port
	}
	first := ""
	for range mostDoors {
		plan, err := t.planner.Plan(sys, t.Instance, *w)
		if err != nil || plan.Door == "" || plan.Door == had || !taken(plan.Door) {
			return plan, err
		}
		if first == "" {
			first = plan.Door
		}
		if _, port, ok := hostPort(plan.Door); ok {
			w.Door = port + 1
		}
	}
	return nil, i18n.Errorf("connect.door.taken", "address", first, "count", mostDoors)
}

// taken tells whether somebody listens at an address of this machine.
func taken(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	l.Close()
	return false
}

// notADoor sees to it that the relay is no door that ukai itself has made: behind it would be another door, or itself.
func (e *Engine) notADoor(ctx context.Context, relay string) error {
	all, err := e.Servers()
	if err != nil {
		return err
	}
	for i := range all {
		if s := &all[i]; s.Door != "" && e.same(ctx, relay, s.Door) {
			return i18n.Errorf("connect.loop.door", "relay", relay, "mta", string(s.Instance.MTA), "peer", s.Peer)
		}
	}
	return nil
}

// doorOpens waits until ukai greets through the door, if it greets at all: the user that the server starts the program as may
// not be allowed to.
func (e *Engine) doorOpens(ctx context.Context, m *manifest) error {
	if m.Plan.Door == "" {
		return nil
	}
	if err := e.greets(ctx, m.Peer, relayGreets); err != nil {
		return nil //nolint:nilerr // ukai is away: there is nothing to try
	}
	if err := e.alive(ctx, m.Plan.Door); err != nil {
		return i18n.Errorf("connect.door.shut", "address", m.Plan.Door, "relay", m.Peer, "cause", err)
	}
	return nil
}
