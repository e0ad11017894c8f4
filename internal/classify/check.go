package classify

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/outcome"
)

// checker looks for what the TOML decoder cannot know.
type checker struct {
	name  string
	lines []string
	errs  []error
}

func (c *checker) file(f *File) {
	c.phrases(-1, f.Marks)
	if len(f.Marks) > 0 && len(f.Providers) == 0 {
		c.fail(-1, "marks", "", "classify.check.marks")
	}
	for _, p := range f.Phase {
		c.phrases(-1, p.Any)
		c.phase(-1, "phase", p.Phase)
	}
	for _, l := range f.List {
		c.phrases(-1, l.Any)
		if l.Name == "" || len(l.Any) == 0 {
			c.fail(-1, "name", l.Name, "classify.check.list")
		}
	}
	seen := make(map[string]bool)
	for i := range f.Rule {
		r := &f.Rule[i]
		if seen[r.Name] {
			c.fail(i, "name", r.Name, "classify.check.twice", "name", r.Name)
		}
		seen[r.Name] = true
		c.rule(i, r, f)
	}
}

func (c *checker) rule(i int, r *Rule, f *File) {
	if r.Name == "" {
		c.fail(i, "name", "", "classify.check.name")
	}
	if !isClass(r.Class) {
		c.fail(i, "class", r.Class, "classify.check.class", "class", r.Class)
	}
	if r.Example == "" || r.Source == "" {
		c.fail(i, "name", "", "classify.check.proof", "name", r.Name)
	}
	if r.Only && len(f.Providers) == 0 {
		c.fail(i, "only", "", "classify.check.only")
	}
	if len(r.Any)+len(r.All)+len(r.Statuses)+len(r.Codes)+len(r.Phases) == 0 && r.Lists == "" {
		c.fail(i, "name", "", "classify.check.empty", "name", r.Name)
	}
	if r.Lists != "" && r.Lists != "ip" && r.Lists != "domain" && r.Lists != "any" {
		c.fail(i, "lists", r.Lists, "classify.check.lists", "value", r.Lists)
	}
	c.phrases(i, r.All)
	c.phrases(i, r.Any)
	c.phrases(i, r.None)
	c.reply(i, r)
	c.override(i, &r.Override)
}

func (c *checker) reply(i int, r *Rule) {
	for _, s := range r.Codes {
		if _, err := parseCodes(s); err != nil {
			c.fail(i, "codes", s, "classify.check.code", "value", s)
		}
	}
	for _, s := range r.Statuses {
		if _, err := parseStatuses(s); err != nil {
			c.fail(i, "statuses", s, "classify.check.status", "value", s)
		}
	}
	for _, s := range r.Phases {
		c.phase(i, "phases", s)
	}
	if r.Phase != "" {
		c.phase(i, "phase", r.Phase)
	}
}

func (c *checker) phase(i int, key, s string) {
	if outcome.ParsePhase(s).String() != s {
		c.fail(i, key, s, "classify.check.phase", "value", s)
	}
}

var (
	blames = []Blame{BlameNone, BlameIP, BlameRange, BlameDomain, BlameContent, BlameAuthentication, BlameRecipient, BlameRate, BlameNetwork, BlamePolicy, BlameConfiguration}
	scopes = []Scope{ScopeRecipient, ScopeMessage, ScopeSender, ScopeIP, ScopeRange, ScopeHost}
)

func (c *checker) override(i int, o *Override) {
	if o.Blame != "" && !slices.Contains(blames, o.Blame) {
		c.fail(i, "blame", string(o.Blame), "classify.check.blame", "value", o.Blame, "all", blames)
	}
	if o.Scope != "" && !slices.Contains(scopes, o.Scope) {
		c.fail(i, "scope", string(o.Scope), "classify.check.scope", "value", o.Scope, "all", scopes)
	}
	if _, err := regexp.Compile(o.Code); err != nil {
		c.fail(i, "code", "", "classify.check.regexp", "cause", err)
	}
}

func isClass(name string) bool {
	all, _ := Classes()
	return slices.ContainsFunc(all, func(c Class) bool { return c.Name == name && !c.Mail })
}

func (c *checker) phrases(rule int, list []string) {
	for _, s := range list {
		if _, err := parsePhrase(s); err != nil {
			c.fail(rule, "", s, "classify.check.phrase", "value", s)
		}
	}
}

// fail takes note of a mistake; key is one of the message catalogue.
func (c *checker) fail(rule int, field, value, key string, args ...any) {
	line := c.line(rule, field, value)
	c.errs = append(c.errs, i18n.Errorf("classify.check.at", "file", c.name, "line", line, "what", i18n.Errorf(key, args...)))
}

// line returns the number of the line in which a rule (-1: the part before the rules) gives a key or a value; the first line of
// the rule where it does not.
func (c *checker) line(rule int, key, value string) int {
	heads := []int{0}
	for n, l := range c.lines {
		if strings.HasPrefix(strings.TrimSpace(l), "[[rule]]") {
			heads = append(heads, n)
		}
	}
	heads = append(heads, len(c.lines))
	for n := heads[rule+1]; n < heads[rule+2]; n++ {
		l := strings.TrimSpace(c.lines[n])
		rest, ok := strings.CutPrefix(l, key)
		if key != "" && (!ok || !strings.HasPrefix(strings.TrimSpace(rest), "=")) {
			continue
		}
		if value == "" || strings.Contains(l, strconv.Quote(value)) || strings.Contains(l, "'"+value+"'") {
			return n + 1
		}
	}
	return heads[rule+1] + 1
}
