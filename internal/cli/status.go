package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/health"
	"ukai/internal/i18n"
)

func newStatus(e *env) *cobra.Command {
	return e.command("status", "cli.status.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		return e.show(s, func(w io.Writer) { e.showStatus(w, &s) })
	})
}

func (e *env) showStatus(w io.Writer, s *api.Status) {
	t := &table{}
	t.row(e.text("cli.status.running"), i18n.Duration(e.lang, time.Since(s.Started))+"  ("+s.Version+", "+e.text("cli.status.mode."+s.Mode)+")")
	t.row(e.text("cli.status.queue"), e.text("cli.status.queue.is", "messages", s.Queue.Messages, "held", s.Queue.Held, "size", s.Queue.Bytes>>20))
	if !s.Queue.Oldest.IsZero() {
		t.row(e.text("cli.status.oldest"), i18n.Duration(e.lang, time.Since(s.Queue.Oldest)))
	}
	t.row(e.text("cli.status.connections"), strconv.Itoa(s.Load.Connections))
	t.row(e.text("cli.status.paths"), e.pathCount(s.Paths))
	if s.Queue.SetAside > 0 {
		t.row(e.text("cli.status.aside"), strconv.Itoa(s.Queue.SetAside))
	}
	if s.Queue.Broken != "" {
		t.row(e.text("cli.status.broken"), s.Queue.Broken)
	}
	t.write(w)
}

func (e *env) pathCount(n api.PathCount) string {
	var parts []string
	for _, st := range []health.State{health.Healthy, health.Suspect, health.Blocked, health.Probing, health.Recovering} {
		if c := n[st.String()]; c > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", e.text("health.state."+st.String()), c))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
