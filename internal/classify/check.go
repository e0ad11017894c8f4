package classify

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
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
		c.fail(-1, "marks", "", "marks without providers betray nobody")
	}
	for _, p := range f.Phase {
		c.phrases(-1, p.Any)
		if _, err := parsePhase(p.Phase); err != nil {
			c.fail(-1, "phase", p.Phase, "%v", err)
		}
	}
	for _, l := range f.List {
		c.phrases(-1, l.Any)
		if l.Name == "" || len(l.Any) == 0 {
			c.fail(-1, "name", l.Name, "a list needs a name and phrases")
		}
	}
	seen := make(map[string]bool)
	for i := range f.Rule {
		r := &f.Rule[i]
		if seen[r.Name] {
			c.fail(i, "name", r.Name, "the name %q was given to another rule already", r.Name)
		}
		seen[r.Name] = true
		c.rule(i, r, f)
	}
}

func (c *checker) rule(i int, r *Rule, f *File) {
	if r.Name == "" {
		c.fail(i, "name", "", "a rule needs a name")
	}
	if !isClass(r.Class) {
		c.fail(i, "class", r.Class, "%q is not a class that a rule can give", r.Class)
	}
	if r.Example == "" || r.Source == "" {
		c.fail(i, "name", "", "rule %q needs an example and a source", r.Name)
	}
	if r.Only && len(f.Providers) == 0 {
		c.fail(i, "only", "", "only: the file names no provider")
	}
	if len(r.Any)+len(r.All)+len(r.Statuses)+len(r.Codes)+len(r.Phases) == 0 && r.Lists == "" {
		c.fail(i, "name", "", "rule %q has no condition: it would take every reply", r.Name)
	}
	if r.Lists != "" && r.Lists != "ip" && r.Lists != "domain" && r.Lists != "any" {
		c.fail(i, "lists", r.Lists, "lists is ip, domain or any")
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
			c.fail(i, "codes", s, "%v", err)
		}
	}
	for _, s := range r.Statuses {
		if _, err := parseStatuses(s); err != nil {
			c.fail(i, "statuses", s, "%v", err)
		}
	}
	for _, s := range r.Phases {
		if _, err := parsePhase(s); err != nil {
			c.fail(i, "phases", s, "%v", err)
		}
	}
	if r.Phase != "" {
		if _, err := parsePhase(r.Phase); err != nil {
			c.fail(i, "phase", r.Phase, "%v", err)
		}
	}
}

var (
	blames = []Blame{BlameNone, BlameIP, BlameRange, BlameDomain, BlameContent, BlameAuthentication, BlameRecipient, BlameRate, BlameNetwork, BlamePolicy, BlameConfiguration}
	scopes = []Scope{ScopeRecipient, ScopeMessage, ScopeSender, ScopeIP, ScopeRange, ScopeHost}
)

func (c *checker) override(i int, o *Override) {
	if o.Blame != "" && !oneOf(o.Blame, blames) {
		c.fail(i, "blame", string(o.Blame), "%q is not a blame: one of %v is", o.Blame, blames)
	}
	if o.Scope != "" && !oneOf(o.Scope, scopes) {
		c.fail(i, "scope", string(o.Scope), "%q is not a scope: one of %v is", o.Scope, scopes)
	}
	if _, err := regexp.Compile(o.Code); err != nil {
		c.fail(i, "code", "", "%v", err)
	}
}

func oneOf[T comparable](v T, all []T) bool {
	for _, a := range all {
		if a == v {
			return true
		}
	}
	return false
}

func isClass(name string) bool {
	all, _ := Classes()
	for i := range all {
		if all[i].Name == name {
			return !all[i].Mail
		}
	}
	return false
}

func (c *checker) phrases(rule int, list []string) {
	for _, s := range list {
		if _, err := parsePhrase(s); err != nil {
			c.fail(rule, "", s, "%v", err)
		}
	}
}

func (c *checker) fail(rule int, key, value, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %s", c.name, c.line(rule, key, value), fmt.Sprintf(format, args...)))
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
