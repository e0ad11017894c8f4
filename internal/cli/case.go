package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/cases"
	"ukai/internal/i18n"
)

func newCase(e *env) *cobra.Command {
	return e.group("case", "cli.case.", newCaseList(e), newCaseShow(e), newCaseText(e), newCaseFix(e), newCaseDone(e), newCaseReopen(e))
}

func newCaseList(e *env) *cobra.Command {
	var all bool
	cmd := e.command("list", "cli.case.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Cases(cmd.Context(), 0)
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listCases(w, list, all) })
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, e.text("cli.case.flag.all"))
	return cmd
}

func (e *env) listCases(w io.Writer, list []api.CaseInfo, all bool) {
	t := newTable(e.text("cli.case.col.id"), e.text("cli.case.col.state"), e.text("cli.case.col.opened"), e.text("cli.case.col.due"), e.text("cli.case.col.what"))
	shown := 0
	for n := range list {
		c := &list[n].Case
		if !c.Standing() && !all {
			continue
		}
		shown++
		words := c.Say(e.lang, &list[n].Facts)
		due := "-"
		if !c.Due.IsZero() {
			due = clock(c.Due)
		}
		t.row(strconv.FormatInt(c.ID, 10), words.State, e.ago(c.Opened), due, words.Title)
	}
	if shown > 0 {
		t.write(w)
	}
	if over := len(list) - shown; over > 0 {
		fmt.Fprintln(w, e.text("cli.case.list.over", "count", over))
	} else if shown == 0 {
		fmt.Fprintln(w, e.text("cli.case.list.none"))
	}
}

// caseCommand makes a command that asks for one case with f and shows it.
func (e *env) caseCommand(use, texts string, f func(cmd *cobra.Command, c *api.Client, id int64, rest []string) (api.CaseInfo, error),
	human func(w io.Writer, i *api.CaseInfo)) *cobra.Command {
	n := len(strings.Fields(use)) - 1
	return e.command(use, texts, args(n, n), func(cmd *cobra.Command, a []string) error {
		id, err := strconv.ParseInt(strings.TrimPrefix(a[0], "#"), 10, 64)
		if err != nil || id < 1 {
			return usage("cli.case.id", "value", a[0])
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		i, err := f(cmd, c, id, a[1:])
		var problem *api.Problem
		switch {
		case absent(err):
			return i18n.Errorf("cli.case.unknown", "id", id, "cause", err)
		case errors.As(err, &problem) && problem.Status == http.StatusConflict:
			return i18n.Errorf("cli.case.refused", "id", id, "cause", err)
		case err != nil:
			return err
		}
		return e.show(&i, func(w io.Writer) { human(w, &i) })
	})
}

func newCaseShow(e *env) *cobra.Command {
	return e.caseCommand("show ID", "cli.case.show.", func(cmd *cobra.Command, c *api.Client, id int64, _ []string) (api.CaseInfo, error) {
		return c.Case(cmd.Context(), id)
	}, e.showCase)
}

// marks stand before the checks.
var marks = map[cases.Result]string{cases.OK: "o", cases.Bad: "x", cases.Unknown: "?"}

func (e *env) showCase(w io.Writer, i *api.CaseInfo) {
	c := &i.Case
	words := c.Say(e.lang, &i.Facts)
	fmt.Fprintf(w, "#%d  %s\n", c.ID, words.Title)
	t := &table{indent: "  "}
	t.row(e.text("cli.case.state"), words.State)
	t.row(e.text("cli.case.opened"), clock(c.Opened))
	if !c.Due.IsZero() {
		t.row(e.text("cli.case.due"), clock(c.Due))
	}
	if !c.Ended.IsZero() {
		t.row(e.text("cli.case.ended"), clock(c.Ended))
	}
	t.row(e.text("cli.case.incident"), strconv.FormatInt(c.About.Incident, 10))
	t.write(w)
	e.section(w, "cli.case.next", []string{words.Next})
	e.showChecks(w, words.Checks)
	e.section(w, "cli.case.door", words.Door)
	e.section(w, "cli.case.values", words.Values)
	e.section(w, "cli.case.steps", words.Steps)
	fmt.Fprintf(w, "\n%s\n", e.text("cli.case.story"))
	for _, l := range words.Story {
		paragraph(w, "  "+clock(l.At)+"  ", strings.Repeat(" ", 23), l.Text)
	}
}

// showChecks writes what has to be in order: "o" is, "x" is not, "?" nobody knows.
func (e *env) showChecks(w io.Writer, checks []cases.CheckLine) {
	if len(checks) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.text("cli.case.checks"))
	for _, k := range checks {
		paragraph(w, "  "+marks[k.Result]+" ", "    ", k.Text)
		if k.Do != "" {
			paragraph(w, "    > ", "      ", k.Do)
		}
	}
}

func newCaseText(e *env) *cobra.Command {
	return e.caseCommand("text ID", "cli.case.text.", func(cmd *cobra.Command, c *api.Client, id int64, _ []string) (api.CaseInfo, error) {
		i, err := c.Case(cmd.Context(), id)
		if err == nil {
			i.Text = i.Case.Text(e.lang, &i.Facts, time.Local)
		}
		return i, err
	}, func(w io.Writer, i *api.CaseInfo) { fmt.Fprint(w, i.Text) })
}

func newCaseFix(e *env) *cobra.Command {
	return e.caseCommand("fix ID WHAT", "cli.case.fix.", func(cmd *cobra.Command, c *api.Client, id int64, rest []string) (api.CaseInfo, error) {
		return c.OrderCase(cmd.Context(), id, "fix", api.CaseOrder{By: e.who(), Fixed: rest[0]})
	}, func(w io.Writer, i *api.CaseInfo) { fmt.Fprintln(w, e.text("cli.case.fixed", "id", i.Case.ID)) })
}

func newCaseDone(e *env) *cobra.Command {
	var o api.CaseOrder
	cmd := e.caseCommand("done ID", "cli.case.done.", func(cmd *cobra.Command, c *api.Client, id int64, _ []string) (api.CaseInfo, error) {
		o.By = e.who()
		return c.OrderCase(cmd.Context(), id, "done", o)
	}, func(w io.Writer, i *api.CaseInfo) {
		fmt.Fprintln(w, e.text("cli.case.asked", "id", i.Case.ID, "due", i.Case.Due))
	})
	cmd.Flags().StringVar(&o.Note, "note", "", e.text("cli.case.flag.note"))
	cmd.Flags().StringVar(&o.Fixed, "fixed", "", e.text("cli.case.flag.fixed"))
	return cmd
}

func newCaseReopen(e *env) *cobra.Command {
	var o api.CaseOrder
	cmd := e.caseCommand("reopen ID", "cli.case.reopen.", func(cmd *cobra.Command, c *api.Client, id int64, _ []string) (api.CaseInfo, error) {
		o.By = e.who()
		return c.OrderCase(cmd.Context(), id, "reopen", o)
	}, func(w io.Writer, i *api.CaseInfo) { fmt.Fprintln(w, e.text("cli.case.reopened", "id", i.Case.ID)) })
	cmd.Flags().StringVar(&o.Note, "note", "", e.text("cli.case.flag.note"))
	return cmd
}

// casesOf writes the line that names the cases of an incident. An incident is shown also when they cannot be had.
func (e *env) casesOf(w io.Writer, list []api.CaseInfo) {
	if len(list) == 0 {
		return
	}
	names := make([]string, len(list))
	for n := range list {
		words := list[n].Case.Say(e.lang, &list[n].Facts)
		names[n] = fmt.Sprintf("#%d %s (%s)", list[n].Case.ID, list[n].Facts.Name, words.State)
	}
	fmt.Fprintln(w)
	paragraph(w, "", "  ", e.text("cli.case.of_incident", "cases", strings.Join(names, ", ")))
}
