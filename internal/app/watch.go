package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"ukai/internal/config"
	"ukai/internal/provider"
	"ukai/internal/watch"
)

// buildWatch makes what reads the logs and the mailboxes of other servers.
func (a *App) buildWatch(ctx context.Context, cfg *config.Config) (err error) {
	if a.positions, err = watch.OpenPlaces(ctx, a.db); err != nil {
		return err
	}
	a.watch = watch.New(watch.Parts{
		Health: a.health, Journal: a.journal, Rules: a.rules, Providers: a.providers, Lookup: a.receives, Seen: a.observed, Log: a.log.With("room", "watch"),
	}, watchOptions(cfg))
	a.watch.Set(a.watched(cfg))
	return nil
}

// reloadWatch takes over other sources; those that are the same go on.
func (a *App) reloadWatch(cfg *config.Config) {
	a.watch.Configure(watchOptions(cfg))
	a.watch.Set(a.watched(cfg))
}

// receives finds out who receives for a domain, by its MX.
func (a *App) receives(ctx context.Context, domain string) provider.ID {
	dest, trouble := a.dispatch.Directory.Find(ctx, domain)
	if trouble != nil {
		return ""
	}
	return dest.Provider
}

func watchOptions(cfg *config.Config) watch.Options {
	o := watch.Options{Egresses: make(map[string][]netip.Addr), Own: []string{cfg.Name()}, Late: cfg.Health.Window}
	for i := range cfg.Egresses {
		e := &cfg.Egresses[i]
		if e.Kind == config.Direct {
			o.Egresses[e.Name] = e.Source
		}
		if e.Helo != "" {
			o.Own = append(o.Own, e.Helo)
		}
	}
	if host, _, err := net.SplitHostPort(cfg.Steer.Relay); err == nil {
		o.Own = append(o.Own, host)
	}
	return o
}

// observed takes in what the Hub has placed.
func (a *App) observed(o *watch.Observation) {
	a.seen(o)
	a.serverSeen(o)
	a.wrote(o)
}

// watched makes the sources of the settings. What a source was made from tells whether it is the same one after a reload; a
// password is told by more than its stars.
func (a *App) watched(cfg *config.Config) []watch.Entry {
	know := watch.Knowledge{Judge: a.rules, Providers: a.providers}
	log := a.log.With("room", "watch")
	var all []watch.Entry
	add := func(s watch.Source, settings any, secret string) {
		all = append(all, watch.Entry{Source: s, Print: fmt.Sprintf("%T%+v %s", settings, settings, secret)})
	}
	for _, l := range cfg.Watch.Logs {
		add(watch.NewTail(watch.LogOptions{
			Name: l.Name, Paths: l.Paths, Server: l.Server, Egress: l.Egress, FromStart: l.From == config.FromStart,
		}, know, a.positions, log), l, "")
	}
	for _, m := range cfg.Watch.Maildirs {
		add(watch.NewMaildir(watch.MaildirOptions{
			Name: m.Name, Dir: m.Path, Server: m.Server, Egress: m.Egress, Move: m.Done == config.DoneMove, Poll: m.Poll,
		}, a.watch, log), m, "")
	}
	for _, m := range cfg.Watch.IMAP {
		add(a.mailbox(&m, log), m, string(m.Password))
	}
	return append(all, a.serverLogs(know)...)
}

// mailbox makes the source that reads by IMAP.
func (a *App) mailbox(m *config.WatchIMAP, log *slog.Logger) watch.Source {
	o := watch.IMAPOptions{
		Name: m.Name, Host: m.Host, Port: m.Port, TLS: watch.IMAPTLS(m.TLS), CA: m.CA, Username: m.Username, Password: string(m.Password),
		Mailbox: m.Mailbox, Server: m.Server, Egress: m.Egress, Poll: m.Poll,
	}
	if m.Done == config.DoneMove {
		o.Folder = m.Folder
	}
	return watch.NewIMAP(o, a.watch, a.positions, log)
}

// watchedNames are the names that the paths of watched servers go by, as far as the settings tell: a log of several machines names
// its servers itself.
func (a *App) watchedNames() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	add := func(source, server, egress string) {
		if egress == "" {
			names = append(names, strings.ToLower(cmp.Or(server, source)))
		}
	}
	for _, l := range a.cfg.Watch.Logs {
		if l.Server != "" {
			add(l.Name, l.Server, l.Egress)
		}
	}
	for _, m := range a.cfg.Watch.Maildirs {
		add(m.Name, m.Server, m.Egress)
	}
	for _, m := range a.cfg.Watch.IMAP {
		add(m.Name, m.Server, m.Egress)
	}
	return names
}
