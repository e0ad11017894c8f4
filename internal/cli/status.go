package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

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
		return e.show(&s, func(w io.Writer) { e.showStatus(w, &s) })
	})
}

func (e *env) showStatus(w io.Writer, s *api.Status) {
	t := &table{}
	t.row(e.text("cli.status.running"), i18n.Duration(e.lang, e.now().Sub(s.Started))+"  ("+s.Version+", "+e.text("cli.status.mode."+s.Mode)+")")
	t.row(e.text("cli.status.queue"), e.text("cli.status.queue.is", "messages", s.Queue.Messages, "held", s.Queue.Held, "size", octets(s.Queue.Bytes)))
	if !s.Queue.Oldest.IsZero() {
		t.row(e.text("cli.status.oldest"), i18n.Duration(e.lang, e.now().Sub(s.Queue.Oldest)))
	}
	t.row(e.text("cli.status.connections"), strconv.Itoa(s.Load.Connections))
	t.row(e.text("cli.status.paths"), e.pathCount(s.Paths))
	for i := range s.Sources {
		t.row(e.text("cli.status.source"), e.source(&s.Sources[i]))
	}
	for _, line := range e.lists(s.Lists) {
		t.row(e.text("cli.status.lists"), line)
	}
	if s.Queue.SetAside > 0 {
		t.row(e.text("cli.status.aside"), strconv.Itoa(s.Queue.SetAside))
	}
	if s.Queue.Broken != "" {
		t.row(e.text("cli.status.broken"), s.Queue.Broken)
	}
	t.write(w)
}

// source tells of a log or mailbox that is read: when it was last there, what it told, or what keeps it from being read.
func (e *env) source(s *api.Source) string {
	if s.Trouble != nil {
		return e.text("cli.status.source.trouble", "name", s.Name, "what", s.Trouble.In(e.lang))
	}
	key := "cli.status.source.mailbox"
	if s.Kind == "log" {
		key = "cli.status.source.log"
	}
	return e.text(key, "name", s.Name, "where", s.Where, "read", s.Read, "seen", s.Seen, "refused", s.Refused)
}

// octets writes a size for people: "24 B", "3.5 kB", "120 MB".
func octets(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	units := []string{"kB", "MB", "GB", "TB"}
	v, i := float64(n)/1000, 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1000
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + units[i]
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
	return strings.Join(parts, e.text("cli.status.and"))
}
