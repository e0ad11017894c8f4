package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/mail"
)

func newQueue(e *env) *cobra.Command {
	return e.group("queue", "cli.queue.", newQueueList(e), newQueueShow(e),
		newQueueOrder(e, "hold"), newQueueOrder(e, "release"), newQueueOrder(e, "retry"), newQueueOrder(e, "delete"))
}

// client returns the way to the ukai that runs on the data directory.
func (e *env) client() (*api.Client, error) {
	dir, err := e.dataDir()
	if err != nil {
		return nil, err
	}
	return api.NewClient(dir), nil
}

// selection adds the flags that select messages.
func (e *env) selection(cmd *cobra.Command) *api.Selection {
	s := &api.Selection{}
	f := cmd.Flags()
	f.StringVar(&s.Sender, "sender", "", e.text("cli.queue.flag.sender"))
	f.StringVar(&s.Recipient, "recipient", "", e.text("cli.queue.flag.recipient"))
	f.StringVar(&s.Domain, "domain", "", e.text("cli.queue.flag.domain"))
	f.StringVar(&s.Account, "account", "", e.text("cli.queue.flag.account"))
	f.StringVar(&s.Waiting, "waiting-for", "", e.text("cli.queue.flag.waiting"))
	return s
}

func newQueueList(e *env) *cobra.Command {
	var s *api.Selection
	var held bool
	cmd := e.command("list", "cli.queue.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		if held {
			s.Held = "yes"
		}
		if s.Limit < 1 || s.Limit > api.MaxList {
			return usage("cli.queue.limit", "value", s.Limit, "most", api.MaxList)
		}
		if s.After != "" {
			if err := messageIDs([]string{s.After}); err != nil {
				return err
			}
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Queue(cmd.Context(), s)
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listQueue(w, list, s.Limit) })
	})
	s = e.selection(cmd)
	cmd.Flags().BoolVar(&held, "held", false, e.text("cli.queue.flag.held"))
	cmd.Flags().IntVar(&s.Limit, "limit", 100, e.text("cli.queue.flag.limit"))
	cmd.Flags().StringVar(&s.After, "after", "", e.text("cli.queue.flag.after"))
	return cmd
}

func (e *env) listQueue(w io.Writer, list []api.Message, limit int) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.queue.list.none"))
		return
	}
	t := newTable(e.text("cli.queue.col.id"), e.text("cli.queue.col.age"), e.text("cli.queue.col.size"), e.text("cli.queue.col.from"),
		e.text("cli.queue.col.to"), e.text("cli.queue.col.attempts"), e.text("cli.queue.col.next"), e.text("cli.queue.col.last"))
	now := e.now()
	for i := range list {
		m := &list[i]
		for n := range m.Deliveries {
			d := &m.Deliveries[n]
			t.row(m.ID, i18n.Duration(e.lang, now.Sub(m.Accepted)), strconv.FormatInt(m.Size, 10), "<"+m.From+">", some(d.Recipients),
				strconv.Itoa(d.Attempts), e.due(d, now), cut(d.Last, 60))
		}
	}
	t.write(w)
	if len(list) == limit {
		fmt.Fprintln(w, e.text("cli.queue.list.more", "after", list[len(list)-1].ID))
	}
}

// due says when a delivery is tried next, or what it waits for.
func (e *env) due(d *api.Delivery, now time.Time) string {
	switch {
	case d.Held:
		return e.text("cli.queue.held")
	case d.WaitingFor != "" && d.Due.After(now):
		return e.text("cli.queue.waiting", "provider", d.WaitingFor, "wait", i18n.Duration(e.lang, d.Due.Sub(now)))
	case d.Due.After(now):
		return e.text("cli.queue.in", "wait", i18n.Duration(e.lang, d.Due.Sub(now)))
	}
	return e.text("cli.queue.now")
}

// some shows the first of several addresses and how many more there are.
func some(addrs []string) string {
	if len(addrs) > 1 {
		return fmt.Sprintf("%s +%d", addrs[0], len(addrs)-1)
	}
	return join(addrs)
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func newQueueShow(e *env) *cobra.Command {
	var content bool
	cmd := e.command("show ID", "cli.queue.show.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		if err := messageIDs(a); err != nil {
			return err
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		if content {
			return notQueued(a[0], c.Content(cmd.Context(), a[0], e.out))
		}
		m, err := c.Message(cmd.Context(), a[0])
		if err != nil {
			return notQueued(a[0], err)
		}
		return e.show(&m, func(w io.Writer) { e.showMessage(w, &m) })
	})
	cmd.Flags().BoolVar(&content, "content", false, e.text("cli.queue.flag.content"))
	return cmd
}

// messageIDs finds the first of several that is no message ID.
func messageIDs(ids []string) error {
	for _, id := range ids {
		if _, err := mail.ParseID(id); err != nil {
			return usage("cli.queue.id", "id", id)
		}
	}
	return nil
}

// notQueued says what to do about a message that is not there.
func notQueued(id string, err error) error {
	if absent(err) {
		return i18n.Errorf("cli.queue.unknown", "id", id, "cause", err)
	}
	return err
}

func (e *env) showMessage(w io.Writer, m *api.Message) {
	t := &table{}
	put := func(key, value string) {
		if value != "" {
			t.row(e.text(key), value)
		}
	}
	put("cli.queue.col.id", m.ID)
	put("cli.queue.col.accepted", clock(m.Accepted))
	put("cli.queue.col.from", "<"+m.From+">")
	put("cli.queue.col.account", m.Account)
	put("cli.queue.col.client", m.Client)
	put("cli.queue.col.message_id", m.MessageID)
	put("cli.queue.col.size", strconv.FormatInt(m.Size, 10))
	for i := range m.Deliveries {
		d := &m.Deliveries[i]
		t.row()
		put("cli.queue.col.to", join(d.Recipients))
		put("cli.queue.col.attempts", strconv.Itoa(d.Attempts))
		put("cli.queue.col.next", e.due(d, e.now()))
		put("cli.queue.col.last", d.Last)
	}
	t.write(w)
}

// newQueueOrder makes one of hold, release, retry and delete: they take message IDs, or flags that select, or --all.
func newQueueOrder(e *env, order string) *cobra.Command {
	var s *api.Selection
	var all bool
	cmd := e.command(order+" [ID...]", "cli.queue."+order+".", args(0, -1), func(cmd *cobra.Command, ids []string) error {
		s.IDs = ids
		if s.Empty() && !all {
			return usage("cli.queue.nothing")
		}
		if err := messageIDs(ids); err != nil {
			return err
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		r, err := c.Order(cmd.Context(), &api.OrderRequest{Order: order, All: all, Selection: *s})
		if err != nil {
			return err
		}
		if r.Messages == 0 && len(ids) == 1 {
			return i18n.Errorf("cli.queue.unknown", "id", ids[0])
		}
		return e.show(r, func(w io.Writer) { fmt.Fprintln(w, e.text("cli.queue.done."+order, "count", r.Messages)) })
	})
	s = e.selection(cmd)
	cmd.Flags().BoolVar(&all, "all", false, e.text("cli.queue.flag.all"))
	return cmd
}
