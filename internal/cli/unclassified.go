package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ukai/internal/api"
	"ukai/internal/i18n"
)

func newUnclassified(e *env) *cobra.Command {
	return e.group("unclassified", "cli.unclassified.", newUnclassifiedList(e), newUnclassifiedShow(e), newUnclassifiedForget(e))
}

func newUnclassifiedList(e *env) *cobra.Command {
	var provider string
	var limit int
	cmd := e.command("list", "cli.unclassified.list.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		l, err := c.Unclassified(cmd.Context(), provider, limit)
		if err != nil {
			return err
		}
		return e.show(l, func(w io.Writer) { e.listUnclassified(w, &l) })
	})
	cmd.Flags().StringVar(&provider, "provider", "", e.text("cli.unclassified.flag.provider"))
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, e.text("cli.unclassified.flag.limit"))
	must(cmd.RegisterFlagCompletionFunc("provider", completeProviders))
	return cmd
}

func (e *env) listUnclassified(w io.Writer, l *api.UnclassifiedList) {
	if len(l.Entries) == 0 {
		fmt.Fprintln(w, e.text("cli.unclassified.none"))
	} else {
		t := newTable("id", e.text("cli.unclassified.col.count"), e.text("cli.unclassified.col.last"), e.text("cli.unclassified.col.provider"), e.text("cli.unclassified.col.text"))
		for i := range l.Entries {
			x := &l.Entries[i]
			t.row(strconv.FormatInt(x.ID, 10), strconv.FormatInt(x.Count, 10), e.ago(x.Last), or(x.Provider, "-"), x.Text)
		}
		t.write(w)
	}
	if l.Dropped > 0 {
		fmt.Fprintln(w, e.text("cli.unclassified.dropped", "count", l.Dropped))
	}
}

// unclassifiedID reads the ID of an entry.
func unclassifiedID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usage("cli.unclassified.bad_id", "value", s)
	}
	return id, nil
}

func newUnclassifiedShow(e *env) *cobra.Command {
	return e.command("show ID", "cli.unclassified.show.", args(1, 1), func(cmd *cobra.Command, a []string) error {
		id, err := unclassifiedID(a[0])
		if err != nil {
			return err
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		r, err := c.UnclassifiedReply(cmd.Context(), id)
		if absent(err) {
			return i18n.Errorf("cli.unclassified.unknown", "id", a[0], "cause", err)
		}
		if err != nil {
			return err
		}
		return e.show(&r, func(w io.Writer) { e.showUnclassified(w, &r) })
	})
}

func (e *env) showUnclassified(w io.Writer, r *api.UnclassifiedReply) {
	fmt.Fprintf(w, "%s\n\n", r.Text)
	fmt.Fprintln(w, e.text("cli.unclassified.came", "count", strconv.FormatInt(r.Count, 10), "provider", or(r.Provider, "-"), "egress", or(r.Egress, "-"),
		"phase", r.Phase, "first", clock(r.First), "last", clock(r.Last)))
	if len(r.Near) == 0 {
		fmt.Fprintln(w, e.text("cli.unclassified.far"))
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.text("cli.unclassified.near"))
	for _, n := range r.Near {
		fmt.Fprintf(w, "  %s (%s)\n", n.Rule, e.text("classify.class."+n.Class))
		for _, l := range n.Lacks {
			fmt.Fprintf(w, "    %s\n", e.text(l.Key(), "words", fewWords(l.Words)))
		}
	}
}

// someWords is how many of many alternatives are shown.
const someWords = 4

// fewWords returns the first of many words, in quotes.
func fewWords(words []string) string {
	more := ""
	if len(words) > someWords {
		words, more = words[:someWords], ", ..."
	}
	quoted := make([]string, len(words))
	for i, s := range words {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ") + more
}

func newUnclassifiedForget(e *env) *cobra.Command {
	var all bool
	cmd := e.command("forget [ID]", "cli.unclassified.forget.", args(0, 1), func(cmd *cobra.Command, a []string) error {
		if all == (len(a) == 1) {
			return usage("cli.unclassified.which")
		}
		var id int64
		if len(a) == 1 {
			var err error
			if id, err = unclassifiedID(a[0]); err != nil {
				return err
			}
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		f, err := c.ForgetUnclassified(cmd.Context(), id)
		if absent(err) {
			return i18n.Errorf("cli.unclassified.unknown", "id", a[0], "cause", err)
		}
		if err != nil {
			return err
		}
		return e.show(f, func(w io.Writer) {
			fmt.Fprintln(w, e.text("cli.unclassified.forgotten", "count", strconv.FormatInt(f.Count, 10)))
		})
	})
	cmd.Flags().BoolVar(&all, "all", false, e.text("cli.unclassified.flag.all"))
	return cmd
}
