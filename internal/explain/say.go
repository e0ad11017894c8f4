package explain

import (
	"regexp"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/i18n"
	"ukai/internal/mail"
	"ukai/internal/provider"
)

// Words is what a person is told about a Finding, in one language. Every text is whole sentences without line ends.
type Words struct {
	Head  string   `json:"head"`  // the verdict in a sentence
	What  string   `json:"what"`  // what happened
	Fault string   `json:"fault"` // whose fault it is
	Ukai  string   `json:"ukai"`  // what ukai does with such a mail
	You   []string `json:"you"`   // what to do, step by step
	Links []string `json:"links"` // where to look, those of the steps among them, each once
}

// Say puts a Finding into words.
func (e *Explainer) Say(l i18n.Lang, f *Finding) Words {
	s := saying{l: l, f: f, rows: e.Providers.Rows(f.Provider)}
	s.fill()
	w := Words{Head: s.head(), Ukai: s.text("explain.ukai." + s.behaviour())}
	class := f.Verdict.Class
	switch {
	case f.Inbound:
		w.What, w.Fault = s.text("explain.inbound.what"), s.text("explain.inbound.fault")
		w.You = s.steps("explain.inbound.you")
	case f.Verdict.Blame == classify.BlameRange && f.Verdict.Detour:
		what := "explain.what.range"
		if f.Verdict.List != "" {
			what = "explain.what.range_listed"
		}
		fault, you := "explain.fault.range", "explain.you.range"
		if list := keyPart(f.Verdict.List); has("explain.list_fault." + list) { // a listing that is no accusation
			fault, you = "explain.list_fault."+list, "explain.list_you."+list
		}
		w.What, w.Fault, w.You = s.text(what), s.text(fault), append(s.special(), s.steps(you)...)
	default:
		w.What, w.Fault = s.text("explain.what."+class), s.text("explain.fault."+class)
		w.You = append(s.steps("explain.you."+class), s.special()...)
		if class == "dnsbl_listed" || class == "ip_reputation" {
			w.You = s.addressSteps(class)
		}
	}
	if f.Verdict.URL != "" && f.Verdict.Action != classify.Deliver {
		w.You = append([]string{s.text("explain.step.url")}, w.You...)
	}
	w.Links = links(append([]string{f.Verdict.URL}, w.You...))
	return w
}

// saying is one Finding being put into words.
type saying struct {
	l    i18n.Lang
	f    *Finding
	rows []*provider.Row
	list listing
	args []any
}

// listing is what is known of a blocklist: the first line of its text is its name, the second its page, then come the steps.
type listing struct {
	name, page string
	steps      []string
}

// has tells whether the catalogue has a text.
func has(key string) bool {
	all, err := i18n.Catalogue()
	_, ok := all[key]
	return err == nil && ok
}

// keyPart is the form of an ID or a list's name in keys of the catalogue.
func keyPart(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(id))
}

// fill collects the values of the texts; for what is not known stands a word.
func (s *saying) fill() {
	f := s.f
	s.list = s.listing()
	domain, rdomain := domainOf(f.Sender), domainOf(f.Recipient)
	ip := addr(f.Verdict.IP)
	spf, lookup := "ip4:"+ip, "-x "+ip
	switch {
	case ip == "":
		spf, lookup = s.word("spf"), s.word("lookup")
	case strings.Contains(ip, ":"):
		spf = "ip6:" + ip
	}
	s.args = []any{
		"who", or(f.ProviderName, or(f.Host, s.word("who"))), "ip", or(ip, s.word("ip")), "list", s.listName(),
		"recipient", or(f.Recipient, s.word("recipient")), "domain", or(domain, s.word("domain")), "rdomain", or(rdomain, s.word("rdomain")),
		"dig_domain", or(domain, s.word("dig")), "dig_rdomain", or(rdomain, s.word("dig")), "spf", spf, "lookup", lookup,
		"url", f.Verdict.URL, "name", i18n.Text(s.l, classify.NameKey(f.Verdict.Class)), "client", or(addr(f.Verdict.IP), or(f.Host, s.word("client"))),
	}
}

func (s *saying) word(name string) string { return i18n.Text(s.l, "explain.word."+name) }

// wideGap is a blank between two Japanese characters: texts set values off with blanks, and a word may stand for one.
var wideGap = regexp.MustCompile(`([\p{Han}\p{Hiragana}\p{Katakana}ー、。]) ([\p{Han}\p{Hiragana}\p{Katakana}])`)

// text returns a text with its values. A word that stands for a value may have come to its beginning.
func (s *saying) text(key string) string {
	t := i18n.Text(s.l, key, s.args...)
	if s.l == i18n.JA {
		for range 2 { // a particle stands between two gaps
			t = wideGap.ReplaceAllString(t, "$1$2")
		}
	}
	if s.l == i18n.EN && (strings.HasPrefix(t, "the ") || strings.HasPrefix(t, "your ")) {
		t = strings.ToUpper(t[:1]) + t[1:]
	}
	return t
}

// steps returns a text whose lines are steps.
func (s *saying) steps(key string) []string { return strings.Split(s.text(key), "\n") }

// domainOf returns the domain of an address, or a domain itself.
func domainOf(addr string) string {
	if d := mail.Domain(addr); d != "" || addr == "" {
		return d
	}
	if strings.Contains(addr, ".") {
		return strings.ToLower(addr)
	}
	return ""
}

// listing looks the blocklist up that the verdict names.
func (s *saying) listing() listing {
	name := s.f.Verdict.List
	key := "explain.list." + keyPart(name)
	if name == "" || !has(key) {
		return listing{name: name}
	}
	lines := strings.Split(i18n.Text(s.l, key), "\n")
	return listing{name: lines[0], page: strings.TrimPrefix(lines[1], "-"), steps: lines[2:]}
}

// listName is the name of the list in a sentence. Japanese sets a name in Latin letters off with blanks.
func (s *saying) listName() string {
	switch {
	case s.list.name == "":
		return s.word("list")
	case s.l == i18n.JA:
		return " " + s.list.name + " "
	}
	return s.list.name
}

// addressSteps are the steps for trouble with the address. What is known of the list or of the provider stands behind the search
// for the cause, in the place of the general advice.
func (s *saying) addressSteps(class string) []string {
	steps, special := s.steps("explain.you."+class), s.special()
	if len(special) == 0 {
		return steps
	}
	cause, rest := steps[:1], steps[2:]
	if class == "ip_reputation" {
		cause, rest = steps[:2], steps[3:]
	}
	out := append([]string{}, cause...)
	return append(append(out, special...), rest...)
}

// special are the steps that are known for this list and for this provider.
func (s *saying) special() []string {
	v := &s.f.Verdict
	var out []string
	if v.List != "" {
		if s.list.page != "" {
			out = append(out, strings.TrimSpace(i18n.Text(s.l, "explain.step.list", "list", s.listName(), "url", s.list.page, "target", s.target())))
		}
		out = append(out, s.list.steps...)
	}
	if !v.Reputation && v.Class != "domain_reputation" {
		return out
	}
	if key := "explain.provider." + keyPart(s.f.Provider); has(key) && v.Reputation {
		return append(out, s.steps(key)...)
	}
	for _, r := range s.rows {
		if page := firstLink(r.Care.Delist.URL); page != "" && page != s.list.page {
			return append(out, i18n.Text(s.l, "explain.step.delist", "who", r.Name, "url", page))
		}
	}
	return out
}

// target is what is looked up at a list: the address or the domain.
func (s *saying) target() string {
	if s.f.Verdict.Class == "domain_reputation" {
		return or(domainOf(s.f.Sender), s.word("domain"))
	}
	return or(addr(s.f.Verdict.IP), s.word("ip"))
}
