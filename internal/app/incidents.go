package app

import (
	"context"
	"net/netip"
	"time"

	"ukai/internal/config"
	"ukai/internal/incident"
)

// openIncidents makes the book of incidents and reads what an earlier run has stored.
func (a *App) openIncidents(ctx context.Context, cfg *config.Config) error {
	a.setNetworks(cfg)
	a.incidents = incident.New(incident.Options{Place: a.place, OnEvent: a.happened}.Scaled(a.opts.Speed))
	return a.incidents.Load(ctx, a.db, time.Now())
}

// happened passes an event of an incident on.
func (a *App) happened(e incident.Event) {
	i := &e.Incident
	a.log.Warn("incident", "room", "incident", "news", string(e.News), "id", i.ID, "kind", string(i.Cause.Kind), "place", i.Cause.Place,
		"refused", i.Counts.Refused, "detoured", i.Counts.Detoured)
	if a.lists != nil && i.Cause.Kind == incident.Reputation && (e.News == incident.WasOpened || e.News == incident.WasReopened) {
		for _, egress := range i.Egresses {
			a.lists.Look(egress)
		}
	}
	a.cases.Note(e)
	if a.notify != nil { // else it is still being built, and will be handed what is open
		a.notify.Handle(e)
	}
	if a.opts.OnIncident != nil {
		a.opts.OnIncident(e)
	}
}

// setNetworks notes the network of each egress whose address is known.
func (a *App) setNetworks(cfg *config.Config) {
	networks := make(map[string]string)
	for i := range cfg.Egresses { // how the world sees those that send from a private address, or from no stated one
		if e := &cfg.Egresses[i]; e.Kind == config.Direct && len(cfg.Lists.Addresses) > 0 {
			networks[e.Name] = neighbourhood(cfg.Lists.Addresses[0]).String()
		}
	}
	for name, src := range sources(cfg) {
		if networks[name] != "" && !public(src.Addrs[0]) {
			continue
		}
		if len(src.Networks) > 0 {
			networks[name] = src.Networks[0].String()
			continue
		}
		networks[name] = neighbourhood(src.Addrs[0]).String()
	}
	a.networks.Store(&networks)
}

// neighbourhood is the network that receivers judge an address with: see health.Source.
func neighbourhood(ip netip.Addr) netip.Prefix {
	bits := 48
	if ip.Unmap().Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip.Unmap(), bits).Masked()
}

// place returns the network of an egress, its name where the address is not known: it fits incident.Options.
func (a *App) place(egress string) string {
	if p := (*a.networks.Load())[egress]; p != "" {
		return p
	}
	return egress
}
