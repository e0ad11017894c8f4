package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/classify"
	"ukai/internal/explain"
	"ukai/internal/i18n"
	"ukai/internal/maillog"
	"ukai/internal/survey"
)

// logsFlags are the flags of logs.
type logsFlags struct {
	since, until     string
	provider, domain string
	details          bool
}

func newLogs(e *env) *cobra.Command {
	var f logsFlags
	cmd := e.command("logs [FILE...]", "cli.logs.", args(0, -1), func(cmd *cobra.Command, files []string) error {
		return e.logs(cmd.Context(), files, &f)
	})
	cmd.ValidArgsFunction = nil // files
	cmd.Flags().StringVar(&f.since, "since", "", e.text("cli.logs.flag.since"))
	cmd.Flags().StringVar(&f.until, "until", "", e.text("cli.logs.flag.until"))
	cmd.Flags().StringVar(&f.provider, "provider", "", e.text("cli.logs.flag.provider"))
	cmd.Flags().StringVar(&f.domain, "domain", "", e.text("cli.logs.flag.domain"))
	cmd.Flags().BoolVar(&f.details, "details", false, e.text("cli.logs.flag.details"))
	must(cmd.RegisterFlagCompletionFunc("provider", completeProviders))
	return cmd
}

// logsReport is what the command found, as --json shows it.
type logsReport struct {
	Files       []string  `json:"files"`
	Since       time.Time `json:"since,omitzero"` // as asked for
	Until       time.Time `json:"until,omitzero"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Read        logsRead  `json:"read"`
	Skipped     []string  `json:"skipped,omitempty"` // what was not read, in the language of --lang

	*survey.Result
}

// logsRead counts lines.
type logsRead struct {
	Lines   int64            `json:"lines"`
	Bytes   int64            `json:"bytes"` // unpacked
	Unknown int64            `json:"unknown"`
	Foreign int64            `json:"foreign"` // of other programs
	Servers map[string]int64 `json:"servers,omitempty"`
	First   time.Time        `json:"first,omitzero"` // the first line of a mail server
	Last    time.Time        `json:"last,omitzero"`
}

// logs reads logs and tells what they say. Ctrl-C ends the reading; what was read until then is shown all the same.
func (e *env) logs(ctx context.Context, files []string, f *logsFlags) error {
	span, err := e.span(f)
	if err != nil {
		return err
	}
	s, x, err := e.surveyor(f)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		if files = usualLogs(); len(files) == 0 {
			return unknown(i18n.Errorf("cli.logs.none", "usual", strings.Join(maillog.Known("")[:4], ", ")))
		}
	}
	bar := e.logsBar()
	set, err := maillog.Open(files, maillog.Options{Now: e.now(), Location: time.Local, Progress: bar.tell})
	if err != nil {
		bar.done()
		return unknown(err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	st, err := set.Read(ctx, func(ev *maillog.Event) error {
		if span.holds(ev.At) {
			s.Add(ev)
		}
		return nil
	})
	stop() // a second Ctrl-C ends the program
	bar.done()
	if err != nil && !errors.Is(err, context.Canceled) {
		return unknown(err)
	}
	r := e.logsReport(set, &st, s.Result())
	r.Since, r.Until, r.Interrupted = span.from, span.to, err != nil
	if st.Mail == 0 {
		return unknown(i18n.Errorf("cli.logs.nothing", "files", list(r.Files, 3), "why", or(strings.Join(r.Skipped, "\n"), "-")))
	}
	if err := e.show(r, func(w io.Writer) { e.showLogs(w, x, r, f.details) }); err != nil {
		return err
	}
	switch {
	case r.Interrupted:
		return &exitError{code: exitUnknown}
	case refusing(r.Result):
		return errFound
	}
	return nil
}

// surveyor loads what the judgement needs.
func (e *env) surveyor(f *logsFlags) (*survey.Survey, *explain.Explainer, error) {
	x, err := e.explainer("")
	if err != nil {
		return nil, nil, err
	}
	if f.provider != "" && !strings.Contains(f.provider, ".") && len(x.Providers.Rows(f.provider)) == 0 && f.provider != "localhost" {
		return nil, nil, usage("cli.logs.provider", "provider", f.provider)
	}
	return survey.New(x.Rules, x.Providers, survey.Options{Provider: f.provider, Domain: f.domain}), x, nil
}

func (e *env) logsReport(set *maillog.Set, st *maillog.Stats, res *survey.Result) *logsReport {
	r := &logsReport{Files: set.Paths(), Result: res, Read: logsRead{
		Lines: st.Lines, Bytes: st.Bytes, Unknown: st.Unknown, Foreign: st.Foreign, First: st.First, Last: st.Last, Servers: make(map[string]int64),
	}}
	for m, n := range st.PerMTA {
		if n > 0 {
			r.Read.Servers[maillog.MTA(m).String()] = n
		}
	}
	for _, err := range st.Skipped {
		r.Skipped = append(r.Skipped, i18n.ErrorText(e.lang, err))
	}
	if r.Providers == nil {
		r.Providers = []survey.Provider{}
	}
	return r
}

// refusing tells whether a provider refuses us when the log ends.
func refusing(r *survey.Result) bool {
	return slices.ContainsFunc(r.Providers, func(p survey.Provider) bool { return lasting(&p) != nil })
}

// lasting returns the trouble of a provider that is not over, or nil.
func lasting(p *survey.Provider) *survey.Episode {
	for i := range p.Trouble {
		if p.Trouble[i].Until.IsZero() {
			return &p.Trouble[i]
		}
	}
	return nil
}

// foremost returns the most frequent cause that counts against our address.
func foremost(p *survey.Provider) *survey.Cause {
	for i := range p.Causes {
		if c := &p.Causes[i]; c.Reputation && c.Class != classify.Unclassified {
			return c
		}
	}
	return nil
}

// usualLogs returns the logs that are where mail servers usually put them, with those that were rotated.
func usualLogs() []string {
	return logsAmong(maillog.Known(""))
}

// logsAmong returns those of the paths that are there, each file once, with its rotated ones (".1", ".2.gz", "-20190415").
func logsAmong(paths []string) []string {
	var found []string
	seen := newSameFiles()
	for _, path := range paths {
		if !seen.fresh(path) {
			continue
		}
		found = append(found, path)
		for _, pattern := range []string{path + ".[0-9]*", path + "-[0-9]*"} {
			old, err := filepath.Glob(pattern)
			if err != nil {
				continue // a pattern of ours is never bad
			}
			for _, name := range old {
				if seen.fresh(name) {
					found = append(found, name)
				}
			}
		}
	}
	return found
}
