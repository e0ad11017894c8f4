package cli

import (
	"github.com/spf13/cobra"

	"ukai/internal/soften"
)

// newRulesPostfix prints the rules as tables for Postfix. ukai connect writes the same ones; this is for whoever does it by hand.
func newRulesPostfix(e *env) *cobra.Command {
	var dir string
	var reply, status bool
	cmd := e.command("postfix (--reply|--status)", "cli.rules.postfix.", args(0, 0), func(*cobra.Command, []string) error {
		r, err := e.rules(dir)
		if err != nil {
			return err
		}
		table := soften.Status
		if reply {
			table = soften.Reply
		}
		_, err = e.out.Write(table(r))
		return err
	})
	cmd.Flags().BoolVar(&reply, "reply", false, e.text("cli.rules.flag.reply"))
	cmd.Flags().BoolVar(&status, "status", false, e.text("cli.rules.flag.status"))
	cmd.Flags().StringVar(&dir, "rules", "", e.text("cli.explain.flag.rules"))
	cmd.MarkFlagsMutuallyExclusive("reply", "status")
	cmd.MarkFlagsOneRequired("reply", "status")
	must(cmd.MarkFlagDirname("rules"))
	return cmd
}
