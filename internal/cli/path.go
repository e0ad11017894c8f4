package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/health"
	"ukai/internal/i18n"
)

func newPath(e *env) *cobra.Command {
	return e.group("path", "cli.path.", newPathList(e), newPathShow(e), newPathBlock(e), newPathClear(e))
}

func newPathList(e *env) *cobra.Command {
	var all bool
	cmd := e.command("list", "cli.path.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Paths(cmd.Context())
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listPaths(w, list, all) })
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, e.text("cli.path.flag.all"))
	return cmd
}

// listPaths shows the paths that are not healthy, or all of them.
func (e *env) listPaths(w io.Writer, list []api.PathInfo, all bool) {
	t := newTable(e.text("cli.path.col.provider"), e.text("cli.path.col.egress"), e.text("cli.path.col.state"), e.text("cli.path.col.since"),
		e.text("cli.path.col.sent"), e.text("cli.path.col.why"))
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.path.list.none"))
		return
	}
	shown := 0
	for i := range list {
		p := &list[i]
		if !all && p.State == health.Healthy && p.Pin == nil {
			continue
		}
		shown++
		t.row(p.Key.Provider, p.Key.Egress, e.state(p), e.ago(p.Since), strconv.Itoa(p.Sent), e.whyPath(p.Why, p))
	}
	if shown > 0 {
		t.write(w)
	}
	if hidden := len(list) - shown; hidden > 0 || shown == 0 {
		fmt.Fprintln(w, e.text("cli.path.list.healthy", "count", hidden))
	}
}

// state says where a path stands and what comes next.
func (e *env) state(p *api.PathInfo) string {
	s := e.text("health.state." + p.State.String())
	switch {
	case p.Pin != nil:
		return e.text("cli.path.pinned", "state", s)
	case p.State == health.Recovering:
		return e.text("cli.path.share", "state", s, "percent", strconv.Itoa(int(p.Share*100+0.5)))
	case p.State == health.Blocked && !p.Probe.Next.IsZero():
		return e.text("cli.path.probe", "state", s, "at", p.Probe.Next.Local().Format("15:04:05"))
	}
	return s
}

func (e *env) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := e.now().Sub(t)
	if d < time.Second {
		return e.text("cli.path.just")
	}
	return e.text("cli.path.ago", "time", i18n.Duration(e.lang, d))
}

func (e *env) whyPath(key string, p *api.PathInfo) string {
	if key == "" {
		return ""
	}
	return e.text(key, "egress", p.Key.Egress, "provider", p.Key.Provider)
}

func newPathShow(e *env) *cobra.Command {
	return e.command("show EGRESS PROVIDER", "cli.path.show.", args(2, 2), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.Path(cmd.Context(), a[0], a[1])
		if absent(err) {
			return i18n.Errorf("cli.path.unknown", "egress", a[0], "provider", a[1], "cause", err)
		}
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) { e.showPath(w, &s) })
	})
}

func (e *env) showPath(w io.Writer, s *api.PathStory) {
	p := &s.Path
	fmt.Fprintf(w, "%s -> %s: %s\n", p.Key.Egress, p.Key.Provider, e.state(p))
	if p.Why != "" {
		fmt.Fprintf(w, "  %s\n", e.whyPath(p.Why, p))
	}
	if p.Pin != nil {
		fmt.Fprintf(w, "  %s\n", e.pin(p.Pin))
	}
	if len(p.Evidence) > 0 {
		fmt.Fprintf(w, "\n%s\n", e.text("cli.path.evidence"))
		for i := range p.Evidence {
			ev := &p.Evidence[i]
			fmt.Fprintf(w, "  %s  %s  %s\n", clock(ev.At), e.text("classify.class."+ev.Verdict.Class), ev.Outcome.Text())
		}
	}
	if len(s.Changes) > 0 {
		fmt.Fprintf(w, "\n%s\n", e.text("cli.path.changes"))
		t := &table{indent: "  "}
		for i := range s.Changes {
			c := &s.Changes[i]
			t.row(clock(c.At), e.text("health.state."+c.Before), "->", e.text("health.state."+c.After), e.whyPath(c.Why, p))
		}
		t.write(w)
	}
}

// pin says who shut a path by hand, for how long and why.
func (e *env) pin(p *health.Pin) string {
	key := "cli.path.pin"
	if !p.Until.IsZero() {
		key = "cli.path.pin.until"
	}
	s := e.text(key, "by", or(p.By, "?"), "at", p.At, "until", p.Until)
	if p.Why != "" {
		s += e.text("cli.path.pin.why", "why", p.Why)
	}
	return s
}

// or returns s, or what stands for it where there is nothing.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// absent tells whether ukai knows nothing of what was asked for.
func absent(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

func newPathBlock(e *env) *cobra.Command {
	var lasts time.Duration
	var reason string
	cmd := e.command("block EGRESS PROVIDER", "cli.path.block.", args(2, 2), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		req := api.BlockRequest{Why: reason, By: e.who()}
		if lasts > 0 {
			req.Until = e.now().Add(lasts)
		}
		p, err := c.Block(cmd.Context(), a[0], a[1], req)
		if err != nil {
			return err
		}
		return e.show(p, func(w io.Writer) {
			fmt.Fprintln(w, e.text("cli.path.blocked", "egress", p.Key.Egress, "provider", p.Key.Provider))
		})
	})
	cmd.Flags().DurationVar(&lasts, "for", 0, e.text("cli.path.flag.for"))
	cmd.Flags().StringVar(&reason, "why", "", e.text("cli.path.flag.why"))
	return cmd
}

func newPathClear(e *env) *cobra.Command {
	return e.command("clear EGRESS PROVIDER", "cli.path.clear.", args(2, 2), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		p, err := c.Clear(cmd.Context(), a[0], a[1])
		if err != nil {
			return err
		}
		return e.show(p, func(w io.Writer) {
			fmt.Fprintln(w, e.text("cli.path.cleared", "egress", p.Key.Egress, "provider", p.Key.Provider))
		})
	})
}
