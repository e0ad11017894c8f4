// Package exim reads configurations of Exim 4 and plans the changes by which it sends mail for a refusing provider over ukai.
//
// # How Exim sends mail
//
// An address goes through the routers in their order until one takes it; that router names a transport, which talks to the other
// server (Exim specification, chapters 3 and 15). Mail for elsewhere is taken by a router with driver = dnslookup. Directly
// before each of these stands, after a connect, one of ours: it has the same preconditions, and one more.
//
//	steer       the most preferred MX host of the domain stands in a file of hosts of refusing providers, or the live lookup
//	            server says so; and ukai greets
//	safety-net  the same, or the message was put off at an earlier attempt; and ukai greets
//	relay       none: everything goes to ukai
//
// # Whose way is the former one
//
// Where one of these conditions does not hold, our router is skipped and the administrator's own one does what it always did,
// with its transport, its source addresses, its signatures. So a file that is missing, a name server that is silent, a ukai
// that is dead (refused at once) or hangs (two seconds) leaves everything as it was: nothing stands between Exim and the world.
//
// What goes to ukai needs the signature (DKIM) that the former transport gives it. Our transport is therefore a copy of that one,
// line by line with its .ifdef, in which only what concerns the connection to ukai differs.
//
// # When does Exim see a change?
//
// Each delivery is made by a process that reads the whole configuration (the daemon gives up root and starts a fresh exim -Mc for
// each message, and a fresh exim -q for each run of the queue); files that are named in an expansion are opened at each use. So
// a new configuration acts on the next message even before the daemon was told. It is told all the same.
//
// # What Exim cannot do
//
// A 5xx is final: there is no option that makes a reply softer, fallback_hosts are not asked after one, and events
// (event_action) are raised when it is too late (specification, chapter 61). So the messages that a provider refuses before it
// stands in the file come back to their senders.
package exim

import (
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// planner keeps no state.
type planner struct{}

// New returns the planner for Exim.
func New() mtaconf.Planner { return planner{} }

// MTA returns mtaconf.Exim.
func (planner) MTA() mtaconf.MTA { return mtaconf.Exim }

// Modes returns what can be asked for, the default first.
func (planner) Modes() []mtaconf.Mode {
	return []mtaconf.Mode{mtaconf.Steer, mtaconf.SafetyNet, mtaconf.Relay}
}

// Find returns the one installation that Exim itself would use: it reads the first file of its list that exists.
func (planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	if l := find(sys); l != nil {
		return []mtaconf.Instance{{MTA: mtaconf.Exim, Dir: l.dir()}}, nil
	}
	return nil, nil
}

// Plan returns what would be changed.
func (planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	if w.Mode == "" {
		w.Mode = mtaconf.Steer
	}
	l := find(sys)
	if l == nil || inst.Dir != "" && l.dir() != inst.Dir {
		return nil, i18n.Errorf("mtaconf.exim.error.gone", "path", inst.Dir)
	}
	if err := checkWish(w); err != nil {
		return nil, err
	}
	c, err := l.read(sys)
	if err != nil {
		return nil, err
	}
	ways, err := c.waysOut()
	if err != nil {
		return nil, err
	}
	if st := countsTwice(ways); st != nil && w.Live != "" && w.Mode != mtaconf.Relay {
		return nil, i18n.Errorf("mtaconf.exim.error.live_condition", "path", st.src.path, "line", st.from+1)
	}
	d := &draft{sys: sys, layout: l, conf: c, ways: ways, wish: w, hosts: l.hostsFile()}
	return d.plan(inst)
}

// checkWish refuses what our lines could not express.
func checkWish(w mtaconf.Wish) error {
	switch w.Mode {
	case mtaconf.Relay, mtaconf.Steer, mtaconf.SafetyNet:
	default:
		return i18n.Errorf("mtaconf.exim.error.mode", "mode", string(w.Mode))
	}
	if !plainWord(w.Peer.Host) || w.Peer.Port <= 0 {
		return i18n.Errorf("mtaconf.exim.error.peer", "peer", w.Peer.Address())
	}
	if w.Peer.Port == 465 {
		return i18n.Errorf("mtaconf.exim.error.smtps", "peer", w.Peer.Address())
	}
	if w.Live != "" && (!plainWord(w.Live) || !plainWord(w.Server)) {
		return i18n.Errorf("mtaconf.exim.error.live", "address", w.Live, "server", w.Server)
	}
	return nil
}

// plainWord tells whether s can stand in an expansion as it is: names, addresses, paths.
func plainWord(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '.' || r == '-' || r == '_' || r == ':' || r == '/' || r == '[' || r == ']':
		default:
			return false
		}
	}
	return s != ""
}
