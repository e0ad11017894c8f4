package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
	few := t.few()
	if told == 0 && !few && !t.r.First.IsZero() {
		fmt.Fprintln(t.w)
		t.say("", t.text("cli.logs.no_trouble"))
	}
}

// few tells of providers that refused, but of too little mail to say since when. It tells whether there were any.
func (t *logsTale) few() (told bool) {
	for i := range t.r.Providers {
		p := &t.r.Providers[i]
		if !p.Few {
			continue
		}
		told = true
		fmt.Fprintln(t.w)
		t.say("", t.text("cli.logs.few", "who", p.Name, "refused", p.Refused, "tried", p.Tried))
		if c := foremost(p); c != nil {
			t.item("cli.logs.item.why", t.words(p, c).What)
		}
	}
	return told
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
