package incident

import (
	"strconv"
	"strings"
	"time"

	"ukai/internal/i18n"
)

// mostNames is how many domains a report lists.
const mostNames = 20

// Markdown returns an incident as a text that can be sent to customers: what happened, since when, what became of the mail, what
// was done. Times are in loc. name returns what people call a provider.
func (i *Incident) Markdown(l i18n.Lang, loc *time.Location, name func(id string) string) string {
	w := i.Say(l, name)
	m := sheet{lang: l}
	m.line("# ", w.Title)
	m.line("")
	m.fact("incident.report.id", strconv.FormatInt(i.ID, 10))
	m.fact("incident.report.state", w.State)
	m.fact("incident.report.began", clock(i.Began, loc))
	if !i.ClosedAt.IsZero() {
		m.fact("incident.report.ended", clock(i.ClosedAt, loc))
	}
	m.fact("incident.report.mail", w.Mail)
	m.head("incident.report.fault")
	m.line(w.Fault)
	m.list("incident.report.did", w.Did)
	m.list("incident.report.next", w.Next)
	m.providers(i, loc, name)
	m.names("incident.report.domains", &i.Domains)
	m.names("incident.report.senders", &i.Senders)
	m.head("incident.report.story")
	for _, e := range w.Story {
		m.line("- ", clock(e.At, loc), " ", plain(e.Text))
	}
	if i.Note != "" {
		m.head("incident.report.note")
		m.line(plain(i.Note))
	}
	return m.b.String()
}

// sheet collects the lines of a report.
type sheet struct {
	b    strings.Builder
	lang i18n.Lang
}

func (m *sheet) line(parts ...string) { m.b.WriteString(strings.Join(parts, "") + "\n") }

func (m *sheet) head(key string) {
	m.line("")
	m.line("## ", i18n.Text(m.lang, key))
	m.line("")
}

func (m *sheet) fact(key, value string) {
	m.line("- **", i18n.Text(m.lang, key), "**: ", plain(value))
}

func (m *sheet) list(key string, items []string) {
	if len(items) == 0 {
		return
	}
	m.head(key)
	for n, item := range items {
		m.line(strconv.Itoa(n+1), ". ", plain(item))
	}
}

func (m *sheet) providers(i *Incident, loc *time.Location, name func(string) string) {
	if len(i.Providers) == 0 {
		return
	}
	m.head("incident.report.providers")
	for _, p := range i.Providers {
		m.line("- **", plain(name(p.ID)), "** ", i18n.Text(m.lang, "incident.report.refusals", "count", p.Refused,
			"first", clock(p.First, loc), "last", clock(p.Last, loc)))
		m.line("")
		m.line("      ", strings.Join(strings.Fields(p.Reply), " ")) // indented as code: a reply is not markup
		m.line("")
	}
}

func (m *sheet) names(key string, t *Tops) {
	if t.Len() == 0 {
		return
	}
	m.head(key)
	list := t.List()
	for _, top := range list[:min(mostNames, len(list))] {
		m.line("- ", plain(top.Name), ": ", strconv.FormatInt(top.Count, 10))
	}
	if rest := len(list) - mostNames; rest > 0 {
		m.line("- ", i18n.Text(m.lang, "incident.report.rest", "count", rest))
	}
}

func clock(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2006-01-02 15:04:05 MST")
}

// plain keeps what strangers wrote from being read as markup, or as more than one line.
func plain(s string) string {
	return markup.Replace(strings.Join(strings.Fields(s), " "))
}

var markup = strings.NewReplacer("*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "|", `\|`)
