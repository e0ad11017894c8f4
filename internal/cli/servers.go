package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/health"
)

func newServers(e *env) *cobra.Command {
	return e.group("servers", "cli.servers.", newServersList(e), newServersShow(e), newServersAdd(e), newServersRemove(e))
}

func newServersList(e *env) *cobra.Command {
	return e.command("list", "cli.servers.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Servers(cmd.Context())
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listServers(w, list) })
	})
}

func (e *env) listServers(w io.Writer, list []api.Server) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.servers.list.none"))
		return
	}
	t := newTable(e.text("cli.servers.col.name"), e.text("cli.servers.col.kind"), e.text("cli.servers.col.mode"), e.text("cli.servers.col.host"),
		e.text("cli.servers.col.contact"), e.text("cli.servers.col.drift"), e.text("cli.servers.col.shut"))
	for i := range list {
		s := &list[i]
		t.row(s.Name, e.serverKind(s), dash(string(s.Mode)), e.serverHost(s), e.heard(s.Contact), e.drift(s), dash(strings.Join(s.Shut, " ")))
	}
	t.write(w)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// serverKind names the software; a server that was announced and has not joined has none.
func (e *env) serverKind(s *api.Server) string {
	if !s.Joined() {
		return e.text("cli.servers.announced")
	}
	return strings.TrimSpace(string(s.MTA) + " " + s.Place.Version)
}

func (e *env) serverHost(s *api.Server) string {
	if !s.Distant() {
		return e.text("cli.servers.here")
	}
	return s.Place.Host
}

// heard says when a server was last heard of.
func (e *env) heard(at time.Time) string {
	if at.IsZero() {
		return e.text("cli.servers.never")
	}
	return e.ago(at)
}

func (e *env) drift(s *api.Server) string {
	switch {
	case s.Drift.At.IsZero():
		return "-"
	case len(s.Drift.Files) == 0:
		return e.text("cli.servers.drift.none")
	}
	return e.text("cli.servers.drift.some", "files", len(s.Drift.Files))
}

func newServersShow(e *env) *cobra.Command {
	return e.command("show NAME", "cli.servers.show.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.Server(cmd.Context(), a[0])
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) { e.showServer(w, &s) })
	})
}

func (e *env) showServer(w io.Writer, s *api.Server) {
	t := &table{}
	row := func(key, value string) {
		if value != "" {
			t.row(e.text(key), value)
		}
	}
	row("cli.servers.row.name", s.Name)
	row("cli.servers.row.kind", e.serverKind(s))
	row("cli.servers.row.mode", string(s.Mode))
	row("cli.servers.row.host", e.serverHost(s))
	row("cli.servers.row.config", s.Place.Root+s.Place.Dir)
	row("cli.servers.row.instance", s.Place.Instance)
	if s.Egress != "" {
		row("cli.servers.row.sends", e.text("cli.servers.shares", "egress", s.Egress))
	} else {
		row("cli.servers.row.sends", e.text("cli.servers.own"))
	}
	if s.Account == "" {
		row("cli.servers.row.account", e.text("cli.servers.by_address"))
	} else {
		row("cli.servers.row.account", s.Account)
	}
	row("cli.servers.row.logs", strings.Join(s.Logs, " "))
	for i := range s.Routes {
		row("cli.servers.row.routes", s.Place.Root+s.Routes[i].Path)
	}
	if s.Live {
		row("cli.servers.row.routes", e.text("cli.servers.live"))
	}
	row("cli.servers.row.contact", e.heard(s.Contact))
	row("cli.servers.row.drift", e.drift(s))
	for _, f := range s.Drift.Files {
		row("cli.servers.row.drift", s.Place.Root+f)
	}
	row("cli.servers.row.paths", e.pathCount(s.Paths))
	for _, p := range s.Shut {
		row("cli.servers.row.shut", p)
	}
	e.steered(row, s.Steered)
	t.write(w)
	e.hints(w, s)
}

// hints says what to do next, where something is to be done.
func (e *env) hints(w io.Writer, s *api.Server) {
	switch {
	case !s.Joined():
		fmt.Fprintf(w, "\n%s\n", e.text("cli.servers.hint.announced", "name", s.Name))
	case len(s.Drift.Files) > 0:
		fmt.Fprintf(w, "\n%s\n", e.text("cli.servers.hint.drift", "mta", string(s.MTA)))
	case len(s.Shut) > 0:
		fmt.Fprintf(w, "\n%s\n", e.text("cli.servers.hint.shut", "egress", s.PathName(), "provider", s.Shut[0], "state", e.text("health.state."+health.Blocked.String())))
	}
}

func newServersAdd(e *env) *cobra.Command {
	in := &api.AddRequest{}
	cmd := e.command("add NAME", "cli.servers.add.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		in.Name = a[0]
		r, err := c.AddServer(cmd.Context(), in)
		if err != nil {
			return err
		}
		command := "ukai connect --apply --join " + r.Join
		out := map[string]any{"server": r.Server, "join": r.Join, "command": command, "relay": r.Gate, "username": r.Username}
		return e.show(out, func(w io.Writer) {
			fmt.Fprintf(w, "%s\n\n  %s && %s\n\n%s\n", e.text("cli.servers.added", "name", r.Server.Name), command, agentService, e.text("cli.servers.added.secret"))
		})
	})
	f := cmd.Flags()
	f.StringSliceVar(&in.Domains, "domain", nil, e.text("cli.servers.flag.domain"))
	f.StringSliceVar(&in.Networks, "network", nil, e.text("cli.servers.flag.network"))
	f.StringVar(&in.Egress, "egress", "", e.text("cli.servers.flag.egress"))
	f.BoolVar(&in.Again, "again", false, e.text("cli.servers.flag.again"))
	return cmd
}

// agentService starts the agent, and again at each boot: packaging/ukai-agent.service.
const agentService = "systemctl enable --now ukai-agent"

func newServersRemove(e *env) *cobra.Command {
	return e.command("remove NAME", "cli.servers.remove.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.RemoveServer(cmd.Context(), a[0])
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) {
			fmt.Fprintln(w, e.text("cli.servers.removed", "name", s.Name))
			if s.Joined() {
				fmt.Fprintln(w, e.text("cli.servers.removed.still", "mta", string(s.MTA)))
			}
		})
	})
}
