package app

import (
	"context"
	"sync/atomic"
	"time"

	"ukai/internal/config"
	"ukai/internal/dsn"
	"ukai/internal/i18n"
	"ukai/internal/intake"
	"ukai/internal/mail"
	"ukai/internal/suppress"
	"ukai/internal/verp"
	"ukai/internal/watch"
)

// aftermath is what is done about mail after it was handed over: where reports come in, and whom they speak of.
type aftermath struct {
	suppress *suppress.Book
	ring     *verp.Ring                   // nil until a bounce address is configured
	returns  atomic.Pointer[verp.Returns] // nil: reverse-paths stay as they are
}

// openAftermath opens the book of suppressed recipients and, where there is a bounce address, the keys of its tokens.
func (a *App) openAftermath(ctx context.Context, cfg *config.Config) (err error) {
	a.after.suppress, err = suppress.Open(ctx, a.db, suppression(cfg), a.log.With("room", "suppress"))
	if err != nil {
		return err
	}
	return a.setReturns(cfg)
}

func suppression(cfg *config.Config) suppress.Options {
	s := &cfg.Suppression
	return suppress.Options{Confirmations: s.Confirmations, Apart: s.Apart, Keep: s.Keep, Off: !s.Enabled, Passive: cfg.Mode == config.Observe}
}

// setReturns makes return paths as the settings say. Keys are made when the first bounce address is configured, and then kept.
func (a *App) setReturns(cfg *config.Config) (err error) {
	address, ok := cfg.Reports.BounceAddress()
	if !ok {
		a.after.returns.Store(nil)
		return nil
	}
	lives := verp.Lives{Key: cfg.Reports.KeyLife, Token: cfg.Reports.TokenLife}
	if a.after.ring == nil {
		if a.after.ring, err = verp.OpenRing(cfg.Data, lives, time.Now()); err != nil {
			return i18n.Errorf("app.data.returnpath", "dir", cfg.Data, "file", verp.KeyFile, "cause", err)
		}
	}
	a.after.ring.SetLives(lives)
	a.after.returns.Store(&verp.Returns{Ring: a.after.ring, Address: address, Senders: cfg.Reports.Senders, Unsigned: cfg.Reports.Unsigned})
	return nil
}

// returnPath gives the reverse-path of a delivery: see dispatch.Options.
func (a *App) returnPath(env *mail.Envelope, n int) string {
	r := a.after.returns.Load()
	if r == nil {
		return env.From
	}
	return r.For(env, n, time.Now())
}

// setReports tells intake what becomes of mail for the bounce address.
func (a *App) setReports(cfg *config.Config) {
	r := a.after.returns.Load()
	if r == nil {
		a.intake.SetReports(nil)
		return
	}
	a.intake.SetReports(&intake.Reports{Returns: r, Plain: cfg.Reports.Plain, Postmaster: cfg.Reports.Postmaster, Read: dsn.Read, Heard: a.heard})
}

// reloadAftermath takes over what concerns reports and suppressed recipients.
func (a *App) reloadAftermath(cfg *config.Config) error {
	if err := a.setReturns(cfg); err != nil {
		return err
	}
	a.setReports(cfg)
	a.after.suppress.SetOptions(suppression(cfg))
	return nil
}

// heard passes a report on that came in under a token.
func (a *App) heard(ctx context.Context, r *intake.Report) {
	a.watch.Report(ctx, watch.Mail{Source: "reports", Arrived: r.At, Msg: r.Msg}, r.Reading)
}

// seen takes in what a report says of a recipient of ours. What nobody can tie to a message of ours says nothing here.
func (a *App) seen(o *watch.Observation) {
	if o.Msg == 0 || o.Hearsay {
		return
	}
	n := suppress.Notice{At: o.Outcome.At, Recipient: o.Recipient, Msg: o.Msg, Verdict: o.Verdict, Text: o.Outcome.Text(), Host: o.Outcome.Host, Late: true}
	if err := a.after.suppress.Note(context.Background(), &n); err != nil {
		a.log.Warn("reported recipient not remembered", "msg_id", o.Msg.String(), "error", err)
	}
}

// turnKeys replaces the keys of the return path when they have served their time.
func (a *App) turnKeys(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r := a.after.returns.Load()
			if r == nil {
				continue
			}
			if err := r.Ring.Turn(now); err != nil {
				a.log.Error("keys of the return path not replaced", "error", err)
			}
		}
	}
}
