package cli

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/explain"
	"ukai/internal/i18n"
	"ukai/internal/survey"
)

// How much the one screen shows; --details shows all.
const (
	screenTroubles  = 3
	screenProviders = 6
	screenCauses    = 4
	screenPartners  = 3
	screenNames     = 3
	screenSteps     = 3
	maxReply        = 200 // characters
)

// logsTale writes a report for people.
type logsTale struct {
	e       *env
	x       *explain.Explainer
	r       *logsReport
	w       io.Writer
	details bool
}

func (e *env) showLogs(w io.Writer, x *explain.Explainer, r *logsReport, details bool) {
	t := &logsTale{e, x, r, w, details}
	t.head()
	t.troubles()
	t.where()
	t.causes()
	t.inbound()
	if details {
		t.detail()
	}
	t.notes()
}

func (t *logsTale) text(key string, args ...any) string { return t.e.text(key, args...) }

func (t *logsTale) say(indent, s string) { paragraph(t.w, indent, indent, s) }

func (t *logsTale) title(key string) { fmt.Fprintf(t.w, "\n%s\n", t.text(key)) }

// head says what was read.
func (t *logsTale) head() {
	r := t.r
	names := make([]string, len(r.Files))
	for i, path := range r.Files {
		names[i] = filepath.Base(path)
	}
	servers := make([]string, 0, len(r.Read.Servers))
	for name := range r.Read.Servers {
		servers = append(servers, name)
	}
	slices.Sort(servers)
	key := "cli.logs.head"
	if r.First.IsZero() {
		key = "cli.logs.head.empty"
	}
	t.say("", t.text(key, "files", list(names, screenNames), "first", minutes(r.First), "last", minutes(r.Last),
		"lines", count(r.Read.Lines), "servers", join(servers)))
	if r.Interrupted {
		t.say("", t.text("cli.logs.interrupted"))
	}
}

// troubles tells who refuses us, the worst first.
func (t *logsTale) troubles() {
	told, hidden := 0, 0
	for i := range t.r.Providers {
		p := &t.r.Providers[i]
		if len(p.Trouble) == 0 {
			continue
		}
		if told >= screenTroubles && !t.details {
			hidden++
			continue
		}
		fmt.Fprintln(t.w)
		t.trouble(p, told == 0 || t.details)
		told++
	}
	if hidden > 0 {
		t.say("", t.text("cli.logs.more_trouble", "count", hidden))
	}
	for i := range t.r.Providers {
		if p := &t.r.Providers[i]; p.Few {
			fmt.Fprintln(t.w)
			t.say("", t.text("cli.logs.few", "who", p.Name, "refused", p.Refused, "tried", p.Tried))
		}
	}
	if told == 0 && !t.r.First.IsZero() {
		fmt.Fprintln(t.w)
		t.say("", t.text("cli.logs.no_trouble"))
	}
}

// trouble tells of one provider: since when, why, whose fault, what to do.
func (t *logsTale) trouble(p *survey.Provider, long bool) {
	for i := range p.Trouble {
		t.say("", t.episode(p.Name, &p.Trouble[i]))
	}
	c := foremost(p)
	if c == nil {
		return
	}
	words := t.words(p, c)
	so := "cli.logs.no_detour"
	if c.Detour {
		so = "cli.logs.detour"
	}
	t.item("cli.logs.item.why", words.What)
	if !long {
		return
	}
	t.item("cli.logs.item.fault", t.joined(words.Fault, t.text(so)))
	t.item("cli.logs.item.hit", t.hit(p))
	t.item("cli.logs.item.reply", t.short(c.Example))
	fmt.Fprintf(t.w, "  %s\n", t.text("cli.logs.item.do"))
	steps, rest := t.steps(c, &words), 0
	if !t.details && len(steps) > screenSteps+1 {
		steps, rest = steps[:screenSteps], len(steps)-screenSteps
	}
	for i, step := range steps {
		mark := strconv.Itoa(i+1) + ". "
		paragraph(t.w, "    "+mark, "    "+strings.Repeat(" ", len(mark)), step)
	}
	if rest > 0 {
		t.say("    ", t.text("cli.logs.more_steps", "count", rest))
	}
}

// joined puts two sentences behind each other.
func (t *logsTale) joined(a, b string) string {
	if t.e.lang == i18n.JA {
		return a + b
	}
	return a + " " + b
}

// steps are what to do: another way out first where it helps, because mail is lost meanwhile.
func (t *logsTale) steps(c *survey.Cause, words *explain.Words) []string {
	if !c.Detour {
		return words.You
	}
	return append([]string{t.text("cli.logs.step.detour")}, words.You...)
}

func (t *logsTale) item(key, s string) {
	mark := "  " + t.text(key) + " "
	paragraph(t.w, mark, strings.Repeat(" ", width(mark)), s)
}

// episode says from when to when a provider refused how much.
func (t *logsTale) episode(who string, e *survey.Episode) string {
	if e.Host != "" && len(t.r.Hosts) > 1 {
		who = t.text("cli.logs.who_host", "who", who, "host", e.Host)
	}
	key := "cli.logs.since"
	switch {
	case e.Open && e.Until.IsZero():
		key = "cli.logs.throughout"
	case e.Open:
		key = "cli.logs.ended_open"
	case !e.Until.IsZero():
		key = "cli.logs.ended"
	case e.Gradual:
		key = "cli.logs.rising"
	}
	return t.text(key, "who", who, "since", e.Since, "until", e.Until, "share", share(e.Share), "before", share(e.Before),
		"refused", count(e.Refused), "messages", count(e.Messages))
}

// words has the explainer say what a cause means.
func (t *logsTale) words(p *survey.Provider, c *survey.Cause) explain.Words {
	f := explain.Finding{Kind: explain.LogLine, Text: c.Example, Host: c.Host, Provider: p.ID, ProviderName: p.Name, Verdict: c.Verdict}
	return t.x.Say(t.e.lang, &f)
}

// hit says which domains and senders it met.
func (t *logsTale) hit(p *survey.Provider) string {
	s := t.text("cli.logs.hit", "count", count(p.Refused), "domains", t.tally(&p.Domains))
	if len(t.r.Senders.Top) > 0 {
		s = t.joined(s, t.text("cli.logs.hit.senders", "domains", t.tally(&t.r.Senders)))
	}
	return s
}

// tally names the first of a table.
func (t *logsTale) tally(y *survey.Tally) string {
	most := screenNames
	if t.details {
		most = len(y.Top)
	}
	var names []string
	for _, c := range y.Top[:min(most, len(y.Top))] {
		names = append(names, or(c.Name, t.text("cli.logs.no_domain"))+" "+count(c.N))
	}
	s := join(names)
	if rest := len(y.Top) - len(names) + y.Others; rest > 0 {
		s = t.text("cli.logs.and_more", "names", s, "count", rest)
	}
	return s
}

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

func (t *logsTale) delay(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	return i18n.Duration(t.e.lang, d)
}

// list names the first of many.
func list(names []string, most int) string {
	if len(names) <= most {
		return join(names)
	}
	return join(names[:most]) + ", ... (" + strconv.Itoa(len(names)) + ")"
}

// count writes a number for people.
func count(n int64) string { return thousands(int(n)) }

// share writes a share so that little is not nothing and nearly all is not all.
func share(x float64) string {
	digits := 0
	if x > 0 && x < 0.0995 || x > 0.985 && x < 1 {
		digits = 1
	}
	s := strconv.FormatFloat(100*x, 'f', digits, 64)
	if s == "100.0" {
		s = "99.9"
	}
	return s + " %"
}

// minutes writes a time as a log is thought of.
func minutes(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format("2006-01-02 15:04")
}

// short cuts a reply, but in details.
func (t *logsTale) short(s string) string {
	if r := []rune(s); len(r) > maxReply && !t.details {
		return string(r[:maxReply]) + " ..."
	}
	return s
}

// cell cuts a name that would make a table too wide.
func cell(s string) string {
	const most = 24
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
