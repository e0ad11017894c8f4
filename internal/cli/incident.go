package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/provider"
)

func newIncident(e *env) *cobra.Command {
	return e.group("incident", "cli.incident.", newIncidentList(e), newIncidentShow(e), newIncidentAck(e), newIncidentClose(e), newIncidentExport(e))
}

// called returns what people call a provider.
func called(id string) string {
	all, err := provider.Load()
	if err != nil {
		return id // a test rules it out
	}
	return all.Name(id)
}

func newIncidentList(e *env) *cobra.Command {
	var all bool
	cmd := e.command("list", "cli.incident.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Incidents(cmd.Context(), 1000)
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listIncidents(w, list, all) })
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, e.text("cli.incident.flag.all"))
	return cmd
}

func (e *env) listIncidents(w io.Writer, list []incident.Incident, all bool) {
	t := newTable(e.text("cli.incident.col.id"), e.text("cli.incident.col.state"), e.text("cli.incident.col.since"), e.text("cli.incident.col.refused"),
		e.text("cli.incident.col.what"))
	shown := 0
	for n := range list {
		i := &list[n]
		if i.State == incident.Closed && !all {
			continue
		}
		shown++
		words := i.Say(e.lang, called)
		t.row(strconv.FormatInt(i.ID, 10), words.State, e.ago(i.Began), strconv.FormatInt(i.Counts.Refused, 10), words.Title)
	}
	if shown > 0 {
		t.write(w)
	}
	if over := len(list) - shown; over > 0 {
		fmt.Fprintln(w, e.text("cli.incident.list.over", "count", over))
	} else if shown == 0 {
		fmt.Fprintln(w, e.text("cli.incident.list.none"))
	}
}

// incidentID reads the number of an incident.
func incidentID(s string) (int64, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(s, "#"), 10, 64)
	if err != nil || id < 1 {
		return 0, usage("cli.incident.id", "value", s)
	}
	return id, nil
}

// incidentCommand makes a command that asks for one incident with f and shows it.
func (e *env) incidentCommand(use, texts string, f func(cmd *cobra.Command, c *api.Client, id int64) (incident.Incident, error),
	human func(w io.Writer, i *incident.Incident)) *cobra.Command {
	return e.command(use+" ID", texts, args(1, 1), func(cmd *cobra.Command, a []string) error {
		id, err := incidentID(a[0])
		if err != nil {
			return err
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		i, err := f(cmd, c, id)
		var problem *api.Problem
		switch {
		case absent(err):
			return i18n.Errorf("cli.incident.unknown", "id", id, "cause", err)
		case errors.As(err, &problem) && problem.Status == http.StatusConflict:
			return i18n.Errorf("cli.incident.over", "id", id, "cause", err)
		case err != nil:
			return err
		}
		return e.show(&i, func(w io.Writer) { human(w, &i) })
	})
}

func newIncidentShow(e *env) *cobra.Command {
	var list []api.CaseInfo
	return e.incidentCommand("show", "cli.incident.show.", func(cmd *cobra.Command, c *api.Client, id int64) (incident.Incident, error) {
		i, err := c.Incident(cmd.Context(), id)
		if err == nil && !e.json {
			list, err = c.Cases(cmd.Context(), id)
		}
		return i, err
	}, func(w io.Writer, i *incident.Incident) {
		e.showIncident(w, i)
		e.casesOf(w, list)
	})
}

// mostEntries is how many entries of the timeline a terminal is given.
const mostEntries = 20

func (e *env) showIncident(w io.Writer, i *incident.Incident) {
	words := i.Say(e.lang, called)
	fmt.Fprintf(w, "#%d  %s\n", i.ID, words.Title)
	t := &table{indent: "  "}
	t.row(e.text("incident.report.state"), words.State)
	t.row(e.text("incident.report.began"), clock(i.Began))
	if !i.ClosedAt.IsZero() {
		t.row(e.text("incident.report.ended"), clock(i.ClosedAt))
	}
	t.write(w)
	e.section(w, "incident.report.fault", []string{words.Fault})
	e.section(w, "incident.report.mail", []string{words.Mail})
	e.section(w, "incident.report.did", words.Did)
	e.section(w, "incident.report.next", words.Next)
	if i.Note != "" {
		e.section(w, "incident.report.note", []string{i.Note})
	}
	fmt.Fprintf(w, "\n%s\n", e.text("incident.report.story"))
	lines := words.Story
	if hidden := len(lines) - mostEntries; hidden > 0 {
		fmt.Fprintf(w, "  %s\n", e.text("cli.incident.earlier", "count", hidden, "id", i.ID))
		lines = lines[hidden:]
	}
	for _, l := range lines {
		fmt.Fprintf(w, "  %s  %s\n", clock(l.At), l.Text)
	}
}

// section writes a headed list; nothing when it is empty.
func (e *env) section(w io.Writer, key string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.text(key))
	for _, item := range items {
		paragraph(w, "  - ", "    ", item)
	}
}

func newIncidentAck(e *env) *cobra.Command {
	var note string
	cmd := e.incidentCommand("ack", "cli.incident.ack.", func(cmd *cobra.Command, c *api.Client, id int64) (incident.Incident, error) {
		return c.AckIncident(cmd.Context(), id, api.IncidentOrder{By: e.who(), Note: note})
	}, func(w io.Writer, i *incident.Incident) {
		fmt.Fprintln(w, e.text("cli.incident.acked", "id", i.ID, "by", i.By))
	})
	cmd.Flags().StringVar(&note, "note", "", e.text("cli.incident.flag.note"))
	return cmd
}

func newIncidentClose(e *env) *cobra.Command {
	var note string
	cmd := e.incidentCommand("close", "cli.incident.close.", func(cmd *cobra.Command, c *api.Client, id int64) (incident.Incident, error) {
		return c.CloseIncident(cmd.Context(), id, api.IncidentOrder{By: e.who(), Note: note})
	}, func(w io.Writer, i *incident.Incident) { fmt.Fprintln(w, e.text("cli.incident.closed", "id", i.ID)) })
	cmd.Flags().StringVar(&note, "note", "", e.text("cli.incident.flag.note"))
	return cmd
}

func newIncidentExport(e *env) *cobra.Command {
	return e.incidentCommand("export", "cli.incident.export.", func(cmd *cobra.Command, c *api.Client, id int64) (incident.Incident, error) {
		return c.Incident(cmd.Context(), id)
	}, func(w io.Writer, i *incident.Incident) { fmt.Fprint(w, i.Markdown(e.lang, time.Local, called)) })
}
