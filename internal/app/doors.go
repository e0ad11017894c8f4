package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/i18n"
)

// doors are the two ways into the API: see package api.
type doors struct{ all []door }

type door struct {
	name string
	net  net.Listener
	http *http.Server
}

// bindDoors opens the control socket and, where configured, the HTTP address.
func (a *App) bindDoors(ctx context.Context, cfg *config.Config) error {
	a.parts = &api.Parts{
		Store: a.queue, Health: a.health, Journal: a.journal, Dispatch: a.dispatch, Metrics: a.metrics, Suppress: a.after.suppress, Log: a.log.With("room", "api"),
		Started: a.started, Version: a.opts.Version, Now: time.Now, Egresses: a.egresses, Watched: a.watchedNames, Rules: a.rules, Unclassified: a.unclassified, Incidents: a.incidents, Notify: a.notify, Cases: a.cases, Watch: a.watch, Lists: a.lists, Steering: a.steering(),
		Mode: func() string { a.mu.Lock(); defer a.mu.Unlock(); return string(a.cfg.Mode) },
	}
	a.metrics.Watch(a.parts)
	socket, err := api.Socket(cfg.Data)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) { // left by a crash: the queue's lock says nobody else is here
		return i18n.Errorf("app.socket", "path", socket, "cause", err)
	}
	control, err := lc.Listen(ctx, "unix", socket)
	if err != nil {
		return i18n.Errorf("app.socket", "path", socket, "cause", err)
	}
	a.doors.add("control", control, api.Control(a.parts))
	if err := os.Chmod(socket, 0o600); err != nil {
		return i18n.Errorf("app.socket", "path", socket, "cause", err)
	}
	if err := a.bindAgents(ctx, cfg); err != nil || cfg.HTTP.Listen == "" {
		return err
	}
	public, err := lc.Listen(ctx, "tcp", cfg.HTTP.Listen)
	if err != nil {
		return i18n.Errorf("app.listen", "name", "http", "address", cfg.HTTP.Listen, "cause", err)
	}
	a.doors.add("http", public, api.Public(a.parts))
	return nil
}

func (a *App) egresses() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.egress
}

func (d *doors) add(name string, l net.Listener, h http.Handler) {
	d.all = append(d.all, door{name, l, &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}})
}

func (d *doors) serve(long func(string, func(context.Context) error)) {
	for _, x := range d.all {
		long(x.name, func(context.Context) error {
			if err := x.http.Serve(x.net); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
}

func (d *doors) shutdown(ctx context.Context) {
	for _, x := range d.all {
		_ = x.http.Shutdown(ctx) // what does not end in time is cut off by close
	}
}

func (d *doors) close() {
	for _, x := range d.all {
		_ = x.http.Close() // closed already after Run
		_ = x.net.Close()
	}
	d.all = nil
}
