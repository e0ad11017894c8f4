package app

import (
	"cmp"
	"context"
	"errors"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/mail"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// openSteer makes what tells the connected servers which mail takes the detour.
func (a *App) openSteer(ctx context.Context, cfg *config.Config) (err error) {
	a.steer, err = steer.Open(ctx, steer.Parts{
		Health: a.health, Providers: a.providers, Receives: a.receives, Check: a.servers.Check, Observe: a.toldLive, Heard: a.servers.Touch,
		DB: a.db, Log: a.log.With("room", "steer"),
	}, steerOptions(cfg))
	if err != nil {
		return err
	}
	if cfg.Steer.Listen != "" {
		a.lookups, err = steer.Listen(ctx, steer.ListenOptions{Address: cfg.Steer.Listen, Group: cfg.Steer.Group})
		if err != nil {
			return err
		}
	}
	return a.steer.Set(ctx, a.steered())
}

func steerOptions(cfg *config.Config) steer.Options {
	return steer.Options{Observe: cfg.Mode == config.Observe, NoFiles: !cfg.Steer.Files, Default: cfg.Steer.Server}
}

// steered are the connected servers as package steer knows them.
func (a *App) steered() (all []steer.Server) {
	for _, s := range a.servers.List() {
		if !s.Joined() {
			continue
		}
		all = append(all, steer.Server{
			Name: s.Name, Egress: s.Egress, Net: netBehind(&s), Root: s.Place.Root, Files: s.Routes, Distant: s.Distant(),
			Answer: cmp.Or(s.Answer, "ukai"), // whoever only wants to know whether there is one
		})
	}
	return all
}

// netBehind tells whether a message that is refused goes to the detour by the server's own means: then it may be a probe. Exim,
// Sendmail and OpenSMTPD would bounce it.
func netBehind(s *servers.Server) bool {
	switch s.MTA {
	case mtaconf.Postfix, mtaconf.Qmail, mtaconf.Plesk:
		return s.Mode != mtaconf.Relay
	}
	return false
}

// followSteered takes over who is in the book.
func (a *App) followSteered() {
	if err := a.steer.Set(context.Background(), a.steered()); err != nil {
		a.log.Error("connected servers not taken over", "error", err)
	}
}

// reloadSteer takes over the settings.
func (a *App) reloadSteer(old, cfg *config.Config) {
	a.steer.Configure(steerOptions(cfg))
	if old.Steer.Listen != cfg.Steer.Listen || old.Steer.Group != cfg.Steer.Group {
		a.log.Warn("the address for lookups changes at a restart only")
	}
}

// serveLookups answers the live lookups.
func (a *App) serveLookups(ctx context.Context) error { return a.steer.Serve(ctx, a.lookups) }

// toldLive takes what a server tells over the address for lookups, and says whether its address was refused for its reputation.
func (a *App) toldLive(t *steer.Told) bool {
	s, err := a.servers.Get(t.Server)
	if errors.Is(err, servers.ErrUnknown) {
		return false
	}
	a.watch.Take(watch.Witness{Source: "lookup " + s.Name, Server: s.Name, Egress: s.Egress}, []watch.Told{
		{Outcome: t.Outcome, Recipient: t.Recipient, Sender: t.Sender, MessageID: t.MessageID},
	})
	o := t.Outcome
	o.Provider = a.providers.ByHost(o.Host).ID
	return a.rules.Classify(&o).Reputation
}

// wrote notes which domains a connected server writes to.
func (a *App) wrote(o *watch.Observation) {
	if a.steer == nil || o.Hearsay {
		return
	}
	a.steer.Seen(o.Server, mail.Domain(o.Recipient), o.Outcome.Provider, o.Outcome.At)
}

// detoured is the mail of a server that takes the detour, as its files say it.
func (a *App) detoured(name string) steer.Detours {
	d, _ := a.steer.Detours(name) // nothing of a server that is not in the book
	return d
}

// unkept finds a file of routes of a server on this machine that ukai has not the rights to keep: under packaging/ukai.service it
// may write in its own directories only.
func (a *App) unkept(s *servers.Server) *api.Unkept {
	for i := range s.Routes {
		f := &s.Routes[i]
		if err := steer.MayKeep(s.Place.Root, f); err != nil {
			return &api.Unkept{File: f.Path, Cause: err.Error()}
		}
	}
	return nil
}
