package app

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/servers"
	"ukai/internal/watch"
)

// serverSource begins the names of the sources that read the logs of connected servers: "server web1". No name in the settings
// has a blank in this place by accident.
const serverSource = "server "

// openServers opens the book of connected mail servers.
func (a *App) openServers(ctx context.Context, _ *config.Config) (err error) {
	a.servers, err = servers.Open(ctx, a.db, servers.Options{OnChange: func() {
		select {
		case a.serversChanged <- struct{}{}:
		default: // somebody will look
		}
	}})
	return err
}

// keepServers has what hangs on the book follow it, until ctx ends.
func (a *App) keepServers(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.serversChanged:
		}
		a.mu.Lock()
		cfg := a.cfg
		a.mu.Unlock()
		a.followServers(cfg)
	}
}

// followServers takes over who is in the book: their logs are read, their addresses are known.
func (a *App) followServers(cfg *config.Config) {
	a.health.Configure(cfg.Health, a.sources(cfg))
	a.reloadWatch(cfg)
	a.followSteered()
}

// sources tells health where the egresses send from, and the connected servers that have addresses of their own: a refusal that
// means a whole range then warns the others in it.
func (a *App) sources(cfg *config.Config) map[string]health.Source {
	all := sources(cfg)
	for _, s := range a.servers.List() {
		if _, taken := all[s.Name]; s.Egress == "" && len(s.Place.Addrs) > 0 && !taken {
			all[s.Name] = health.Source{Addrs: s.Place.Addrs}
		}
	}
	return all
}

// serverLogs makes the sources that read the logs of servers on this machine.
func (a *App) serverLogs(know watch.Knowledge) []watch.Entry {
	var all []watch.Entry
	for _, s := range a.servers.List() {
		if s.Distant() || len(s.Logs) == 0 {
			continue // the agent beside it reads them
		}
		o := watch.LogOptions{Name: serverSource + s.Name, Paths: s.Logs, Server: s.Name, Egress: s.Egress}
		all = append(all, watch.Entry{Source: watch.NewTail(o, know, a.positions, a.log.With("room", "watch")), Print: fmt.Sprintf("%+v", o)})
	}
	return all
}

// serverSeen takes in what a connected server met: it is alive.
func (a *App) serverSeen(o *watch.Observation) {
	name, ok := strings.CutPrefix(o.Source, serverSource)
	if !ok {
		return
	}
	a.servers.Touch(name, o.Outcome.At)
}

// steering is what the doors get to know of servers.
func (a *App) steering() *api.Steering {
	return &api.Steering{
		Servers: a.servers, Accounts: a.accounts, Gate: a.gate, Egress: a.ownEgress, Agents: a.agentDoor,
		Take: a.watch.Take, Detours: a.detoured, Unkept: a.unkept, Status: a.steer.StatusOf,
	}
}

// gate finds where a server hands mail in: see api.Steering.
func (a *App) gate(peer string, distant bool) (api.Gate, error) {
	a.mu.Lock()
	cfg, open := a.cfg, slices.Clone(a.open)
	a.mu.Unlock()
	if distant {
		host, _, err := net.SplitHostPort(cfg.Steer.Relay)
		if g, ok := openGate(open, cfg.Steer.Relay); ok && err == nil && isLoopback(host) {
			return g, nil // an agent on this very machine, where ukai itself may not write the server's files
		}
		return distantGate(cfg, open)
	}
	g, ok := openGate(open, peer)
	switch {
	case ok:
		return g, nil
	case peer != "": // a relay elsewhere, or an address that leads here by ways that are not known
		return elsewhere(peer)
	}
	return api.Gate{}, i18n.Errorf("app.server.no_gate")
}

// openGate finds the listener that a server on this machine uses, or is to use where peer is empty.
func openGate(open []opened, peer string) (gate api.Gate, ok bool) {
	for i := range open {
		g, takes := localGate(&open[i])
		switch {
		case !takes, peer != "" && peer != net.JoinHostPort(g.Host, strconv.Itoa(g.Port)) && !open[i].reached(peer):
		case !g.Account:
			return g, true // nothing on the server's side can be missing or wrong
		case !ok:
			gate, ok = g, true
		}
	}
	return gate, ok
}

// reached tells whether an address leads to a listener that is bound to all of the machine's.
func (o *opened) reached(peer string) bool {
	at, err := netip.ParseAddrPort(o.net.Addr().String())
	_, port, errPeer := net.SplitHostPort(peer)
	return err == nil && errPeer == nil && at.Addr().IsUnspecified() && port == strconv.Itoa(int(at.Port()))
}

// localGate is what a listener is for a server on this machine; false: it takes no mail from there.
func localGate(o *opened) (api.Gate, bool) {
	at, err := netip.ParseAddrPort(o.net.Addr().String())
	if err != nil {
		return api.Gate{}, false
	}
	from := at.Addr().Unmap()
	if from.IsUnspecified() {
		from = netip.MustParseAddr("127.0.0.1")
	}
	g := api.Gate{Host: from.String(), Port: int(at.Port()), TLS: o.cfg.TLS == config.StartTLS}
	if o.cfg.TLS == config.Implicit { // most servers speak it only through a wrapper
		return g, false
	}
	// A client that connects to an address of its own machine comes from that address.
	if slices.ContainsFunc(o.cfg.Relay, func(p netip.Prefix) bool { return p.Contains(from) }) && o.cfg.Auth != config.AuthRequired {
		g.TLS = g.TLS && !from.IsLoopback() // no password and no wire
		return g, true
	}
	g.Account = true
	return g, o.cfg.Auth != config.AuthOff
}

// distantGate is where servers on other machines hand mail in.
func distantGate(cfg *config.Config, open []opened) (api.Gate, error) {
	for _, o := range open {
		at, err := netip.ParseAddrPort(o.net.Addr().String())
		if err != nil || o.cfg.Auth == config.AuthOff || o.cfg.TLS != config.StartTLS {
			continue
		}
		g := api.Gate{Host: cfg.Name(), Port: int(at.Port()), TLS: true, Account: true}
		if cfg.Steer.Relay == "" && at.Addr().IsLoopback() {
			continue // nobody elsewhere reaches it
		}
		if cfg.Steer.Relay == "" {
			return g, nil
		}
		to, err := elsewhere(cfg.Steer.Relay)
		to.TLS, to.Account = true, true
		return to, err
	}
	return api.Gate{}, i18n.Errorf("app.server.no_distant_gate")
}

func elsewhere(peer string) (api.Gate, error) {
	host, port, err := net.SplitHostPort(peer)
	n, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil {
		return api.Gate{}, i18n.Errorf("app.server.peer", "value", peer)
	}
	return api.Gate{Host: host, Port: int(n)}, nil
}
