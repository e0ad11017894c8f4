// Package agent serves a mail server that is not on the machine of ukai: it tells the hub what the server meets, and keeps the
// server's files of routes as the hub says.
//
// It is small on purpose. What a refusal means, which path is shut and when it opens again is decided at the hub, for all
// servers together; so a refusal that one of them meets protects the others, and the rules are mended in one place.
//
// # When the hub is away
//
// Outcomes are gathered, the oldest dropped when there are too many: what is older than some minutes moves no path. The files
// stay as they are for Options.Patience, since a hub that is restarted must not send the mail of a blocked provider against the
// wall; after that they are emptied, and the server delivers as it did before it was connected. A hub that does not know the
// server any more takes no mail of it either: then they are emptied at once.
//
// An agent that is killed leaves the files as they are. The server goes on, since each route names the former one second, or is
// backed by the safety net; at its next start the agent asks before it writes.
package agent

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/servers"
	"ukai/internal/steer"
	"ukai/internal/watch"
)

// Hub is the ukai that knows all. Its methods are called from one goroutine each and may fail at any time; they have a limit of
// time of their own. Where the hub does not know the server, or not under this secret, the cause is servers.ErrUnknown.
type Hub interface {
	// Tell tells at most Batch outcomes. A batch told again, under the same name, counts once.
	Tell(ctx context.Context, batch string, list []watch.Told) error
	// Detours returns what the files have to say; changed is false where it is what it was under the tag.
	Detours(ctx context.Context, tag string) (d steer.Detours, next string, changed bool, err error)
	// Drift tells which files of the server are not as they were written.
	Drift(ctx context.Context, d servers.Drift) error
}

// Server is the mail server that is served.
type Server struct {
	Name   string
	Root   string // as in mtaconf.System
	Routes []mtaconf.RouteFile
}

// Options of an Agent. Zero values mean the defaults.
type Options struct {
	Server Server
	Hub    Hub
	// Source reads the server's log; nil: there is none.
	Source watch.Source
	// Drift looks which files are not as they were written; nil: nobody looks.
	Drift func(ctx context.Context) ([]string, error)
	// Every is how often the hub is asked for routes, Gather how long outcomes are gathered. Defaults 3 s and 500 ms.
	Every, Gather time.Duration
	// Patience is how long the files stay when the hub is away. Default 10 min.
	Patience time.Duration
	// LookEvery is how often drift is looked for. Default 10 min.
	LookEvery time.Duration
	Log       *slog.Logger
}

// The sizes.
const (
	Batch   = 500    // outcomes told at a time
	maxKept = 20_000 // outcomes kept while the hub is away
	// maxPause is the longest pause between two tries to tell, or to start a log that cannot be read.
	maxPause = 30 * time.Second
)

// Agent serves one mail server.
type Agent struct {
	o    Options
	more chan struct{} // capacity 1: there is something to tell

	mu      sync.Mutex // guards the fields below
	kept    []watch.Told
	dropped int
}

// New makes an Agent.
func New(o Options) *Agent {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Every, 3*time.Second)
	def(&o.Gather, 500*time.Millisecond)
	def(&o.Patience, 10*time.Minute)
	def(&o.LookEvery, 10*time.Minute)
	return &Agent{o: o, more: make(chan struct{}, 1)}
}

// Run serves until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { a.keepRoutes(ctx) })
	all.Go(func() { a.tell(ctx) })
	if a.o.Source != nil {
		all.Go(func() { a.read(ctx) })
	}
	if a.o.Drift != nil {
		all.Go(func() { a.look(ctx) })
	}
	all.Wait()
	return nil
}

// wait pauses; false: ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// read follows the log, and begins again after a pause that grows when that fails.
func (a *Agent) read(ctx context.Context) {
	for pause := time.Second; ; pause = min(2*pause, maxPause) {
		err := a.o.Source.Run(ctx, a.see)
		if ctx.Err() != nil {
			return
		}
		a.o.Log.Warn("log not read, it is tried again", "server", a.o.Server.Name, "error", err)
		if !wait(ctx, pause) {
			return
		}
	}
}

// see keeps an outcome for the hub. What is told of long after it happened moves no path there, and is left out.
func (a *Agent) see(o watch.Observation) {
	if o.Late {
		return
	}
	a.mu.Lock()
	if len(a.kept) >= maxKept {
		a.kept = slices.Delete(a.kept, 0, maxKept/10) // a tenth at a time: each drop moves all that stay
		a.dropped += maxKept / 10
	}
	a.kept = append(a.kept, o.Tell())
	a.mu.Unlock()
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// look tells now and then which files somebody has changed.
func (a *Agent) look(ctx context.Context) {
	for pause := time.Second; wait(ctx, pause); pause = a.o.LookEvery {
		files, err := a.o.Drift(ctx)
		if err == nil {
			err = a.o.Hub.Drift(ctx, servers.Drift{Files: files})
		}
		if err != nil && ctx.Err() == nil {
			a.o.Log.Warn("drift not told", "server", a.o.Server.Name, "error", err)
		}
	}
}
