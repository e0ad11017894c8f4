package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"ukai/internal/servers"
	"ukai/internal/steer"
)

// keeper is what is known of the files of routes.
type keeper struct {
	tag     string    // of what stands in them; "" where nobody knows
	contact time.Time // when the hub answered last; at the start: when that was
	empty   bool      // they were emptied, because the hub is away
	away    bool      // that was told
	ill     bool      // they could not be written, which was told
}

// keepRoutes asks the hub for the routes and writes them.
func (a *Agent) keepRoutes(ctx context.Context) {
	if len(a.o.Server.Routes) == 0 {
		a.keepContact(ctx)
		return
	}
	k := keeper{contact: time.Now()}
	for {
		a.routesOnce(ctx, &k)
		if !wait(ctx, spread(a.o.Every)) {
			return
		}
	}
}

// keepContact asks all the same, where there is no file: so the hub knows that the server is there.
func (a *Agent) keepContact(ctx context.Context) {
	for pause := time.Duration(0); wait(ctx, pause); pause = spread(time.Minute) {
		if _, _, _, err := a.o.Hub.Detours(ctx, ""); err != nil && ctx.Err() == nil {
			a.o.Log.Warn("hub does not answer", "server", a.o.Server.Name, "error", err)
		}
	}
}

// spread keeps many agents from asking at the same moment: give or take a fifth.
func spread(d time.Duration) time.Duration {
	return d - d/5 + time.Duration(rand.Int64N(int64(2*d/5)+1))
}

func (a *Agent) routesOnce(ctx context.Context, k *keeper) {
	d, tag, changed, err := a.o.Hub.Detours(ctx, k.tag)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		a.without(ctx, k, err)
		return
	case k.away:
		a.o.Log.Info("the hub is there again", "server", a.o.Server.Name)
	}
	k.contact, k.away = time.Now(), false
	if changed && !a.write(ctx, k, &d) {
		return // the tag stays: it is tried again
	}
	k.tag, k.empty = tag, false
}

// without says what becomes of the files while the hub does not answer.
func (a *Agent) without(ctx context.Context, k *keeper, err error) {
	unknown := errors.Is(err, servers.ErrUnknown)
	if !k.away {
		a.o.Log.Warn("the hub does not say where mail goes", "server", a.o.Server.Name, "error", err)
		k.away = true
	}
	if k.empty || !unknown && time.Since(k.contact) < a.o.Patience {
		return
	}
	if a.write(ctx, k, &steer.Detours{}) {
		a.o.Log.Warn("files of routes emptied: the server delivers as it did before", "server", a.o.Server.Name)
		k.empty, k.tag = true, ""
	}
}

// write brings all files up to date and has the server see them.
func (a *Agent) write(ctx context.Context, k *keeper, d *steer.Detours) bool {
	var trouble error
	for i := range a.o.Server.Routes {
		f := &a.o.Server.Routes[i]
		_, routes, err := steer.WriteRoutes(a.o.Server.Root, f, d)
		if err == nil {
			err = steer.RunThen(ctx, a.o.Server.Root, f)
		}
		if err == nil {
			a.o.Log.Info("routes written", "server", a.o.Server.Name, "file", f.Path, "routes", routes)
		}
		trouble = errors.Join(trouble, err)
	}
	if trouble != nil && !k.ill && ctx.Err() == nil {
		a.o.Log.Error("routes not in force, it is tried again", "server", a.o.Server.Name, "error", trouble)
	}
	k.ill = trouble != nil
	return trouble == nil
}
