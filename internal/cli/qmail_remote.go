package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"ukai/internal/qmail"
)

// qmailRemote is the name of the command that qmail starts for each delivery. Its arguments are addresses, which may look like
// options: they are read by package qmail alone. And it is in a hurry: no tree of commands is made for it.
const qmailRemote = "qmail-remote"

// asQmailRemote tells whether that is what is wanted, and not help with it.
func asQmailRemote(args []string) bool {
	return len(args) > 1 && args[0] == qmailRemote && (len(args) > 2 || !slices.Contains([]string{"--help", "-h"}, args[1]))
}

// runQmailRemote runs it. Nothing may go to standard error: with qmail that is the report.
func runQmailRemote(args []string, in io.Reader, out io.Writer) int {
	return qmail.Main(args[1:], in, out)
}

// newQmailRemote is what help shows of it. Run without arguments, it shows that help.
func newQmailRemote(e *env) *cobra.Command {
	c := e.command(qmailRemote+" HOST SENDER RECIPIENT...", "cli.qmail_remote.", cobra.ArbitraryArgs, func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	})
	c.Flags().String("settings", qmail.DefaultSettings, e.text("cli.qmail_remote.flag.settings"))
	c.Flags().String("original", qmail.DefaultOriginal, e.text("cli.qmail_remote.flag.original"))
	c.Flags().String("check", "", e.text("cli.qmail_remote.flag.check"))
	return c
}
