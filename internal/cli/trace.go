package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ukai/internal/i18n"
)

func newTrace(e *env) *cobra.Command {
	return e.command("trace ID", "cli.trace.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		stories, err := c.Trace(cmd.Context(), a[0])
		if absent(err) {
			return i18n.Errorf("trace.none", "id", a[0], "cause", err)
		}
		if err != nil {
			return err
		}
		return e.show(stories, func(w io.Writer) {
			for i := range stories {
				if i > 0 {
					fmt.Fprintln(w)
				}
				for _, line := range story(e.lang, &stories[i]) {
					fmt.Fprintln(w, line)
				}
			}
		})
	})
}
