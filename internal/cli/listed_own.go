package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ukai/internal/watch"
)

// monitor tells what the running ukai knows of its own addresses and domains, without asking any list.
func (l *listedCommand) monitor(cmd *cobra.Command, a []string) error {
	if len(a) > 0 {
		return usage("cli.listed.own_alone", "usage", cmd.UseLine())
	}
	c, err := l.client()
	if err != nil {
		return err
	}
	s, err := c.Status(cmd.Context())
	if err != nil {
		return err
	}
	own := s.Lists
	if own == nil {
		own = &watch.ListsStatus{Targets: []string{}, Listed: []watch.Listed{}, Unasked: []watch.Unasked{}}
	}
	if err := l.show(own, func(w io.Writer) { l.tellOwn(w, own) }); err != nil {
		return err
	}
	return ownExit(own)
}

func (l *listedCommand) tellOwn(w io.Writer, s *watch.ListsStatus) {
	lines := l.lists(s)
	if len(lines) == 0 {
		lines = []string{l.text("cli.listed.own_nothing")}
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// ownExit is the exit code: listed, could not tell, or clean.
func ownExit(s *watch.ListsStatus) error {
	switch {
	case len(s.Listed) > 0:
		return errFound
	case !s.On || s.Unfit != "" || len(s.Targets) == 0 || s.Checked.IsZero():
		return unknownListing
	}
	return nil
}
