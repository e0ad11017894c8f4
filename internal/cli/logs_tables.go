package cli

import (
	"cmp"
	"slices"

	"ukai/internal/classify"
	"ukai/internal/survey"
)

// where is the table of what went where.
func (t *logsTale) where() {
	if len(t.r.Providers) == 0 {
		return
	}
	t.title("cli.logs.where")
	y := newTable(t.text("cli.logs.col.provider"), t.text("cli.logs.col.delivered"), t.text("cli.logs.col.deferred"), t.text("cli.logs.col.bounced"),
		t.text("cli.logs.col.refused"), t.text("cli.logs.col.p50"), t.text("cli.logs.col.p95"))
	y.indent = "  "
	rows := t.r.Providers
	if !t.details {
		rows = busiest(rows, screenProviders)
	}
	for i := range rows {
		p := &rows[i]
		refused := "-"
		if p.Refused > 0 {
			refused = count(p.Refused) + " (" + share(float64(p.Refused)/float64(p.Tried)) + ")"
		}
		y.row(cell(or(p.ID, t.text("cli.logs.other"))), count(p.Totals.Delivered), count(p.Totals.Deferred), count(p.Totals.Bounced+p.Totals.Expired), refused,
			t.delay(p.Delay.P50), t.delay(p.Delay.P95))
	}
	y.write(t.w)
	if hidden := len(t.r.Providers) - len(rows); hidden > 0 {
		t.say("  ", t.text("cli.logs.more_providers", "count", hidden))
	}
	n := &t.r.Totals
	line := t.text("cli.logs.totals", "delivered", count(n.Delivered), "waiting", count(n.Waiting), "bounced", count(n.Bounced+n.Expired), "retries", count(n.Retries))
	if n.Local > 0 {
		line = t.joined(line, t.text("cli.logs.local", "count", count(n.Local)))
	}
	t.say("  ", line)
}

// busiest keeps the order but only the rows that refuse and those with the most mail.
func busiest(rows []survey.Provider, most int) []survey.Provider {
	if len(rows) <= most {
		return rows
	}
	all := func(p *survey.Provider) int64 {
		return p.Totals.Delivered + p.Totals.Deferred + p.Totals.Bounced + p.Totals.Expired
	}
	sizes := make([]int64, len(rows))
	for i := range rows {
		sizes[i] = all(&rows[i])
	}
	slices.SortFunc(sizes, func(a, b int64) int { return cmp.Compare(b, a) })
	least := sizes[most-1]
	var kept []survey.Provider
	for i := range rows {
		if len(kept) < most && (len(rows[i].Trouble) > 0 || all(&rows[i]) >= least) {
			kept = append(kept, rows[i])
		}
	}
	return kept
}

// causes says for what other reasons mail was late or came back.
func (t *logsTale) causes() {
	type line struct {
		p *survey.Provider
		c *survey.Cause
	}
	var all []line
	for i := range t.r.Providers {
		p := &t.r.Providers[i]
		for k := range p.Causes {
			all = append(all, line{p, &p.Causes[k]})
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(b.c.Messages, a.c.Messages) })
	t.title("cli.logs.causes")
	y := newTable(t.text("cli.logs.col.messages"), t.text("cli.logs.col.returned"), t.text("cli.logs.col.provider"), t.text("cli.logs.col.why"))
	y.indent = "  "
	shown := all
	if !t.details {
		shown = all[:min(len(all), screenCauses)]
	}
	for _, x := range shown {
		why := t.text(classify.NameKey(x.c.Class))
		if x.c.List != "" {
			why += " (" + x.c.List + ")"
		}
		y.row(count(x.c.Messages), count(x.c.Final), cell(or(x.p.ID, t.text("cli.logs.other"))), why)
	}
	y.write(t.w)
	if rest := len(all) - len(shown); rest > 0 {
		t.say("  ", t.text("cli.logs.more_causes", "count", rest))
	}
}
