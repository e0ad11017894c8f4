package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"ukai/internal/config"
	"ukai/internal/dkim"
	"ukai/internal/guard"
	"ukai/internal/i18n"
	"ukai/internal/intake"
	"ukai/internal/smtpserver"
)

// submissionListener is opened beside the default listener while accounts exist: people's mail programs then have a place to log in.
var submissionListener = config.Listener{
	Name: "submission", Address: "127.0.0.1:2587", TLS: config.StartTLS, Auth: config.AuthRequired, Submission: true,
}

// buildServer makes everything that receives.
func (a *App) buildServer(_ context.Context, cfg *config.Config) error {
	signer, err := loadSigner(cfg)
	if err != nil {
		return err
	}
	policy, err := policies(cfg)
	if err != nil {
		return err
	}
	a.intake = intake.New(intake.Parts{
		Store: a.queue, Journal: a.journal, Accounts: a.accounts, Guard: guard.New(guard.Options{}), Suppress: a.after.suppress, Log: a.log.With("room", "intake"),
	}, intake.Options{Hostname: cfg.Name(), OnAccepted: a.metrics.OnAccepted})
	a.intake.Configure(policy, signer)
	a.setReports(cfg)
	a.smtp = smtpserver.New(serverOptions(cfg), a.intake, a.intake, a.log.With("room", "smtpserver"))
	return nil
}

// policies tells intake for each listener who may relay.
func policies(cfg *config.Config) (map[string]intake.Policy, error) {
	all := map[string]intake.Policy{submissionListener.Name: {Accounts: true, AccountsOnly: true, Submission: true}}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		relay, err := guard.NewRelay(l.Relay)
		if err != nil {
			return nil, err
		}
		all[l.Name] = intake.Policy{
			Relay: relay, Accounts: l.Auth != config.AuthOff || l.ClientCA != "", AccountsOnly: l.Auth == config.AuthRequired, Submission: l.Submission, Reports: l.Reports,
		}
	}
	return all, nil
}

func serverOptions(cfg *config.Config) smtpserver.Options {
	var own []netip.Prefix // a mail server of ours may open a connection per message
	for i := range cfg.Listeners {
		own = append(own, cfg.Listeners[i].Relay...)
	}
	return smtpserver.Options{
		Hostname: cfg.Name(), MaxSize: int64(cfg.Limits.MessageSize), MaxRecipients: cfg.Limits.Recipients, MaxLine: cfg.Limits.Line,
		Clients: smtpserver.ClientLimits{
			Total: cfg.Limits.Connections, Connections: cfg.Limits.ConnectionsPerClient, PerMinute: cfg.Limits.ConnectionsPerMinute,
			Exempt: own,
		},
	}
}

func loadSigner(cfg *config.Config) (*dkim.Signer, error) {
	if len(cfg.DKIM) == 0 {
		return nil, nil
	}
	keys := make([]dkim.Key, 0, len(cfg.DKIM))
	for _, k := range cfg.DKIM {
		text, err := os.ReadFile(k.Key)
		if err != nil {
			return nil, i18n.Errorf("app.dkim.read", "domain", k.Domain, "file", k.Key, "cause", err)
		}
		private, err := dkim.ParsePEM(text)
		if err != nil {
			return nil, i18n.Errorf("app.dkim.read", "domain", k.Domain, "file", k.Key, "cause", err)
		}
		keys = append(keys, dkim.Key{Domain: k.Domain, Selector: k.Selector, Private: private, Subdomains: k.Subdomains})
	}
	return dkim.NewSigner(keys)
}

func (a *App) listenerOptions(l *config.Listener) (smtpserver.ListenerOptions, error) {
	o := smtpserver.ListenerOptions{Name: l.Name, Proxy: l.ProxyProtocol, Implicit: l.TLS == config.Implicit, ClientCerts: l.ClientCA != ""}
	if l.Auth == config.AuthOff {
		o.Auth = smtpserver.AuthNone
	}
	if l.TLS == config.NoTLS {
		return o, nil
	}
	get, err := a.certs.source(l)
	if err != nil {
		return o, err
	}
	o.TLS = func() *tls.Config { return get() }
	return o, nil
}

// bind opens every SMTP address, and the doors of the API.
func (a *App) bind(ctx context.Context, cfg *config.Config) error {
	for i := range cfg.Listeners {
		if err := a.open1(ctx, cfg.Listeners[i]); err != nil {
			return err
		}
	}
	if n, err := a.accounts.Count(ctx); err != nil {
		return err
	} else if n > 0 {
		if err := a.openSubmission(ctx, cfg); err != nil {
			return err
		}
	}
	return a.bindDoors(ctx, cfg)
}

func (a *App) open1(ctx context.Context, l config.Listener) error {
	if _, err := a.listenerOptions(&l); err != nil {
		return err
	}
	nets := a.opts.Inherited.Take(l.Name)
	if len(nets) == 0 {
		var lc net.ListenConfig
		n, err := lc.Listen(ctx, "tcp", l.Address)
		if err != nil {
			return i18n.Errorf("app.listen", "name", l.Name, "address", l.Address, "cause", err)
		}
		nets = append(nets, n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range nets {
		a.open = append(a.open, opened{cfg: l, net: n})
	}
	return nil
}

// openSubmission opens the listener for accounts, unless the configuration says where accounts log in.
func (a *App) openSubmission(ctx context.Context, cfg *config.Config) error {
	if !cfg.DefaultListeners() {
		return nil
	}
	return a.open1(ctx, submissionListener)
}

// serveListeners serves what is bound.
func (a *App) serveListeners(ctx context.Context, long func(string, func(context.Context) error)) {
	a.mu.Lock()
	open := a.open
	a.mu.Unlock()
	for _, o := range open {
		long("listener "+o.cfg.Name, func(context.Context) error { return a.serve(ctx, o) })
	}
}

func (a *App) serve(ctx context.Context, o opened) error {
	lo, err := a.listenerOptions(&o.cfg)
	if err != nil {
		return err
	}
	return a.smtp.Serve(ctx, o.net, lo)
}

// watchAccounts opens the submission listener when the first account is made while ukai runs.
func (a *App) watchAccounts(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for a.Addr(submissionListener.Name) == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n, err := a.accounts.Count(ctx)
		if err != nil || n == 0 {
			continue
		}
		a.mu.Lock()
		cfg := a.cfg
		a.mu.Unlock()
		if err := a.openSubmission(ctx, cfg); err != nil {
			a.log.Error("submission listener not opened", "error", err)
			return nil
		}
		a.mu.Lock()
		o := a.open[len(a.open)-1]
		a.mu.Unlock()
		if o.cfg.Name != submissionListener.Name {
			return nil // the configuration has its own
		}
		a.log.Info("submission listener opened", "address", o.net.Addr().String())
		return a.serve(ctx, o)
	}
	return nil
}

// reloadServer takes over what concerns receiving. A listener that is new in the file, or gone from it, waits for a restart.
func (a *App) reloadServer(_ context.Context, cfg *config.Config) error {
	signer, err := loadSigner(cfg)
	if err != nil {
		return err
	}
	policy, err := policies(cfg)
	if err != nil {
		return err
	}
	if err := a.certs.reload(); err != nil {
		return err
	}
	options := make([]smtpserver.ListenerOptions, 0, len(cfg.Listeners))
	for i := range cfg.Listeners {
		o, err := a.listenerOptions(&cfg.Listeners[i])
		if err != nil {
			return fmt.Errorf("listener %s: %w", cfg.Listeners[i].Name, err)
		}
		options = append(options, o)
	}
	a.intake.Configure(policy, signer)
	a.smtp.SetOptions(serverOptions(cfg))
	for _, o := range options {
		if !a.smtp.SetListenerOptions(o) {
			a.log.Warn("a new listener is opened at a restart only", "listener", o.Name)
		}
	}
	return nil
}
