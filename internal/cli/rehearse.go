package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/config"
	"ukai/internal/i18n"
	"ukai/internal/rehearse"
)

func newRehearse(e *env) *cobra.Command {
	var list, keep bool
	cmd := e.command("rehearse [SCENARIO]", "cli.rehearse.", args(0, 1), func(cmd *cobra.Command, a []string) error {
		if list {
			return e.listScenarios()
		}
		name := rehearse.DefaultScenario
		if len(a) > 0 {
			name = a[0]
		}
		s, err := e.scenario(name)
		if err != nil {
			return err
		}
		return e.rehearse(cmd.Context(), s, keep)
	})
	cmd.Flags().BoolVar(&list, "list", false, e.text("cli.rehearse.flag.list"))
	cmd.Flags().BoolVar(&keep, "keep", false, e.text("cli.rehearse.flag.keep"))
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, n := range rehearse.Shipped() {
			if s, err := rehearse.Load(n); err == nil {
				names = append(names, n+"\t"+s.Title.In(e.lang))
			}
		}
		return names, cobra.ShellCompDirectiveDefault // or a file
	}
	return cmd
}

// scenario loads one, with words for whoever misspelled it.
func (e *env) scenario(name string) (*rehearse.Scenario, error) {
	s, err := rehearse.Load(name)
	var unknown *rehearse.UnknownError
	if errors.As(err, &unknown) {
		all := strings.Join(unknown.All, ", ")
		if meant := config.Nearest(name, unknown.All); meant != "" {
			return nil, usage("cli.rehearse.meant", "name", name, "meant", meant, "all", all)
		}
		return nil, usage("cli.rehearse.unknown", "name", name, "all", all)
	}
	var found rehearse.Problems
	if errors.As(err, &found) {
		return nil, usage("cli.rehearse.bad", "problems", found.Text(e.lang))
	}
	if err != nil {
		return nil, &usageError{i18n.Errorf("cli.rehearse.unreadable", "cause", err)}
	}
	return s, nil
}

func (e *env) listScenarios() error {
	type entry struct {
		Name  string `json:"name"`
		Title string `json:"title"`
		About string `json:"about"`
	}
	var all []entry
	for _, name := range rehearse.Shipped() {
		s, err := rehearse.Load(name)
		if err != nil {
			return err
		}
		all = append(all, entry{name, s.Title.In(e.lang), s.About.In(e.lang)})
	}
	return e.show(map[string]any{"scenarios": all}, func(w io.Writer) {
		for i, x := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s  %s\n", x.Name, x.Title)
			for line := range strings.Lines(x.About) {
				fmt.Fprintf(w, "  %s\n", strings.TrimRight(line, "\n"))
			}
		}
	})
}

// rehearse plays a scenario and shows it. Ctrl-C ends it; a second one at once.
func (e *env) rehearse(ctx context.Context, s *rehearse.Scenario, keep bool) error {
	ctx, again := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer again()
	context.AfterFunc(ctx, again) // the second signal is not caught
	st := e.newStory(s)
	o := rehearse.Options{Lang: e.lang, Keep: keep, Tell: st.tell, Watch: st.watch}
	shown := false
	if keep && st.live && !e.json {
		o.Stay = func(r *rehearse.Report) {
			st.done()
			shown = true
			e.showReport(e.out, s, r)
			e.printf("%s\n", e.text("cli.rehearse.stay"))
			<-ctx.Done()
		}
	}
	st.begin()
	r, err := rehearse.Run(ctx, s, o)
	st.done()
	if errors.Is(err, context.Canceled) {
		return unknown(i18n.Errorf("cli.rehearse.interrupted"))
	}
	if err != nil {
		return err
	}
	if !shown {
		if err := e.show(r, func(w io.Writer) { e.showReport(w, s, r) }); err != nil {
			return err
		}
	}
	if !r.OK {
		return errFound
	}
	return nil
}

func (e *env) showReport(w io.Writer, s *rehearse.Scenario, r *rehearse.Report) {
	n := &r.Messages
	t := &table{indent: "  "}
	count := func(key string, n int, more string) {
		t.row(e.text(key), fmt.Sprintf("%7s", thousands(n)), more)
	}
	count("cli.rehearse.accepted", n.Accepted, e.text("cli.rehearse.domains", "count", r.Domains))
	count("cli.rehearse.delivered", n.Delivered, e.text("cli.rehearse.detours", "count", thousands(r.Detours)))
	count("cli.rehearse.bounced", n.Bounced, e.after("cli.rehearse.bounce_time", &r.AcceptedToBounce))
	count("cli.rehearse.held", n.Held, e.text("cli.rehearse.waiting", "count", thousands(r.MostWaiting)))
	count("cli.rehearse.lost", n.Lost, "")
	count("cli.rehearse.duplicated", n.Duplicated, "")
	count("cli.rehearse.refusals", r.Refusals, e.after("cli.rehearse.refusal_time", &r.RefusalToDelivery))
	if len(r.Paths) > 0 {
		count("cli.rehearse.attempts", r.AttemptsOnBlockedPath,
			e.text("cli.rehearse.attempts_of", "mail", thousands(r.MailWhileBlocked), "percent", percent(r.BlockedShare)))
	}
	count("cli.rehearse.notices", r.Notices.Count, e.firstNotice(r))
	count("cli.rehearse.cases", len(r.Cases), e.paperwork(r))
	fmt.Fprintf(w, "\n%s (%s)\n", s.Title.In(e.lang), e.text("cli.rehearse.took", "time", i18n.Duration(e.lang, realTime(r.Wall)), "speed", strconv.FormatFloat(r.Speed, 'f', -1, 64)))
	t.write(w)
	e.showPaths(w, r)
	e.showVerdict(w, r)
}

// firstNotice says how soon people were told, and that the first channel they have did not work.
func (e *env) firstNotice(r *rehearse.Report) string {
	if r.Notices.Count == 0 {
		return ""
	}
	return e.text("cli.rehearse.notice_time", "time", i18n.Duration(e.lang, realTime(r.Notices.Delay)), "broken", thousands(r.Notices.Broken))
}

// paperwork says what became of the delisting cases. How long one stood is a time of the story.
func (e *env) paperwork(r *rehearse.Report) string {
	if len(r.Cases) == 0 {
		return ""
	}
	open, most, of := 0, 0.0, ""
	for i := range r.Cases {
		c := &r.Cases[i]
		if c.Closed == 0 {
			open++
		}
		if c.Outlives > most {
			most, of = c.Outlives, c.Name
		}
	}
	if of == "" {
		return e.text("cli.rehearse.cases_open", "count", open)
	}
	return e.text("cli.rehearse.cases_outlive", "count", open, "name", of, "time", i18n.Duration(e.lang, realTime(most*r.Speed).Round(time.Minute)))
}

// showPaths shows the ways that were shut, with times of the story.
func (e *env) showPaths(w io.Writer, r *rehearse.Report) {
	if len(r.Paths) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(e.text("cli.rehearse.col.path"), e.text("cli.rehearse.col.shut"), e.text("cli.rehearse.col.return"), e.text("cli.rehearse.col.state"))
	t.indent = "  "
	story := func(ms float64) string {
		return i18n.Duration(e.lang, time.Duration(ms*r.Speed*float64(time.Millisecond)))
	}
	for _, p := range r.Paths {
		back := "-"
		if p.TimeToReturn > 0 {
			back = story(p.TimeToReturn)
		}
		t.row(p.Egress+" → "+p.Provider, story(p.Shut), back, e.text("health.state."+p.State))
	}
	t.write(w)
}

// showVerdict says whether the expectations hold, and where to look further.
func (e *env) showVerdict(w io.Writer, r *rehearse.Report) {
	fmt.Fprintln(w)
	for _, f := range r.Failed {
		fmt.Fprintln(w, e.text("cli.rehearse.not", "expected", f.Expected, "got", strconv.FormatFloat(f.Got, 'f', -1, 64)))
	}
	if r.OK {
		fmt.Fprintln(w, e.text("cli.rehearse.ok"))
	}
	if r.Settings != "" {
		fmt.Fprintln(w, e.text("cli.rehearse.kept", "file", r.Settings, "id", r.Example))
	}
}

// after says how long something took, or nothing when it did not happen.
func (e *env) after(key string, s *rehearse.Spread) string {
	if s.N == 0 {
		return ""
	}
	return e.text(key, "p50", i18n.Duration(e.lang, realTime(s.P50)), "max", i18n.Duration(e.lang, realTime(s.Max)))
}

func realTime(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func percent(ratio float64) string { return strconv.FormatFloat(ratio*100, 'f', 2, 64) }

// thousands writes 8449 as 8,449.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
