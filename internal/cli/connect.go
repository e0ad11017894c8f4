package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/connect"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/servers"
)

// connectCommand is one call of "ukai connect".
type connectCommand struct {
	*env
	mta                               mtaconf.MTA
	root, mode, relay, instance       string
	server, live, join, egress        string
	username, passwordFile            string
	plan, apply, status, remove       bool
	tls, alone, aloneGiven            bool
	watch, greet                      time.Duration
	modeGiven, serverGiven, liveGiven bool

	engine *connect.Engine
	book   *registrar // nil: nobody is told
	line   *progress
}

// defaultWatch is how long the first deliveries are watched: the first retry of a queue, and a few messages of a busy server.
const defaultWatch = 30 * time.Second

// defaultGreet is how long a server has to greet after a reload.
const defaultGreet = 20 * time.Second

func newConnect(e *env) *cobra.Command {
	c := &connectCommand{env: e}
	cmd := e.command("connect [MTA]", "cli.connect.", args(0, 1), func(cmd *cobra.Command, a []string) error {
		if len(a) > 0 {
			c.mta = mtaconf.MTA(strings.ToLower(a[0]))
		}
		f := cmd.Flags()
		c.modeGiven, c.serverGiven, c.liveGiven = f.Changed("mode"), f.Changed("server"), f.Changed("live")
		c.aloneGiven = c.alone
		return c.run(cmd.Context())
	})
	cmd.Use = "connect [postfix|exim|sendmail|qmail|opensmtpd|plesk] [--plan|--apply|--status|--remove]"
	f := cmd.Flags()
	f.BoolVar(&c.plan, "plan", false, e.text("cli.connect.flag.plan"))
	f.BoolVar(&c.apply, "apply", false, e.text("cli.connect.flag.apply"))
	f.BoolVar(&c.status, "status", false, e.text("cli.connect.flag.status"))
	f.BoolVar(&c.remove, "remove", false, e.text("cli.connect.flag.remove"))
	f.StringVar(&c.mode, "mode", "", e.text("cli.connect.flag.mode"))
	f.StringVar(&c.relay, "relay", "", e.text("cli.connect.flag.relay"))
	f.StringVar(&c.root, "root", "", e.text("cli.connect.flag.root"))
	f.StringVar(&c.instance, "instance", "", e.text("cli.connect.flag.instance"))
	f.StringVar(&c.server, "server", "", e.text("cli.connect.flag.server"))
	f.StringVar(&c.live, "live", "", e.text("cli.connect.flag.live"))
	f.StringVar(&c.username, "username", "", e.text("cli.connect.flag.username"))
	f.StringVar(&c.passwordFile, "password-file", "", e.text("cli.connect.flag.password_file"))
	f.BoolVar(&c.tls, "tls", false, e.text("cli.connect.flag.tls"))
	f.StringVar(&c.join, "join", "", e.text("cli.connect.flag.join"))
	f.StringVar(&c.egress, "egress", "", e.text("cli.connect.flag.egress"))
	f.BoolVar(&c.alone, "no-register", false, e.text("cli.connect.flag.alone"))
	f.DurationVar(&c.watch, "watch", defaultWatch, e.text("cli.connect.flag.watch"))
	f.DurationVar(&c.greet, "greet", defaultGreet, e.text("cli.connect.flag.greet"))
	must(cmd.MarkFlagDirname("root"))
	must(cmd.MarkFlagFilename("password-file"))
	must(cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{string(mtaconf.SafetyNet), string(mtaconf.Steer), string(mtaconf.Relay)}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.ValidArgsFunction = cobra.FixedCompletions(connectable, cobra.ShellCompDirectiveNoFileComp)
	return cmd
}

// connectable are the kinds of server as they are written on the command line.
var connectable = []string{"postfix", "exim", "sendmail", "qmail", "opensmtpd", "plesk"}

// check finds what cannot be meant.
func (c *connectCommand) check() error {
	given := 0
	for _, b := range []bool{c.plan, c.apply, c.status, c.remove} {
		if b {
			given++
		}
	}
	switch {
	case given > 1:
		return usage("cli.connect.one_of")
	case given == 0:
		c.plan = true // looking harms nothing
	}
	switch mtaconf.Mode(c.mode) {
	case "", mtaconf.Relay, mtaconf.SafetyNet, mtaconf.Steer:
	default:
		return usage("cli.connect.mode", "value", c.mode)
	}
	if c.greet <= 0 {
		return usage("cli.connect.greet", "value", c.greet.String())
	}
	if c.watch < 0 {
		return usage("cli.connect.watch", "value", c.watch.String())
	}
	if (c.username == "") != (c.passwordFile == "") {
		return usage("cli.connect.both")
	}
	return nil
}

// run does what was asked for.
func (c *connectCommand) run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	// A second signal is not caught: whoever means it may end the program, and the next call ends what was begun.
	ctx, again := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer again()
	context.AfterFunc(ctx, again)
	c.line = c.progress()
	defer c.line.done()
	c.root = strings.TrimRight(c.root, "/")
	o := connect.Options{Root: c.root, Watch: c.watch, Greet: c.greet, Tell: c.step}
	if !c.alone {
		r, err := c.newRegistrar(c.root, c.join, c.egress)
		if err != nil {
			return err
		}
		c.book, o.Registrar = r, r
	}
	c.engine = connect.New(o)
	err := c.act(ctx)
	var undone *connect.UndoneError
	if errors.As(err, &undone) {
		return unknown(c.rolledBack(undone))
	}
	return err
}

// rolledBack says what went wrong, and that it was taken back.
func (c *connectCommand) rolledBack(u *connect.UndoneError) error {
	if u.Trouble != nil {
		return i18n.Errorf("connect.undone.part", "cause", u.Cause, "trouble", i18n.ErrorText(c.lang, u.Trouble))
	}
	return i18n.Errorf("connect.undone", "cause", u.Cause)
}

func (c *connectCommand) act(ctx context.Context) error {
	if c.status || c.remove {
		t, err := c.engine.Connected(c.mta, c.instance)
		if err != nil {
			return err
		}
		if c.remove {
			return c.doRemove(ctx, t)
		}
		return c.doStatus(ctx, t)
	}
	t, err := c.engine.Find(c.mta, c.instance)
	if err != nil {
		return err
	}
	r, err := c.request(ctx, t)
	if err != nil {
		return err
	}
	if c.apply {
		return c.doApply(ctx, t, r)
	}
	p, err := c.engine.Plan(ctx, t, *r)
	if err != nil {
		return err
	}
	c.line.done()
	return c.show(c.planJSON(p), func(w io.Writer) { c.showPlan(w, p) })
}

func (c *connectCommand) doApply(ctx context.Context, t *connect.Target, r *connect.Request) error {
	report, err := c.engine.Apply(ctx, t, *r)
	if err != nil {
		return err
	}
	c.line.done()
	return c.show(c.reportJSON(report), func(w io.Writer) { c.showReport(w, report) })
}

func (c *connectCommand) doRemove(ctx context.Context, t *connect.Target) error {
	r, err := c.engine.Remove(ctx, t)
	if err != nil {
		return err
	}
	c.line.done()
	return c.show(r, func(w io.Writer) { c.showRemoval(w, r) })
}

func (c *connectCommand) doStatus(ctx context.Context, t *connect.Target) error {
	r, err := c.request(ctx, t)
	if err != nil {
		return err
	}
	st, err := c.engine.Status(ctx, t, r)
	if err != nil {
		return err
	}
	if st.Connected && !c.alone {
		// That ukai is not there, or does not know the server, is no trouble of this look.
		_ = c.book.drift(ctx, st.Server, servers.Drift{At: c.now(), Files: driftedFiles(st)})
	}
	c.line.done()
	if err := c.show(c.statusJSON(st), func(w io.Writer) { c.showStatus(w, st) }); err != nil {
		return err
	}
	if st.Drifted() {
		return errFound
	}
	return nil
}

// step shows what is being done: on one line of a terminal, or once each in a log.
func (c *connectCommand) step(s connect.Step) {
	text := c.text(s.Note.Key, s.Note.Args...)
	if s.Left > 0 {
		text += " " + c.text("cli.connect.left", "time", i18n.Duration(c.lang, s.Left.Round(time.Second)))
	}
	c.line.update(cut(text, 100))
}
