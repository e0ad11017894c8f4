package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/mail"
	"ukai/internal/suppress"
)

func newSuppressed(e *env) *cobra.Command {
	return e.group("suppressed", "cli.suppressed.", newSuppressedList(e), newSuppressedShow(e), newSuppressedAdd(e), newSuppressedRemove(e))
}

func newSuppressedList(e *env) *cobra.Command {
	q := &api.SuppressedQuery{}
	cmd := e.command("list", "cli.suppressed.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		if q.Limit < 1 || q.Limit > api.MaxList {
			return usage("cli.queue.limit", "value", q.Limit, "most", api.MaxList)
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		list, err := c.Suppressed(cmd.Context(), q)
		if err != nil {
			return err
		}
		return e.show(list, func(w io.Writer) { e.listSuppressed(w, list, q.Limit) })
	})
	f := cmd.Flags()
	f.StringVar(&q.Domain, "domain", "", e.text("cli.suppressed.flag.domain"))
	f.BoolVarP(&q.All, "all", "a", false, e.text("cli.suppressed.flag.all"))
	f.StringVar(&q.After, "after", "", e.text("cli.suppressed.flag.after"))
	f.IntVar(&q.Limit, "limit", 100, e.text("cli.suppressed.flag.limit"))
	return cmd
}

func (e *env) listSuppressed(w io.Writer, list []api.Suppressed, limit int) {
	if len(list) == 0 {
		fmt.Fprintln(w, e.text("cli.suppressed.list.none"))
		return
	}
	t := newTable(e.text("cli.suppressed.col.address"), e.text("cli.suppressed.col.state"), e.text("cli.suppressed.col.since"),
		e.text("cli.suppressed.col.until"), e.text("cli.suppressed.col.why"))
	for i := range list {
		s := &list[i]
		t.row(s.Addr, e.text("cli.suppressed.state."+s.State), clock(s.Since), e.until(s), cut(e.whySuppressed(s), 60))
	}
	t.write(w)
	if len(list) == limit {
		fmt.Fprintln(w, e.text("cli.suppressed.list.more", "after", list[len(list)-1].Addr))
	}
}

// until says when a recipient may be tried again.
func (e *env) until(s *api.Suppressed) string {
	if !s.Until.Before(suppress.Forever) {
		return e.text("cli.suppressed.forever")
	}
	return clock(s.Until)
}

// whySuppressed says what the server said last, or the admin.
func (e *env) whySuppressed(s *api.Suppressed) string {
	if s.By != "" {
		return e.text("cli.suppressed.by", "by", s.By, "why", or(s.Why, "-"))
	}
	return s.Last().Text
}

func newSuppressedShow(e *env) *cobra.Command {
	return e.command("show ADDRESS", "cli.suppressed.show.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.SuppressedOne(cmd.Context(), a[0])
		if err != nil {
			return notSuppressed(a[0], err)
		}
		return e.show(&s, func(w io.Writer) { e.showSuppressed(w, &s) })
	})
}

// notSuppressed says so where nothing is known of an address.
func notSuppressed(address string, err error) error {
	if absent(err) {
		return i18n.Errorf("cli.suppressed.unknown", "address", address, "cause", err)
	}
	return err
}

func (e *env) showSuppressed(w io.Writer, s *api.Suppressed) {
	fmt.Fprintf(w, "%s: %s\n", s.Addr, e.text("cli.suppressed.state."+s.State))
	if !s.Until.IsZero() {
		fmt.Fprintf(w, "  %s\n", e.text("cli.suppressed.span", "since", clock(s.Since), "until", e.until(s)))
	}
	if s.By != "" {
		fmt.Fprintf(w, "  %s\n", e.whySuppressed(s))
	}
	if len(s.Seen) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.text("cli.suppressed.seen", "count", strconv.Itoa(len(s.Seen))))
	for _, seen := range s.Seen {
		how := "cli.suppressed.said"
		if seen.Late {
			how = "cli.suppressed.reported"
		}
		fmt.Fprintf(w, "  %s  %s\n      %s\n", clock(seen.At), e.text(how, "host", or(seen.Host, "-"), "id", seen.Msg.String()), seen.Text)
	}
}

func newSuppressedAdd(e *env) *cobra.Command {
	var lasts time.Duration
	var reason string
	cmd := e.command("add ADDRESS", "cli.suppressed.add.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		if mail.Domain(a[0]) == "" || mail.Local(a[0]) == "" || strings.ContainsAny(a[0], " <>\t") {
			return usage("cli.suppressed.address", "value", a[0])
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		req := api.SuppressRequest{Why: reason, By: or(e.who(), "admin")}
		if lasts > 0 {
			req.Until = e.now().Add(lasts)
		}
		s, err := c.SuppressedAdd(cmd.Context(), a[0], req)
		if err != nil {
			return err
		}
		return e.show(&s, func(w io.Writer) {
			fmt.Fprintln(w, e.text("cli.suppressed.added", "address", s.Addr, "until", e.until(&s)))
		})
	})
	cmd.Flags().DurationVar(&lasts, "for", 0, e.text("cli.suppressed.flag.for"))
	cmd.Flags().StringVar(&reason, "why", "", e.text("cli.suppressed.flag.why"))
	return cmd
}

func newSuppressedRemove(e *env) *cobra.Command {
	return e.command("remove ADDRESS", "cli.suppressed.remove.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		s, err := c.SuppressedRemove(cmd.Context(), a[0])
		if err != nil {
			return notSuppressed(a[0], err)
		}
		return e.show(&s, func(w io.Writer) { fmt.Fprintln(w, e.text("cli.suppressed.removed", "address", s.Addr)) })
	})
}
