package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ukai/internal/classify"
	"ukai/internal/i18n"
)

func newRules(e *env) *cobra.Command {
	return e.group("rules", "cli.rules.", newRulesList(e), newRulesShow(e), newRulesCheck(e), newRulesPostfix(e))
}

// rules loads those of a directory, or of the one in the settings, before the built-in ones.
func (e *env) rules(dir string) (*classify.Rules, error) {
	if dir == "" {
		c, err := e.knowledge()
		if err != nil {
			return nil, err
		}
		if c != nil {
			dir = c.Classify.Dir
		}
	}
	if dir == "" {
		return classify.Load()
	}
	return classify.LoadDir(dir)
}

func newRulesList(e *env) *cobra.Command {
	var dir, class, provider string
	cmd := e.command("list", "cli.rules.list.", args(0, 0), func(*cobra.Command, []string) error {
		r, err := e.rules(dir)
		if err != nil {
			return err
		}
		var list []classify.Described
		for _, d := range r.All() {
			if class != "" && d.Rule.Class != class || provider != "" && !strings.Contains(" "+strings.Join(d.Providers, " ")+" ", " "+provider+" ") {
				continue
			}
			list = append(list, d)
		}
		return e.show(list, func(w io.Writer) { e.listRules(w, list) })
	})
	cmd.Flags().StringVar(&dir, "rules", "", e.text("cli.explain.flag.rules"))
	cmd.Flags().StringVar(&class, "class", "", e.text("cli.rules.flag.class"))
	cmd.Flags().StringVar(&provider, "provider", "", e.text("cli.rules.flag.provider"))
	must(cmd.MarkFlagDirname("rules"))
	must(cmd.RegisterFlagCompletionFunc("provider", completeProviders))
	return cmd
}

func (e *env) listRules(w io.Writer, list []classify.Described) {
	t := newTable(e.text("cli.rules.col.rule"), e.text("cli.rules.col.class"), e.text("cli.rules.col.source"))
	for i := range list {
		d := &list[i]
		t.row(d.Name, d.Rule.Class, d.Rule.Source)
	}
	if len(list) > 0 {
		t.write(w)
	}
	fmt.Fprintln(w, e.text("cli.rules.count", "count", len(list)))
}

func newRulesShow(e *env) *cobra.Command {
	var dir string
	cmd := e.command("show NAME", "cli.rules.show.", args(1, 1), func(_ *cobra.Command, a []string) error {
		r, err := e.rules(dir)
		if err != nil {
			return err
		}
		d, ok := r.Describe(a[0])
		if !ok {
			return i18n.Errorf("cli.rules.unknown", "name", a[0])
		}
		return e.show(d, func(w io.Writer) { e.showRule(w, &d) })
	})
	cmd.Flags().StringVar(&dir, "rules", "", e.text("cli.explain.flag.rules"))
	must(cmd.MarkFlagDirname("rules"))
	cmd.ValidArgsFunction = completeRules
	return cmd
}

// completeRules offers the names of the built-in rules.
func completeRules(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	r, err := classify.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, d := range r.All() {
		out = append(out, d.Name+"\t"+d.Rule.Class)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// showRule shows a rule in the words of its file: that is what its reader will write.
func (e *env) showRule(w io.Writer, d *classify.Described) {
	x := &d.Rule
	fmt.Fprintf(w, "%s: %s\n%s\n\n", d.Name, e.text(classify.NameKey(x.Class)), e.text(classify.WhatKey(x.Class)))
	t := &table{indent: "  "}
	line := func(key, value string) {
		if value != "" && value != "[]" {
			t.row(key, value)
		}
	}
	words := func(key string, list []string) {
		quoted := make([]string, len(list))
		for i, s := range list {
			quoted[i] = strconv.Quote(s)
		}
		line(key, strings.Join(quoted, ", "))
	}
	line("class", x.Class)
	words("all", x.All)
	words("any", x.Any)
	words("none", x.None)
	line("lists", x.Lists)
	words("codes", x.Codes)
	words("statuses", x.Statuses)
	words("phases", x.Phases)
	line("blame", string(x.Blame))
	line("scope", string(x.Scope))
	line("list", x.List)
	line("code", x.Override.Code)
	words("also", x.Also)
	line("example", x.Example)
	line("source", x.Source)
	t.write(w)
}

// ruleCheck is what rules check found.
type ruleCheck struct {
	Rules    int                `json:"rules"`
	Problems []classify.Problem `json:"problems"`
}

func newRulesCheck(e *env) *cobra.Command {
	return e.command("check [DIR]", "cli.rules.check.", args(0, 1), func(_ *cobra.Command, a []string) error {
		dir := ""
		if len(a) > 0 {
			dir = a[0]
		}
		r, err := e.rules(dir)
		if err != nil {
			return err
		}
		found := ruleCheck{Rules: r.Len(), Problems: append(r.Check(), r.Conflicts()...)}
		if found.Problems == nil {
			found.Problems = []classify.Problem{}
		}
		if err := e.show(&found, func(w io.Writer) { e.tellProblems(w, &found) }); err != nil {
			return err
		}
		if len(found.Problems) > 0 {
			return errFound
		}
		return nil
	})
}

func (e *env) tellProblems(w io.Writer, found *ruleCheck) {
	for _, p := range found.Problems {
		fmt.Fprintln(w, e.text(p.Key(), "rule", p.Rule, "by", or(p.By, "-"), "want", p.Want, "got", p.Got))
	}
	if len(found.Problems) == 0 {
		fmt.Fprintln(w, e.text("cli.rules.good", "count", found.Rules))
		return
	}
	fmt.Fprintln(w, e.text("cli.rules.bad", "count", found.Rules, "problems", len(found.Problems)))
}
