package app

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/config"
	"ukai/internal/watch"
)

// buildLists makes the monitor of the blocklists.
func (a *App) buildLists(_ context.Context, cfg *config.Config) error {
	o, err := a.listsOptions(cfg)
	if err != nil {
		return err
	}
	a.lists = watch.NewLists(watch.ListsParts{
		Health: a.health, Incidents: a.incidents, Places: a.positions, Addrs: a.resolver.Addrs, Log: a.log.With("room", "lists"),
	}, o)
	return nil
}

// listsOptions says what is watched: what the egresses send from, the smarthosts, and the sender domains.
func (a *App) listsOptions(cfg *config.Config) (watch.ListsOptions, error) {
	server, ok := cfg.ListsResolver()
	o := watch.ListsOptions{
		Off: !ok, Server: server, Addresses: make(map[netip.Addr][]string), Hosts: make(map[string][]string), Domains: slices.Clone(cfg.Lists.Domains),
		Ranges: cfg.Lists.Ranges, Every: cfg.Lists.Every, Samples: cfg.Lists.Budget, Speed: a.opts.Speed,
	}
	if o.Off {
		return o, nil
	}
	var hidden []string // direct egresses that do not say how the world sees them
	for i := range cfg.Egresses {
		e := &cfg.Egresses[i]
		switch e.Kind {
		case config.Direct:
			seen := slices.DeleteFunc(slices.Clone(e.Source), func(ip netip.Addr) bool { return !public(ip) })
			for _, ip := range seen {
				o.Addresses[ip] = append(o.Addresses[ip], e.Name)
			}
			if len(seen) == 0 {
				hidden = append(hidden, e.Name)
			}
		default:
			if ip, err := netip.ParseAddr(e.Host); err == nil {
				o.Addresses[ip] = append(o.Addresses[ip], e.Name)
			} else {
				o.Hosts[e.Host] = append(o.Hosts[e.Host], e.Name)
			}
		}
	}
	for _, ip := range cfg.Lists.Addresses {
		if len(o.Addresses[ip]) == 0 {
			o.Addresses[ip] = slices.Clone(hidden)
		}
	}
	o.Signed = signed(cfg)
	var err error
	o.Catalogue, err = cfg.Lists.LoadCatalogue()
	return o, err
}

// public tells whether the world can see an address.
func public(ip netip.Addr) bool { return ip.IsGlobalUnicast() && !ip.IsPrivate() }

// signed returns the domains that keys sign for, and those that egresses are kept for.
func signed(cfg *config.Config) (all []string) {
	for _, k := range cfg.DKIM {
		all = append(all, k.Domain)
	}
	for i := range cfg.Egresses {
		for _, d := range cfg.Egresses[i].SenderDomains {
			all = append(all, strings.TrimPrefix(d, "*."))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
