package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/steer"
)

// lookupFlags are what "ukai lookup" is told.
type lookupFlags struct {
	steer.ForwardOptions
	protocol string
	name     string // --map: one question
	relay    string // --relay: whether it greets
}

// newLookup is started by mail servers, not by people: standard error may be the connection to one of them, and an exit code
// other than 0 has some servers put mail off. So there is no trouble to report but a wrong command line.
func newLookup(e *env) *cobra.Command {
	var f lookupFlags
	cmd := e.command("lookup [KEY]", "cli.lookup.", args(0, 1), func(cmd *cobra.Command, a []string) error {
		return e.lookup(cmd, &f, a)
	})
	flags := cmd.Flags()
	flags.StringVar(&f.To, "to", "", e.text("cli.lookup.flag.to"))
	flags.DurationVar(&f.Deadline, "deadline", 200*time.Millisecond, e.text("cli.lookup.flag.deadline"))
	flags.StringVar(&f.protocol, "protocol", string(steer.Socketmap), e.text("cli.lookup.flag.protocol"))
	flags.StringVar(&f.Server, "server", "", e.text("cli.lookup.flag.server"))
	flags.DurationVar(&f.Idle, "idle", 2*time.Minute, e.text("cli.lookup.flag.idle"))
	flags.StringVar(&f.name, "map", "", e.text("cli.lookup.flag.map"))
	flags.StringVar(&f.relay, "relay", "", e.text("cli.lookup.flag.relay"))
	return cmd
}

func (e *env) lookup(cmd *cobra.Command, f *lookupFlags, a []string) error {
	f.Protocol = steer.Protocol(f.protocol)
	switch {
	case f.relay != "": // whatever is asked: a K map has a key
		state := "down"
		if steer.Greets(cmd.Context(), f.relay, f.Deadline) {
			state = "up"
		}
		fmt.Fprintln(e.out, state)
		return nil
	case f.To == "":
		return usage("cli.lookup.no_address")
	case f.Protocol != steer.Socketmap && f.Protocol != steer.TCPTable:
		return usage("cli.lookup.bad_protocol", "value", f.protocol)
	case f.name != "" && len(a) == 1:
		if route := steer.Ask(cmd.Context(), f.ForwardOptions, f.name, a[0]); route != "" {
			fmt.Fprintln(e.out, route)
		}
		return nil
	case f.name != "" || len(a) > 0:
		return usage("cli.lookup.map_and_key")
	}
	steer.Forward(cmd.Context(), e.in, e.out, f.ForwardOptions)
	return nil
}
