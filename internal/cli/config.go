package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ukai/internal/config"
)

func newConfig(e *env) *cobra.Command {
	return e.group("config", "cli.config.", newConfigCheck(e), newConfigShow(e), newConfigExample(e))
}

func newConfigCheck(e *env) *cobra.Command {
	cmd := e.command("check [FILE]", "cli.config.check.", args(0, 1), func(_ *cobra.Command, args []string) error {
		path := e.configPath()
		if len(args) == 1 {
			path = args[0]
		}
		if _, problems := config.Load(path); len(problems) > 0 {
			return e.showProblems(path, problems)
		}
		return e.show(checked{OK: true, File: path, Problems: []problem{}}, func(w io.Writer) {
			if path == "" {
				fmt.Fprintln(w, e.text("cli.config.check.defaults"))
				return
			}
			fmt.Fprintln(w, e.text("cli.config.check.good", "file", path))
		})
	})
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return cmd
}

func newConfigShow(e *env) *cobra.Command {
	return e.command("show", "cli.config.show.", args(0, 0), func(*cobra.Command, []string) error {
		c, err := e.config()
		if err != nil {
			return err
		}
		return e.show(c, func(w io.Writer) { fmt.Fprintf(w, "%s", c.TOML()) })
	})
}

func newConfigExample(e *env) *cobra.Command {
	return e.command("example", "cli.config.example.", args(0, 0), func(*cobra.Command, []string) error {
		text := config.Example(e.lang)
		return e.show(map[string]string{"example": string(text)}, func(w io.Writer) { fmt.Fprintf(w, "%s", text) })
	})
}

// checked is the result of a check, for programs.
type checked struct {
	OK       bool      `json:"ok"`
	File     string    `json:"file,omitempty"`
	Problems []problem `json:"problems"`
}

type problem struct {
	config.Problem
	Text string `json:"text"`
}

// showProblems prints every mistake in the settings with its line and a mark below it, and returns errFound. They are the
// result of "config check", and the trouble of every other command; either way they go where people look.
func (e *env) showProblems(path string, problems []config.Problem) error {
	if e.json {
		out := checked{File: path}
		for _, p := range problems {
			out.Problems = append(out.Problems, problem{p, p.Text(e.lang)})
		}
		if err := e.writeJSON(out); err != nil {
			return err
		}
		return errFound
	}
	for i := range problems {
		p := &problems[i]
		head := p.Where()
		if p.Key != "" {
			head += ": " + p.Key
		}
		e.printf("%s\n", head)
		if p.Line > 0 {
			e.printf("    %s\n    %s^\n", tabless(p.Source), strings.Repeat(" ", width(tabless(upTo(p.Source, p.Col)))))
		}
		e.printf("%s\n\n", indent(p.Text(e.lang)))
	}
	e.printf("%s\n", e.text("cli.config.check.count", "count", len(problems)))
	return errFound
}

// tabless keeps the mark below its place.
func tabless(s string) string { return strings.ReplaceAll(s, "\t", " ") }

// upTo returns the characters of a line before a column.
func upTo(s string, col int) string {
	r := []rune(s)
	return string(r[:min(max(col-1, 0), len(r))])
}
