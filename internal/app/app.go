// Package app builds ukai: it makes every part from the configuration, starts them in order and stops them in reverse.
//
// It is the only room that knows two engines at once. Two Apps can live in one process, with their own data directories and
// addresses; that is how a rehearsal has a real ukai and a real relay.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ukai/internal/account"
	"ukai/internal/api"
	"ukai/internal/cases"
	"ukai/internal/classify"
	"ukai/internal/config"
	"ukai/internal/dispatch"
	"ukai/internal/dns"
	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/intake"
	"ukai/internal/journal"
	"ukai/internal/notify"
	"ukai/internal/outcome"
	"ukai/internal/provider"
	"ukai/internal/queue"
	"ukai/internal/servers"
	"ukai/internal/smtpserver"
	"ukai/internal/steer"
	"ukai/internal/store"
	"ukai/internal/systemd"
	"ukai/internal/unclassified"
	"ukai/internal/watch"
)

// Options are what an App gets besides its configuration.
type Options struct {
	Log       *slog.Logger
	Version   string
	Inherited systemd.Listeners // sockets handed over by systemd, by name of the listener
	Notifier  *systemd.Notifier // may be nil
	// OnChange and OnOutcome, if not nil, see each change of a path and each outcome with its verdict, besides journal and
	// metrics. They are called from the goroutines that send, which they hold up: they must be quick.
	OnChange  func(health.Change)
	OnOutcome func(*outcome.Outcome, *classify.Verdict)
	// OnIncident, if not nil, sees each event of an incident, under the same terms.
	OnIncident func(incident.Event)
	// Speed makes the clocks of the monitor of blocklists and of incidents go faster, for a rehearsal; 0: 1.
	Speed float64
}

// App is a ukai.
type App struct {
	opts    Options
	log     *slog.Logger
	started time.Time

	db        *store.DB
	queue     *queue.Embedded
	journal   *journal.Journal
	accounts  *account.Book
	health    *health.Book
	incidents *incident.Book
	notify    *notify.Notifier
	cases     *cases.Book
	providers *provider.Catalogue
	resolver  dns.Resolver
	dispatch  *dispatch.Dispatcher
	intake    *intake.Intake
	smtp      *smtpserver.Server
	watch     *watch.Hub
	lists     *watch.Lists
	positions *watch.Places
	steer     *steer.Steer
	lookups   net.Listener // nil: no live lookups
	servers   *servers.Book
	// serversChanged is told, with room for one, that the book of servers is another.
	serversChanged chan struct{}
	metrics        *api.Metrics
	rules          *classify.Live
	// unclassified are the replies that no rule knows.
	unclassified *unclassified.Keeper
	parts        *api.Parts
	certs        *certificates
	after        aftermath
	doors        doors
	networks     atomic.Pointer[map[string]string] // by egress

	mu     sync.Mutex // guards the fields below
	cfg    *config.Config
	egress []string // names, in order
	open   []opened // SMTP listeners
	agents agentListener
}

// opened is an SMTP listener that is bound.
type opened struct {
	cfg config.Listener
	net net.Listener
}

// New builds an App and binds its addresses; nothing is served before Run. When it fails, everything it had opened is closed.
func New(ctx context.Context, cfg *config.Config, opts Options) (*App, error) {
	a := &App{opts: opts, log: opts.Log, cfg: cfg, started: time.Now(), certs: newCertificates(cfg.Data), serversChanged: make(chan struct{}, 1)}
	for _, step := range []func(context.Context, *config.Config) error{
		a.openData, a.openKnowledge, a.openJudgement, a.openIncidents, a.openCases, a.openAftermath, a.openServers, a.buildDispatch, a.buildWatch, a.openSteer, a.buildLists, a.buildServer, a.openNotify, a.bind,
	} {
		if err := step(ctx, cfg); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// openData opens what is kept in the data directory.
func (a *App) openData(ctx context.Context, cfg *config.Config) (err error) {
	if err := prepareDir(cfg.Data); err != nil {
		return err
	}
	qopts := queue.Options{Log: a.log.With("room", "queue"), MinFree: int64(cfg.Queue.MinFree)}
	if a.queue, err = queue.Open(filepath.Join(cfg.Data, "queue"), qopts); err != nil {
		return queueError(cfg.Data, err)
	}
	if err := a.openDatabase(ctx, cfg); err != nil {
		return i18n.Errorf("app.data.database", "file", filepath.Join(cfg.Data, DatabaseName), "cause", err)
	}
	return nil
}

// openDatabase opens the control database with what is kept there.
func (a *App) openDatabase(ctx context.Context, cfg *config.Config) (err error) {
	if a.db, err = store.Open(filepath.Join(cfg.Data, DatabaseName), true); err != nil {
		return err
	}
	if a.journal, err = journal.Open(ctx, a.db, journal.Options{Keep: cfg.Queue.Keep}, a.log.With("room", "journal")); err != nil {
		return err
	}
	a.accounts, err = account.Open(ctx, a.db, account.Options{})
	return err
}

// Addr returns the address that a listener is bound to, by its name; nil when there is none.
func (a *App) Addr(listener string) net.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.open {
		if o.cfg.Name == listener {
			return o.net.Addr()
		}
	}
	return nil
}

// Run serves until ctx ends, then drains: no new mail is taken, transactions under way end, the queue is closed. An error is
// what made it end before its time.
func (a *App) Run(ctx context.Context) error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	long := func(name string, f func(context.Context) error) {
		all.Go(func() {
			if err := f(work); err != nil && work.Err() == nil {
				stop(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	long("health", a.health.Run)
	long("incident", func(ctx context.Context) error { return a.incidents.Run(ctx, a.log.With("room", "incident")) })
	long("cases", func(ctx context.Context) error { return a.cases.Run(ctx, a.log.With("room", "cases")) })
	long("notify", a.notify.Run)
	long("dispatch", a.dispatch.Run)
	long("suppress", a.after.suppress.Run)
	long("return path", a.turnKeys)
	long("watch", a.watch.Run)
	long("servers", func(ctx context.Context) error { return a.servers.Run(ctx, a.log.With("room", "servers")) })
	long("connected servers", a.keepServers)
	long("steer", a.steer.Run)
	if a.lookups != nil {
		long("lookups", a.serveLookups)
	}
	long("lists", a.lists.Run)
	long("submission", a.watchAccounts)
	long("rules", a.watchRules)
	long("unclassified", a.unclassified.Run)
	long("watchdog", func(ctx context.Context) error {
		return a.opts.Notifier.Run(ctx, func() bool { return a.queue.Stats().Broken == "" })
	})
	a.serveListeners(work, long)
	a.doors.serve(long)
	journaling, endJournal := context.WithCancel(context.WithoutCancel(ctx))
	defer endJournal()
	var last sync.WaitGroup
	last.Go(func() { _ = a.journal.Run(journaling) }) // its errors are in the log

	a.ready()
	<-work.Done()
	a.drain()
	all.Wait()
	endJournal() // last, so that the drain is in the journal too
	last.Wait()
	err := context.Cause(work)
	if ctx.Err() != nil {
		err = nil // told to stop
	}
	return errors.Join(err, a.Close())
}

func (a *App) ready() {
	a.mu.Lock()
	names := make([]any, 0, 2*len(a.open))
	for _, o := range a.open {
		names = append(names, o.cfg.Name, o.net.Addr().String())
	}
	a.mu.Unlock()
	st := a.queue.Stats()
	a.log.Info("ukai is ready", append(names, "messages", st.Messages, "took", time.Since(a.started).Round(time.Millisecond))...)
	if err := a.opts.Notifier.Ready("ready"); err != nil {
		a.log.Warn("systemd not told", "error", err)
	}
}

// drain ends sessions: those that idle at once with 421, those within a message when it has its reply, at most after 30 s.
func (a *App) drain() {
	if err := a.opts.Notifier.Stopping(); err != nil {
		a.log.Warn("systemd not told", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := a.smtp.Shutdown(ctx); err != nil {
		a.log.Warn("sessions cut off at shutdown", "error", err)
	}
	a.doors.shutdown(ctx)
	a.log.Info("drained")
}

// Close closes what New opened. Run calls it.
func (a *App) Close() error {
	a.mu.Lock()
	for _, o := range a.open {
		_ = o.net.Close() // closed by the server already, when it ran
	}
	a.open = nil
	a.mu.Unlock()
	a.doors.close()
	if a.lookups != nil {
		_ = a.lookups.Close() // by Serve already, when it ran
	}
	var errs []error
	if a.health != nil && a.db != nil {
		errs = append(errs, a.health.Save(context.Background()))
	}
	if a.queue != nil {
		errs = append(errs, a.queue.Close())
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}
