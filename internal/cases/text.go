package cases

import (
	"strings"
	"time"

	"ukai/internal/i18n"
)

// Text returns the letter that asks for a case, in a language, with times in loc: to the list or the provider, or to the owner of the
// network where only that one can ask. It holds what the database knows and no more. What only a person knows is a gap in square
// brackets; what is not known, and need not be said, is left out. Where nobody can ask, it says that.
func (c *Case) Text(l i18n.Lang, f *Facts, loc *time.Location) string {
	w := letter{speaker: speaker{c: c, f: f, lang: l}, loc: loc}
	if f.Who == Wait {
		return w.text("cases.letter.wait", "name", f.Name, "due", w.time(c.Due)) + "\n"
	}
	w.write()
	return w.b.String()
}

// letter is a letter being written.
type letter struct {
	speaker
	loc *time.Location
	b   strings.Builder
}

// time writes a time with its zone: the reader is somewhere else.
func (w *letter) time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(w.loc).Format("2006-01-02 15:04:05 -07:00")
}

func (w *letter) line(key string, args ...any) {
	w.b.WriteString(w.text(key, args...))
	w.b.WriteByte('\n')
}

func (w *letter) gap() { w.b.WriteByte('\n') }

// address is the one of ours that the letter is about: a network that is listed is not our server.
func (w *letter) address() string {
	if w.c.domain() {
		return w.c.Key.Place
	}
	if len(w.c.About.Addresses) == 0 {
		for _, k := range w.c.Checks { // the refusals do not name it, the settings do
			if k.Name == CheckPTR && k.Args["ip"] != "" {
				return k.Args["ip"]
			}
		}
		return w.text("cases.letter.gap.address")
	}
	names := make([]string, len(w.c.About.Addresses))
	for n, ip := range w.c.About.Addresses {
		names[n] = ip.String()
	}
	return strings.Join(names, ", ")
}

// values are what a form asks for, each in a line: the address, the times in UTC, the names, the refusal.
func (c *Case) values(s speaker) []string {
	w := letter{speaker: s, loc: time.UTC}
	w.line("cases.letter.value", "address", w.address())
	w.line("cases.letter.since", "time", w.time(c.About.Began))
	if !c.About.Last.IsZero() {
		w.line("cases.letter.last", "time", w.time(c.About.Last))
	}
	w.server()
	list := strings.Split(strings.TrimSpace(w.b.String()), "\n")
	if c.About.Reply != "" {
		list = append(list, w.text("cases.letter.reply")+" "+strings.ReplaceAll(c.About.Reply, "\n", " "))
	}
	return list
}

func (w *letter) write() {
	kind := string(w.c.Key.Kind)
	if w.f.Who == Network {
		kind = "network"
	}
	w.line("cases.letter.subject."+kind, "address", w.address(), "name", w.f.Name, "place", w.c.Key.Place)
	w.gap()
	w.line("cases.letter.hello")
	w.gap()
	begin := kind
	if w.c.domain() {
		begin = "domain"
	}
	w.line("cases.letter.begin."+begin, "address", w.address(), "name", w.f.Name, "place", w.c.Key.Place)
	w.gap()
	w.evidence()
	w.gap()
	w.server()
	w.fixes()
	w.gap()
	w.line("cases.letter.ask."+kind, "address", w.address(), "name", w.f.Name, "place", w.c.Key.Place)
	w.gap()
	w.line("cases.letter.end")
}

// evidence are times, counts and the reply as it came.
func (w *letter) evidence() {
	a := &w.c.About
	w.line("cases.letter.since", "time", w.time(a.Began))
	if !a.Last.IsZero() && a.Last.After(a.Began) {
		w.line("cases.letter.last", "time", w.time(a.Last))
	}
	if strings.Contains(w.c.Key.Place, "/") {
		w.line("cases.letter.place", "place", w.c.Key.Place)
	}
	if page := w.page(); page != "" {
		w.line("cases.letter.page", "url", page)
	}
	if entry := strings.Join(nonEmpty(a.Listed.Code, a.Listed.Reason), "; "); entry != "" {
		w.line("cases.letter.entry", "value", entry)
	}
	if a.Reply != "" {
		w.line("cases.letter.reply")
		for _, part := range strings.Split(a.Reply, "\n") {
			w.b.WriteString("  > " + strings.TrimSpace(part) + "\n")
		}
	}
	if r := w.c.lastRequest(); r != nil {
		w.line("cases.letter.asked", "time", w.time(r.At))
	}
}

// page is where the entry can be looked up.
func (w *letter) page() string {
	if w.c.About.URL != "" {
		return w.c.About.URL
	}
	if w.f.Who == Network && len(w.f.Pages) > 0 {
		return w.f.Pages[0]
	}
	return ""
}

// server says what is known to be in order. What is not is not mentioned: it is to be mended before the letter goes out.
func (w *letter) server() {
	for _, k := range w.c.Checks {
		if k.Result != OK {
			continue
		}
		switch k.Name {
		case CheckPTR:
			w.line("cases.letter.ptr", "names", k.Args["names"])
		case CheckForward:
			w.line("cases.letter.forward")
		case CheckHELO:
			w.line("cases.letter.helo", "helo", k.Args["helo"])
		case CheckSPF:
			w.line("cases.letter.spf", "domain", k.Args["domain"])
		}
	}
}

// fixes says what was mended, in the words of those who did it.
func (w *letter) fixes() {
	if len(w.c.Fixes) == 0 {
		w.line("cases.letter.gap.fixed")
		return
	}
	w.line("cases.letter.fixed")
	for _, x := range w.c.Fixes {
		w.b.WriteString("  - " + x.What + " (" + w.time(x.At) + ")\n")
	}
}
