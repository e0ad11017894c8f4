package rehearse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"ukai/internal/account"
	"ukai/internal/api"
	"ukai/internal/app"
	"ukai/internal/config"
	"ukai/internal/health"
	"ukai/internal/peersim"
	"ukai/internal/store"
)

// node is a ukai in this process: the one that is put to the test, or one that is its clean relay.
type node struct {
	name string
	cfg  *config.Config
	opts app.Options
	log  *os.File
	fail func(error) // told when it ends without being told to

	app    *app.App
	stop   context.CancelFunc
	done   chan struct{}
	client *api.Client
}

// newNode prepares a ukai with its data in a directory of its own.
func newNode(name, dir string, cfg *config.Config, fail func(error)) (*node, error) {
	cfg.Data = filepath.Join(dir, name)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(cfg.Data + ".log")
	if err != nil {
		return nil, err
	}
	return &node{
		name: name, cfg: cfg, log: log, fail: fail, client: api.NewClient(cfg.Data),
		opts: app.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})), Version: "rehearsal"},
	}, nil
}

// start builds and runs it. Started again, it listens where it did before.
func (n *node) start(ctx context.Context) error {
	a, err := app.New(ctx, n.cfg, n.opts)
	if err != nil {
		return err
	}
	n.cfg.Listeners[0].Address = a.Addr(n.cfg.Listeners[0].Name).String()
	run, stop := context.WithCancel(context.WithoutCancel(ctx)) // it ends by halt, after those who use it
	n.app, n.stop, n.done = a, stop, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		if err := a.Run(run); err != nil {
			n.fail(fmt.Errorf("%s: %w", n.name, err))
		}
	}(n.done)
	return nil
}

// halt ends it as SIGTERM would and waits for its end.
func (n *node) halt() {
	if n.app == nil {
		return
	}
	n.stop()
	<-n.done
	n.app = nil
}

func (n *node) close() {
	n.halt()
	n.log.Close()
}

// addr returns where it takes mail in.
func (n *node) addr() netip.AddrPort {
	ap, err := netip.ParseAddrPort(n.cfg.Listeners[0].Address)
	if err != nil {
		panic("bug: a listener without an address: " + err.Error())
	}
	return ap
}

// rehearsed are the settings that both have: the defaults, with the world of the rehearsal around them and a faster clock.
func rehearsed(w *peersim.World, speed float64) *config.Config {
	c := config.Default()
	c.Log.Level = "info"
	c.DNS = config.DNS{Servers: []string{w.DNS()}, Timeout: time.Second, MaxTTL: time.Minute, AllowLoopback: true}
	c.HTTP.Listen = ""
	c.Health = health.Thresholds{}.Scaled(speed)
	for i := range c.Queue.Retry {
		c.Queue.Retry[i] = time.Duration(float64(c.Queue.Retry[i]) / speed)
	}
	c.Queue.DelayWarning = 0 // a warning would look like a bounce to the simulated sender
	c.Queue.MinFree = 1 << 20
	c.Limits.ConnectionsPerMinute = 100_000 // all traffic comes from one address
	c.Limits.ConnectionsPerClient = 1000
	return c
}

const (
	relayUser = "rehearsal"
	mainHost  = "ukai.rehearsal.example"
)

// relayConfig are the settings of a clean relay: an account over TLS, one direct egress.
func relayConfig(w *peersim.World, speed float64, e *Egress) *config.Config {
	c := rehearsed(w, speed)
	c.Hostname = e.Name + ".rehearsal.example"
	c.Listeners = []config.Listener{{
		Name: "submission", Address: net.JoinHostPort(e.source.String(), "0"), TLS: config.StartTLS, Auth: config.AuthRequired,
	}}
	c.Egresses = []config.Egress{directEgress(w, c, "direct", e.source)}
	c.Pools = []config.Pool{{Name: "default", Egresses: []string{"direct"}}}
	return c
}

func directEgress(w *peersim.World, c *config.Config, name string, source netip.Addr) config.Egress {
	return config.Egress{
		Name: name, Kind: config.Direct, Source: []netip.Addr{source}, Port: int(w.Port()), TLS: config.Opportunistic,
		BulkShare: 50, MaxConnections: c.Limits.OutConnections,
	}
}

// addAccount enters the account that the first ukai sends with into a relay's book, before that is started.
func addAccount(ctx context.Context, dataDir, password string) error {
	db, err := store.Open(filepath.Join(dataDir, "ukai.db"), true)
	if err != nil {
		return err
	}
	book, err := account.Open(ctx, db, account.Options{})
	if err == nil {
		err = book.Add(ctx, account.Account{Name: relayUser, Domains: []string{account.AnyDomain}, Created: time.Now()}, password)
	}
	return errors.Join(err, db.Close())
}

// relayEgress is the way of the first ukai over a relay.
func relayEgress(c *config.Config, name string, at netip.AddrPort, password string) config.Egress {
	return config.Egress{
		Name: name, Kind: config.Smarthost, Host: at.Addr().String(), Port: int(at.Port()), TLS: config.Required,
		Username: relayUser, Password: config.Secret(password), BulkShare: 50, MaxConnections: c.Limits.OutConnections,
	}
}
