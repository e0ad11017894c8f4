package classify

import (
	"regexp"
	"slices"

	"ukai/internal/i18n"
	"ukai/internal/outcome"
)

// maxFiles is how many files of rules there can be, because a set of files is kept as the bits of one word.
const maxFiles = 64

func compile(files []*File) (*Rules, error) {
	if len(files) > maxFiles {
		return nil, i18n.Errorf("classify.check.files", "n", len(files), "max", maxFiles)
	}
	r := &Rules{files: files, speakers: make(map[string]uint64), ids: make(map[string]uint32), classes: make(map[string]*Class)}
	c := &compiler{Rules: r, partID: make(map[part]uint32)}
	all, err := Classes()
	if err != nil {
		return nil, err
	}
	for i := range all {
		c.classes[all[i].Name] = &all[i]
	}
	for n, f := range files {
		c.names(n, f)
	}
	for n, f := range files {
		for i := range f.Rule {
			c.rule(n, f, &f.Rule[i])
		}
	}
	c.finish()
	r.taken = r.plain(Delivered, Deliver)
	return r, nil
}

// compiler numbers what Rules is made of.
type compiler struct {
	*Rules
	partID map[part]uint32
}

// names takes in what a file says besides its rules: every rule of every file may need it.
func (c *compiler) names(n int, f *File) {
	for _, s := range f.Named {
		c.named = append(c.named, []byte(normal(s)))
	}
	for i := range f.List {
		c.effect(f.List[i].Any, effect{role: namesList, n: uint32(len(c.lists))})
		c.lists = append(c.lists, compiledList{&f.List[i]})
	}
	for _, p := range f.Providers {
		c.speakers[p] |= 1 << n
	}
	c.effect(f.Marks, effect{role: marksFile, n: uint32(n)})
	for _, p := range f.Phase {
		c.effect(p.Any, effect{role: marksPhase, mark: outcome.ParsePhase(p.Phase)})
	}
}

// effect gives phrases an effect.
func (c *compiler) effect(list []string, e effect) {
	for _, s := range list {
		p := &c.phrases[c.number(s)]
		if !slices.Contains(p.effects, e) {
			p.effects = append(p.effects, e)
		}
	}
}

// number returns the number of a phrase; the same phrase of two rules is looked for once.
func (c *compiler) number(s string) uint32 {
	if id, ok := c.ids[s]; ok {
		return id
	}
	p, err := parsePhrase(s)
	if err != nil {
		panic("bug: " + err.Error()) // the checker has read it
	}
	cp := compiledPhrase{phrase: p}
	for _, q := range p.parts {
		id, ok := c.partID[q]
		if !ok {
			id = uint32(len(c.parts))
			c.partID[q] = id
			c.parts = append(c.parts, q)
		}
		cp.ids = append(cp.ids, id)
	}
	id := uint32(len(c.phrases))
	c.ids[s] = id
	c.phrases = append(c.phrases, cp)
	return id
}

func (c *compiler) rule(file int, f *File, r *Rule) {
	n := uint32(len(c.rules))
	x := compiled{name: f.name + "." + r.Name, class: c.classes[r.Class], file: file, rule: r}
	for _, s := range r.All {
		x.all = append(x.all, c.number(s))
	}
	c.effect(c.rarest(r.All), effect{role: wakes, n: n})
	c.effect(r.Any, effect{role: isAny, n: n})
	c.effect(c.Listed(r.Lists), effect{role: isListed, n: n})
	c.effect(r.None, effect{role: isNone, n: n})
	for _, s := range r.Codes {
		v, _ := parseCodes(s)
		x.codes = append(x.codes, v)
	}
	for _, s := range r.Statuses {
		v, _ := parseStatuses(s)
		x.statuses = append(x.statuses, v)
	}
	for _, s := range r.Phases {
		x.phases |= 1 << outcome.ParsePhase(s)
	}
	if r.Code != "" {
		x.code = regexp.MustCompile(r.Code)
	}
	x.verdict = template(x.class, r)
	x.verdict.Rule = x.name
	c.rules = append(c.rules, x)
}

// rarest returns the phrase of All that a rule waits for: the longest is the least likely to be met by chance.
func (c *compiler) rarest(all []string) []string {
	best := ""
	for _, s := range all {
		if len(s) > len(best) {
			best = s
		}
	}
	if best == "" {
		return nil
	}
	return []string{best}
}

// template is the verdict of a rule as far as it is the same for every text.
func template(class *Class, r *Rule) Verdict {
	v := Verdict{Class: class.Name, Blame: class.Blame, Scope: class.Scope, Detour: class.Detour, Reputation: class.Reputation, List: r.List}
	if r.Blame != "" {
		v.Blame = r.Blame
	}
	if r.Scope != "" {
		v.Scope = r.Scope
		if r.Scope == ScopeRange && v.Blame == BlameIP {
			v.Blame = BlameRange
		}
	}
	if r.Detour != nil {
		v.Detour = *r.Detour
	}
	if r.Reputation != nil {
		v.Reputation = *r.Reputation
	}
	return v
}

// finish builds what the numbers refer to.
func (c *compiler) finish() {
	c.sets = ruleSets{size: (len(c.rules) + 63) / 64, bareOf: make([][]uint64, len(c.files))}
	c.sets.bare, c.sets.any, c.sets.lists = c.newSet(), c.newSet(), c.newSet()
	for n := range c.rules {
		c.sort(n)
	}
	c.effects = make([][]effect, len(c.parts))
	c.gapped = make([][]uint32, len(c.parts))
	for id := range c.phrases {
		p := &c.phrases[id]
		if len(p.parts) == 1 {
			c.effects[p.ids[0]] = append(c.effects[p.ids[0]], p.effects...)
			continue
		}
		t := p.ids[slices.Index(p.parts, p.trigger())]
		c.gapped[t] = append(c.gapped[t], uint32(id))
	}
	texts := make([]string, len(c.parts))
	for i, p := range c.parts {
		texts[i] = p.text
	}
	c.find = newAutomaton(texts)
}

func (c *compiler) newSet() []uint64 { return make([]uint64, c.sets.size) }

// sort puts a rule into the sets it belongs to.
func (c *compiler) sort(n int) {
	x := &c.rules[n]
	bit := uint64(1) << (n % 64)
	if len(x.rule.Any) > 0 {
		c.sets.any[n/64] |= bit
	}
	if x.rule.Lists != "" {
		c.sets.lists[n/64] |= bit
	}
	switch {
	case len(x.rule.Any)+len(x.rule.All) > 0 || x.rule.Lists != "":
	case x.rule.Only:
		if c.sets.bareOf[x.file] == nil {
			c.sets.bareOf[x.file] = c.newSet()
		}
		c.sets.bareOf[x.file][n/64] |= bit
	default:
		c.sets.bare[n/64] |= bit
	}
}
