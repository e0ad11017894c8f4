package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/incident"
	"ukai/internal/notify"
)

func newNotify(e *env) *cobra.Command {
	return e.group("notify", "cli.notify.", newNotifyList(e), newNotifyTest(e), newNotifySilence(e), newNotifyUnsilence(e), newNotifyLog(e))
}

func newNotifyList(e *env) *cobra.Command {
	return e.command("list", "cli.notify.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.Notify(cmd.Context())
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) { e.listNotify(w, &s) })
	})
}

func (e *env) listNotify(w io.Writer, s *notify.Status) {
	if len(s.Channels) == 0 {
		fmt.Fprintln(w, e.text("cli.notify.list.none"))
	} else {
		t := newTable(e.text("cli.notify.col.channel"), e.text("cli.notify.col.kind"), e.text("cli.notify.col.level"), e.text("cli.notify.col.state"))
		for i := range s.Channels {
			c := &s.Channels[i]
			t.row(c.Name, string(c.Kind), strconv.Itoa(c.Level), e.channelState(c))
		}
		t.write(w)
	}
	if h := &s.Heartbeat; !h.On {
		fmt.Fprintln(w, e.text("cli.notify.heartbeat.off"))
	} else if h.Error != "" {
		fmt.Fprintln(w, e.text("cli.notify.heartbeat.bad", "why", h.Error))
	} else {
		fmt.Fprintln(w, e.text("cli.notify.heartbeat.on", "every", h.Every))
	}
	for i := range s.Silences {
		e.showSilence(w, &s.Silences[i])
	}
	if s.Dropped > 0 {
		fmt.Fprintln(w, e.text("cli.notify.dropped", "count", s.Dropped))
	}
}

func (e *env) channelState(c *notify.ChannelStatus) string {
	switch {
	case c.Failing:
		return e.text("cli.notify.state.failing", "since", e.ago(c.Since), "why", c.Error)
	case c.LastOK.IsZero():
		return e.text("cli.notify.state.unused")
	}
	return e.text("cli.notify.state.ok", "last", e.ago(c.LastOK))
}

// showSilence says what is silenced, until when and why.
func (e *env) showSilence(w io.Writer, s *notify.Silence) {
	what := e.text("cli.notify.silenced.all")
	switch {
	case s.Incident != 0:
		what = e.text("cli.notify.silenced.incident", "id", s.Incident)
	case s.Kind != "" || s.Place != "":
		what = e.text("cli.notify.silenced.cause", "kind", or(string(s.Kind), "*"), "place", or(s.Place, "*"))
	}
	fmt.Fprintln(w, e.text("cli.notify.silenced", "id", s.ID, "what", what, "until", clock(s.Until), "by", or(s.By, "-"), "why", s.Why))
}

func newNotifyTest(e *env) *cobra.Command {
	return e.command("test [CHANNEL]", "cli.notify.test.", args(0, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		names := a
		if len(a) == 0 {
			s, err := c.Notify(cmd.Context())
			if err != nil {
				return err
			}
			for i := range s.Channels {
				names = append(names, s.Channels[i].Name)
			}
		}
		results, bad := []notify.Result{}, len(names) == 0
		for _, name := range names {
			r, err := c.NotifyTest(cmd.Context(), name)
			if absent(err) {
				return i18n.Errorf("cli.notify.unknown", "name", name, "cause", err)
			}
			if err != nil {
				return err
			}
			results, bad = append(results, r), bad || !r.OK
		}
		if err := e.show(results, func(w io.Writer) { e.tellTests(w, results) }); err != nil {
			return err
		}
		if bad {
			return &exitError{code: exitFailed}
		}
		return nil
	})
}

func (e *env) tellTests(w io.Writer, results []notify.Result) {
	if len(results) == 0 {
		fmt.Fprintln(w, e.text("cli.notify.list.none"))
	}
	for _, r := range results {
		if r.OK {
			fmt.Fprintln(w, e.text("cli.notify.test.ok", "name", r.Channel, "took", r.Took.Round(time.Millisecond)))
		} else {
			fmt.Fprintln(w, e.text("cli.notify.test.bad", "name", r.Channel, "why", r.Error))
		}
	}
}

func newNotifySilence(e *env) *cobra.Command {
	var lasts time.Duration
	req := &api.SilenceRequest{}
	var kind string
	cmd := e.command("silence [INCIDENT]", "cli.notify.silence.", args(0, 1), func(cmd *cobra.Command, a []string) (err error) {
		if len(a) == 1 {
			if req.Incident, err = incidentID(a[0]); err != nil {
				return err
			}
		}
		switch {
		case req.Why == "":
			return usage("cli.notify.why")
		case lasts <= 0:
			return usage("cli.notify.for", "value", lasts)
		case kind != "" && kind != string(incident.Reputation) && kind != string(incident.Sender) && kind != string(incident.Content):
			return usage("cli.notify.kind", "value", kind)
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		req.Kind, req.Until, req.By = incident.Kind(kind), e.now().Add(lasts), e.who()
		s, err := c.Silence(cmd.Context(), req)
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) { e.showSilence(w, &s) })
	})
	f := cmd.Flags()
	f.DurationVar(&lasts, "for", time.Hour, e.text("cli.notify.flag.for"))
	f.StringVar(&req.Why, "why", "", e.text("cli.notify.flag.why"))
	f.StringVar(&kind, "kind", "", e.text("cli.notify.flag.kind"))
	f.StringVar(&req.Place, "place", "", e.text("cli.notify.flag.place"))
	return cmd
}

func newNotifyUnsilence(e *env) *cobra.Command {
	return e.command("unsilence SILENCE", "cli.notify.unsilence.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		id, err := strconv.ParseInt(a[0], 10, 64)
		if err != nil || id < 1 {
			return usage("cli.notify.silence_id", "value", a[0])
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.Unsilence(cmd.Context(), id)
		if absent(err) {
			return i18n.Errorf("cli.notify.no_silence", "id", id, "cause", err)
		}
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) { fmt.Fprintln(w, e.text("cli.notify.unsilenced", "id", id)) })
	})
}

func newNotifyLog(e *env) *cobra.Command {
	var limit int
	cmd := e.command("log", "cli.notify.log.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > api.MaxList {
			return usage("cli.queue.limit", "value", limit, "most", api.MaxList)
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.NotifyLog(cmd.Context(), limit)
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.logNotices(w, list) })
	})
	cmd.Flags().IntVar(&limit, "limit", 50, e.text("cli.notify.flag.limit"))
	return cmd
}

func (e *env) logNotices(w io.Writer, list []notify.Sent) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.notify.log.none"))
		return
	}
	t := newTable(e.text("cli.notify.col.at"), e.text("cli.notify.col.channel"), e.text("cli.notify.col.incident"), e.text("cli.notify.col.news"), e.text("cli.notify.col.result"))
	for i := range list {
		s := &list[i]
		id, how := "-", e.text("cli.notify.sent")
		if s.Incident > 0 {
			id = strconv.FormatInt(s.Incident, 10)
		}
		if !s.OK {
			how = s.Error
		}
		t.row(clock(s.At), s.Channel, id, e.text("cli.notify.news."+string(s.News)), how)
	}
	t.write(w)
}
