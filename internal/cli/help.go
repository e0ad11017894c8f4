package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ukai/internal/i18n"
)

// command makes a subcommand. prefix names its texts in the catalogue and ends in a dot: below it stand short, and, where
// there is more to say, long and example. use is the name with its arguments: "show ID...".
func (e *env) command(use, prefix string, check cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Args: check, RunE: run, DisableFlagsInUseLine: true,
		Short: e.text(prefix + "short"), Long: e.optional(prefix + "long"), Example: e.optional(prefix + "example"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// group makes a command that only holds others. Alone it shows its help; with a word that it does not know it fails.
func (e *env) group(use, prefix string, commands ...*cobra.Command) *cobra.Command {
	g := e.command(use, prefix, nil, func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	})
	g.Args = cobra.ArbitraryArgs // RunE looks at them
	g.AddCommand(commands...)
	return g
}

// optional returns a text, or "" where the catalogue has none.
func (e *env) optional(key string) string {
	if all, err := i18n.Catalogue(); err == nil {
		if _, ok := all[key]; ok {
			return e.text(key)
		}
	}
	return ""
}

func newHelp(e *env) *cobra.Command {
	cmd := e.command("help [COMMAND...]", "cli.help.", nil, func(cmd *cobra.Command, args []string) error {
		about, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return unknownCommand(about, args[len(args)-len(rest)])
		}
		return about.Help()
	})
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if about, _, err := cmd.Root().Find(args); err == nil {
			for _, c := range about.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// help writes what cobra's templates would, in the language that was asked for.
func (e *env) help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\n%s\n", strings.TrimSpace(about), e.text("cli.help.usage"))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s %s\n", cmd.CommandPath(), e.text("cli.help.command"))
	} else {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\n%s\n%s\n", e.text("cli.help.examples"), indent(cmd.Example))
	}
	e.helpCommands(w, cmd)
	e.helpFlags(w, "cli.help.flags", cmd.LocalNonPersistentFlags())
	global := cmd.InheritedFlags()
	if !cmd.HasParent() {
		global = cmd.PersistentFlags()
	}
	e.helpFlags(w, "cli.help.global", global)
	if !cmd.HasParent() {
		fmt.Fprintf(w, "\n%s\n", e.text("cli.help.codes"))
	}
}

func (e *env) helpCommands(w io.Writer, cmd *cobra.Command) {
	t := table{indent: "  "}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			t.row(c.Name(), c.Short)
		}
	}
	if len(t.rows) > 0 {
		fmt.Fprintf(w, "\n%s\n", e.text("cli.help.commands"))
		t.write(w)
	}
}

func (e *env) helpFlags(w io.Writer, key string, flags *pflag.FlagSet) {
	t := table{indent: "  "}
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, about := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" {
			name += " " + strings.ToUpper(kind)
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.DefValue != "0s" {
			about += e.text("cli.help.default", "value", f.DefValue)
		}
		t.row(name, about)
	})
	if len(t.rows) > 0 {
		fmt.Fprintf(w, "\n%s\n", e.text(key))
		t.write(w)
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}
