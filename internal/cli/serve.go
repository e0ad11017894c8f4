package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ukai/internal/config"
	"ukai/internal/i18n"
	"ukai/internal/systemd"
)

// server is a ukai that can run: app.App.
type server interface {
	// Run serves until ctx ends, and drains.
	Run(ctx context.Context) error
	// Reload takes over new settings; with an error nothing has changed.
	Reload(ctx context.Context, c *config.Config) error
}

// serveOptions is what a server gets besides its settings: the fields of app.Options.
type serveOptions struct {
	Log       *slog.Logger
	Version   string
	Inherited systemd.Listeners // sockets handed over by systemd, by name of the listener
	Notifier  *systemd.Notifier
}

func newServe(e *env) *cobra.Command {
	return e.command("serve", "cli.serve.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.config()
		if err != nil {
			return err
		}
		return e.serve(cmd.Context(), c)
	})
}

// serve runs a ukai until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the settings anew.
func (e *env) serve(ctx context.Context, c *config.Config) error {
	sockets, err := systemd.Inherited()
	if err != nil {
		return err
	}
	defer sockets.Close() // those that no listener took
	o := serveOptions{Log: newLogger(e.err, c.Log), Version: e.build().Version, Inherited: sockets, Notifier: systemd.NewNotifier(e.getenv)}
	s, err := e.start(ctx, c, o)
	if err != nil {
		return err
	}
	ctx, again := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer again()
	context.AfterFunc(ctx, again) // the second signal is not caught
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	reloaded := make(chan struct{})
	running, ended := context.WithCancel(ctx)
	go func() {
		defer close(reloaded)
		e.reloads(running, hangups, s, &o)
	}()
	err = s.Run(ctx)
	ended()
	<-reloaded
	return err
}

// reloads reads the settings anew at each hangup, until ctx ends. Settings with a mistake are told and left alone.
func (e *env) reloads(ctx context.Context, hangups <-chan os.Signal, s server, o *serveOptions) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		if err := o.Notifier.Reloading(); err != nil {
			o.Log.Warn("systemd not told", "error", err)
		}
		e.reload(ctx, s, o.Log)
		if err := o.Notifier.Ready("ready"); err != nil {
			o.Log.Warn("systemd not told", "error", err)
		}
	}
}

// reload takes over the settings, or logs every mistake in them. The server logs that it has done so.
func (e *env) reload(ctx context.Context, s server, log *slog.Logger) {
	c, problems := e.load()
	for i := range problems {
		p := &problems[i]
		log.Error("settings not reloaded", "where", p.Where(), "key", p.Key, "error", p.Text(e.lang))
	}
	if len(problems) > 0 {
		return
	}
	if err := s.Reload(ctx, c); err != nil {
		log.Error("settings not reloaded", "error", i18n.ErrorText(e.lang, err))
	}
}

// newLogger makes the logger that every room gets.
func newLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		panic("bug: a log level that config allows and slog does not: " + string(c.Level))
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
