package app

import (
	"context"
	"net/netip"
	"time"

	"ukai/internal/cases"
	"ukai/internal/config"
	"ukai/internal/dnsbl"
)

// openCases makes the book of delisting cases and reads what an earlier run has stored. It needs the incidents.
func (a *App) openCases(ctx context.Context, _ *config.Config) error {
	lists, err := dnsbl.Load()
	if err != nil {
		return err
	}
	checker := &cases.Checker{Resolver: a.resolver, Ways: a.ownWays, Relays: a.relays}
	a.cases = cases.New(cases.Options{
		Catalogues: cases.Catalogues{Lists: lists, Providers: a.providers}, Incidents: a.incidents.List, Check: checker.Check, Now: time.Now,
		Listed: a.listings,
	}.Scaled(a.opts.Speed))
	return a.cases.Load(ctx, a.db, time.Now())
}

// listings are what the monitor of the blocklists has found. It begins with the first Run, after all is built.
func (a *App) listings() (list []cases.Listed) {
	for _, l := range a.lists.Status().Listed {
		list = append(list, cases.Listed{List: l.List, Target: l.Target, Code: l.Code, Meaning: l.Meaning, Reason: l.Reason, Scope: l.Scope, Who: l.Who})
	}
	return list
}

// ownWays tells which names and addresses the egresses of this machine send with. Over a smarthost or a proxy somebody else's
// address is seen.
func (a *App) ownWays() (list []cases.Way) {
	a.mu.Lock()
	cfg := a.cfg
	a.mu.Unlock()
	for i := range cfg.Egresses {
		e := &cfg.Egresses[i]
		w := cases.Way{Egress: e.Name, Addrs: e.Source, Helo: e.Helo}
		switch {
		case e.Kind == config.Smarthost:
			w.Helo = "" // the smarthost greets
		case w.Helo == "":
			w.Helo = cfg.Name()
		}
		list = append(list, w)
	}
	return list
}

// relays are the networks that may send to anybody without a password.
func (a *App) relays() (list []netip.Prefix) {
	a.mu.Lock()
	cfg := a.cfg
	a.mu.Unlock()
	for i := range cfg.Listeners {
		list = append(list, cfg.Listeners[i].Relay...)
	}
	return list
}
