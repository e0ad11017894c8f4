package cli

import (
	"github.com/spf13/cobra"
)

func newCompletion(e *env) *cobra.Command {
	shells := []struct {
		name, prefix string
		write        func(root *cobra.Command) error
	}{
		{"bash", "cli.completion.bash.", func(root *cobra.Command) error { return root.GenBashCompletionV2(e.out, true) }},
		{"zsh", "cli.completion.zsh.", func(root *cobra.Command) error { return root.GenZshCompletion(e.out) }},
		{"fish", "cli.completion.fish.", func(root *cobra.Command) error { return root.GenFishCompletion(e.out, true) }},
		{"powershell", "cli.completion.powershell.", func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(e.out) }},
	}
	group := e.group("completion", "cli.completion.")
	for _, s := range shells {
		cmd := e.command(s.name, s.prefix, args(0, 0), func(cmd *cobra.Command, _ []string) error { return s.write(cmd.Root()) })
		if s.name == "powershell" {
			cmd.Aliases = []string{"pwsh"}
		}
		group.AddCommand(cmd)
	}
	return group
}
