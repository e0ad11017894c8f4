package cases

import (
	"strings"
	"time"

	"ukai/internal/i18n"
)

// Words is a case for people, in one language. Every text is whole sentences without line ends.
type Words struct {
	Title string `json:"title"`
	State string `json:"state"`
	Next  string `json:"next"` // what to do now
	// Who may ask, and how, a line each: where, what is wanted, how long it takes, money, how far that is known.
	Door   []string    `json:"door"`
	Steps  []string    `json:"steps,omitempty"` // what is known about this very list or provider
	Values []string    `json:"values"`          // what goes into a form, as far as it is known
	Checks []CheckLine `json:"checks,omitempty"`
	Story  []Line      `json:"story"`
}

// CheckLine is a check in words; Do is what to do about it, empty when it is good.
type CheckLine struct {
	Result Result `json:"result"`
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"`
}

// Line is an entry of the timeline in words.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Say puts a case into words, with what is known about its door.
func (c *Case) Say(l i18n.Lang, f *Facts) Words {
	s := speaker{c: c, f: f, lang: l}
	w := Words{Title: s.title(), State: s.text("cases.state." + string(c.State)), Next: s.next(), Door: s.door(), Steps: s.steps(), Checks: s.checks()}
	w.Values = c.values(s)
	for _, e := range c.Timeline {
		w.Story = append(w.Story, Line{e.At, s.event(&e)})
	}
	return w
}

// speaker makes the words of one case.
type speaker struct {
	c    *Case
	f    *Facts
	lang i18n.Lang
}

func (s *speaker) text(key string, args ...any) string { return i18n.Text(s.lang, key, args...) }

func (s *speaker) title() string {
	return s.text("cases.title."+string(s.c.Key.Kind), "name", s.f.Name, "place", s.c.Key.Place)
}

// next says what to do now.
func (s *speaker) next() string {
	switch {
	case s.c.State == Ready && s.f.Who == Network:
		return s.text("cases.next.ready_network", "id", s.c.ID)
	case s.c.State == Ready && s.f.Who == Depends:
		return s.text("cases.next.ready_depends", "id", s.c.ID)
	case s.c.State == Open && len(s.c.Checks) == 0:
		return s.text("cases.next.unchecked")
	}
	return s.text("cases.next."+string(s.c.State), "id", s.c.ID, "due", s.c.Due)
}

// door says who may ask, where, and on which terms. What the catalogue has in English words stays as it is: it is quoted.
func (s *speaker) door() []string {
	f := s.f
	who := f.Who
	if who == "" {
		who = "unknown"
	}
	list := []string{s.text("cases.who." + who)}
	add := func(key, value string) {
		if value != "" {
			list = append(list, s.text(key, "value", value))
		}
	}
	add("cases.door.entry", strings.Join(nonEmpty(s.c.About.Listed.Code, s.c.About.Listed.Meaning, s.c.About.Listed.Reason), "; "))
	add("cases.door.terms", f.Terms)
	add("cases.door.where", strings.Join(f.Pages, " "))
	if len(f.Pages) == 0 || strings.Contains(f.Contact, "@") {
		add("cases.door.contact", f.Contact)
	}
	add("cases.door.named", s.named())
	add("cases.door.form", f.Form)
	add("cases.door.also", f.Also)
	add("cases.door.expiry", f.Expiry)
	if f.Told {
		list = append(list, s.text("cases.door.term", "time", i18n.Duration(s.lang, f.Term)))
	} else {
		list = append(list, s.text("cases.door.term_own", "time", i18n.Duration(s.lang, f.Term)))
	}
	list = append(list, s.text("cases.door.repeat"))
	add("cases.door.pay", f.Pay)
	if f.Known {
		list = append(list, s.text("cases.door.confidence", "level", s.text("cases.confidence."+or(f.Confidence, "low")), "date", or(f.Date, "-")))
	} else {
		list = append(list, s.text("cases.door.strange"))
	}
	return list
}

// named is the page that the reply or the list itself names, where it is none of those that the catalogue knows.
func (s *speaker) named() string {
	url := s.c.About.URL
	for _, page := range s.f.Pages {
		if strings.TrimSuffix(page, "/") == strings.TrimSuffix(url, "/") {
			return ""
		}
	}
	return url
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// steps are what package explain knows about this very list or provider, in both languages. The first lines of a list's text are
// its name and its page.
func (s *speaker) steps() []string {
	all, err := i18n.Catalogue()
	if err != nil {
		return nil // a test rules it out
	}
	key := strings.ReplaceAll(slug(s.c.Key.Name), "-", "_")
	if s.c.Key.Kind == Block {
		if _, ok := all["explain.provider."+key]; ok {
			return strings.Split(s.text("explain.provider."+key), "\n")
		}
		return nil
	}
	for key != "" {
		if _, ok := all["explain.list."+key]; ok {
			return strings.Split(s.text("explain.list."+key), "\n")[2:]
		}
		key = key[:max(0, strings.LastIndexByte(key, '_'))] // "barracuda_brbl" is told about as "barracuda"
	}
	return nil
}

// checks puts the checks into words.
func (s *speaker) checks() (list []CheckLine) {
	for _, k := range s.c.Checks {
		line := CheckLine{Result: k.Result, Text: s.text("cases.check."+string(k.Name)+"."+string(k.Result), pairs(k.Args)...)}
		if k.Result != OK {
			line.Do = s.text("cases.do."+string(k.Name), "id", s.c.ID)
		}
		list = append(list, line)
	}
	return list
}

func pairs(m map[string]string) (args []any) {
	for name, value := range m {
		args = append(args, name, value)
	}
	return args
}

func (s *speaker) event(e *Entry) string {
	key := e.What
	if e.Args["note"] != "" {
		return s.text("cases.event.noted", "event", s.text(key, pairs(e.Args)...), "note", e.Args["note"])
	}
	return s.text(key, pairs(e.Args)...)
}
