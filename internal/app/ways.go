package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"time"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/dispatch"
	"ukai/internal/dns"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/provider"
	"ukai/internal/queue"
	"ukai/internal/route"
	"ukai/internal/smtpclient"
)

// openKnowledge loads the catalogues and makes the resolver.
func (a *App) openKnowledge(_ context.Context, cfg *config.Config) (err error) {
	a.providers, err = loadProviders(cfg)
	if err != nil {
		return err
	}
	a.resolver, err = dns.New(dns.Options{Servers: cfg.DNS.Servers, Timeout: cfg.DNS.Timeout, MaxTTL: cfg.DNS.MaxTTL})
	return err
}

func loadProviders(cfg *config.Config) (*provider.Catalogue, error) {
	if cfg.Provider.File != "" {
		return provider.LoadFile(cfg.Provider.File)
	}
	return provider.Load()
}

// buildDispatch makes everything that sends.
func (a *App) buildDispatch(ctx context.Context, cfg *config.Config) error {
	ways, err := makeWays(cfg)
	if err != nil {
		return err
	}
	a.health = health.New(health.Options{
		Thresholds: cfg.Health, Sources: a.sources(cfg),
		OnChange: a.changed,
	}, a.log.With("room", "health"))
	if err := a.health.Load(ctx, a.db); err != nil {
		return err
	}
	fopts := dns.FinderOptions{Own: []string{cfg.Name()}}
	if cfg.DNS.AllowLoopback {
		fopts.Unusable = []netip.Prefix{} // not nil: nothing is unusable
	}
	known := make(map[string]bool)
	for _, row := range a.providers.All() {
		known[row.Provider] = true
	}
	a.metrics = api.NewMetrics(func(id string) bool { return known[id] })
	a.dispatch = dispatch.New(dispatch.Parts{
		Store: a.queue, Judge: a.rules, Health: a.health, Journal: a.journal, Suppress: a.after.suppress, Log: a.log.With("room", "dispatch"),
		Directory: dispatch.NewDirectory(a.resolver, dns.NewFinder(a.resolver, fopts), a.providers, 0),
	}, ways, dispatch.Options{
		Hostname: cfg.Name(), Schedule: schedule(cfg), MaxConnections: cfg.Limits.OutConnections, ReturnPath: a.returnPath,
		OnOutcome: a.judged, OnSettled: a.settled,
	})
	a.setEgresses(ways)
	return nil
}

// changed passes a change of a path on.
func (a *App) changed(c health.Change) {
	a.dispatch.Note(c)
	if a.steer != nil { // while it is made, it reads the book
		a.steer.Changed(c)
	}
	a.incidents.Moved(&c)
	if a.opts.OnChange != nil {
		a.opts.OnChange(c)
	}
}

// judged passes an outcome on.
func (a *App) judged(e dispatch.Judged) {
	a.metrics.OnOutcome(e.Outcome, e.Verdict, e.Recipients)
	a.unclassified.Note(e.Outcome, *e.Verdict, time.Now())
	a.incidents.Refused(incident.Refusal(e))
	if a.opts.OnOutcome != nil {
		a.opts.OnOutcome(e.Outcome, e.Verdict)
	}
}

// settled passes on what became of a delivery.
func (a *App) settled(s dispatch.Settled) {
	a.metrics.OnSettled(s)
	a.lists.Sent(s.Sender)
	a.incidents.Passed(incident.Passage{At: s.At, Provider: s.Provider, Preferred: s.Preferred, Domain: s.Domain, Sender: s.Sender,
		Detour: s.Detour, Delivered: s.Delivered, Held: s.Held, Bounced: s.Bounced})
}

func (a *App) setEgresses(ways *dispatch.Ways) {
	names := make([]string, len(ways.Egresses))
	for i, e := range ways.Egresses {
		names[i] = e.Name
	}
	a.mu.Lock()
	a.egress = names
	a.mu.Unlock()
}

func schedule(cfg *config.Config) queue.Schedule {
	warning := cfg.Queue.DelayWarning
	if warning == 0 {
		warning = -1 // in the file, 0 means never
	}
	return queue.Schedule{Steps: cfg.Queue.Retry, Lifetime: cfg.Queue.Lifetime, DelayWarning: warning}
}

// makeWays makes the table that chooses and the egresses that carry, in the same order.
func makeWays(cfg *config.Config) (*dispatch.Ways, error) {
	index := make(map[string]int, len(cfg.Egresses))
	var routes []route.Egress
	w := &dispatch.Ways{}
	for i := range cfg.Egresses {
		e := &cfg.Egresses[i]
		index[e.Name] = i
		routes = append(routes, route.Egress{
			Name: e.Name, Providers: e.Providers, SenderDomains: e.SenderDomains, WarmUp: e.WarmUp, BulkShare: e.BulkShare,
		})
		out, err := makeEgress(cfg, e)
		if err != nil {
			return nil, err
		}
		w.Egresses = append(w.Egresses, out)
	}
	var pools []route.Pool
	for _, p := range cfg.Pools {
		pool := route.Pool{Name: p.Name, Senders: p.Senders, Accounts: p.Accounts}
		for _, name := range p.Egresses {
			pool.Egresses = append(pool.Egresses, index[name])
		}
		pools = append(pools, pool)
	}
	mode := route.Act
	if cfg.Mode == config.Observe {
		mode = route.Observe
	}
	var err error
	w.Table, err = route.NewTable(routes, pools, route.Options{Mode: mode})
	return w, err
}

func makeEgress(cfg *config.Config, e *config.Egress) (*dispatch.Egress, error) {
	out := &dispatch.Egress{Name: e.Name, Port: uint16(e.Port), MaxConnections: e.MaxConnections}
	o := smtpclient.Options{Helo: e.Helo, TLS: tlsMode(e.TLS), TLSConf: &tls.Config{MinVersion: tls.VersionTLS12}, Dialer: dialer(e)}
	if o.Helo == "" {
		o.Helo = cfg.Name()
	}
	switch e.Kind {
	case config.Smarthost:
		out.Smarthost = e.Host
		o.Username, o.Password = e.Username, string(e.Password)
		o.PlainAuth = isLoopback(e.Host)
	case config.SOCKS5:
		out.Port = 25
		d, err := smtpclient.SOCKS5Dialer(net.JoinHostPort(e.Host, strconv.Itoa(e.Port)), e.Username, string(e.Password))
		if err != nil {
			return nil, err
		}
		o.Dialer = d
	}
	out.Carrier = &dispatch.SMTP{Options: o}
	return out, nil
}

func dialer(e *config.Egress) smtpclient.Dialer {
	var s dispatch.Sources
	for _, ip := range e.Source {
		if ip.Unmap().Is4() {
			s.V4 = ip.Unmap()
		} else {
			s.V6 = ip
		}
	}
	return s
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func tlsMode(m config.EgressTLS) smtpclient.TLSMode {
	switch m {
	case config.Required:
		return smtpclient.Required
	case config.Verified:
		return smtpclient.Verified
	case config.ImplicitTLS:
		return smtpclient.Implicit
	case config.PlainText:
		return smtpclient.NoTLS
	}
	return smtpclient.Opportunistic
}

// sources tells health where the egresses send from.
func sources(cfg *config.Config) map[string]health.Source {
	all := make(map[string]health.Source)
	for i := range cfg.Egresses {
		e := &cfg.Egresses[i]
		if e.Kind == config.Direct && len(e.Source) > 0 {
			all[e.Name] = health.Source{Addrs: e.Source}
		}
	}
	return all
}

// Reload takes over a new configuration: limits, egresses, pools, keys, certificates, listeners. Sessions go on. What cannot
// change while ukai runs (the data directory) is named in the log. On an error the old configuration stays.
func (a *App) Reload(ctx context.Context, cfg *config.Config) error {
	began := time.Now()
	ways, err := makeWays(cfg)
	if err != nil {
		return err
	}
	lists, err := a.listsOptions(cfg)
	if err != nil {
		return err
	}
	if err := a.rules.Reload(cfg.Classify.Dir); err != nil {
		return err
	}
	if err := a.reloadServer(ctx, cfg); err != nil {
		return err // if the rules came from another directory, watchRules goes back to the one in force
	}
	a.sayRules(cfg.Classify.Dir, nil)
	if err := a.reloadAftermath(cfg); err != nil {
		return err
	}
	a.health.Configure(cfg.Health, a.sources(cfg))
	a.dispatch.SetWays(ways)
	a.setEgresses(ways)
	a.reloadWatch(cfg)
	a.lists.Set(lists)
	a.setNetworks(cfg)
	a.notify.Configure(a.notifyOptions(cfg))
	a.mu.Lock()
	old := a.cfg
	a.cfg = cfg
	a.mu.Unlock()
	if old.Data != cfg.Data || old.HTTP != cfg.HTTP {
		a.log.Warn("the data directory and the HTTP address change at a restart only")
	}
	a.reloadAgents(old, cfg)
	a.reloadSteer(old, cfg)
	a.log.Info("configuration reloaded", "took", time.Since(began).Round(time.Millisecond))
	return nil
}
