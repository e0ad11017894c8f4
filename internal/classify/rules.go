package classify

import (
	"regexp"

	"ukai/internal/outcome"
)

// Rules is a set of rules, made ready to judge. It is immutable and safe for concurrent use.
//
// What makes it fast whatever the number of rules: one pass of an automaton finds every phrase of every rule. A rule is only
// looked at if the text has the one phrase that it cannot do without, and a reply has few of those.
type Rules struct {
	files    []*File
	rules    []compiled
	phrases  []compiledPhrase
	parts    []part
	ids      map[string]uint32 // of phrases, as they are written
	find     *automaton
	lists    []compiledList
	named    [][]byte // words behind which a list is named
	sets     ruleSets
	speakers map[string]uint64 // provider: its files, as bits
	classes  map[string]*Class
	taken    Verdict // of what was delivered
	// By part: what it does when it is met, and the phrases with gaps to look at then.
	effects [][]effect
	gapped  [][]uint32
}

type compiled struct {
	name     string
	class    *Class
	verdict  Verdict // what does not depend on the text
	file     int
	rule     *Rule
	all      []uint32 // numbers of phrases
	codes    []codes
	statuses []statuses
	phases   uint16 // bits of outcome.Phase; 0 for all
	code     *regexp.Regexp
}

type compiledPhrase struct {
	phrase
	ids     []uint32 // of its parts
	effects []effect
}

type compiledList struct{ *List }

// ruleSets are sets of rules as bits, the same for every text.
type ruleSets struct {
	size   int        // words of a set
	bare   []uint64   // rules that wait for no phrase
	bareOf [][]uint64 // by file: the same, of those that are for its provider only
	any    []uint64   // rules that ask for one of Any
	lists  []uint64   // rules that ask for a list
}

// effect is what a phrase does when it stands in the text.
type effect struct {
	role role
	n    uint32 // the rule, list or file
	mark outcome.Phase
}

type role uint8

const (
	wakes     role = iota // the rule n waits for it
	isAny                 // one of Any of rule n
	isListed              // the list that rule n asks for
	isNone                // one of None of rule n
	namesList             // it names list n
	marksFile             // the provider of file n speaks
	marksPhase
)

// Len returns how many rules there are.
func (r *Rules) Len() int { return len(r.rules) }

// Rule returns the rule that a verdict names: its source says where the reply is documented.
func (r *Rules) Rule(name string) (Rule, bool) {
	for i := range r.rules {
		if r.rules[i].name == name {
			return *r.rules[i].rule, true
		}
	}
	return Rule{}, false
}

// Described is a rule with its full name and the file it comes from.
type Described struct {
	Name      string   `json:"name"`                // FILE.NAME, as verdicts show it
	File      string   `json:"file"`                // base name without ".toml"
	Title     string   `json:"title,omitempty"`     // of the file
	Providers []string `json:"providers,omitempty"` // whose replies they are
	Order     int      `json:"order"`               // of the file; 0 for those of an admin
	Rule      Rule     `json:"rule"`
}

// All returns every rule, in the order in which they are asked.
func (r *Rules) All() []Described {
	out := make([]Described, len(r.rules))
	for i := range r.rules {
		out[i] = r.describe(&r.rules[i])
	}
	return out
}

// Describe returns the rule that a verdict names.
func (r *Rules) Describe(name string) (Described, bool) {
	for i := range r.rules {
		if r.rules[i].name == name {
			return r.describe(&r.rules[i]), true
		}
	}
	return Described{}, false
}

func (r *Rules) describe(x *compiled) Described {
	f := r.files[x.file]
	return Described{Name: x.name, File: f.name, Title: f.Title, Providers: f.Providers, Order: f.Order, Rule: *x.rule}
}

// Means returns what a rule says of every text that it fits: class, blame, scope, and whether a detour helps. Action, and all that
// is read from the text, is empty.
func (r *Rules) Means(name string) Verdict {
	for i := range r.rules {
		if r.rules[i].name == name {
			return r.rules[i].verdict
		}
	}
	return Verdict{}
}

// Marks returns the phrases that betray who speaks in a file of rules, none for a file that has none.
func (r *Rules) Marks(file string) []string {
	for _, f := range r.files {
		if f.name == file {
			return f.Marks
		}
	}
	return nil
}

// Listed returns the phrases by which a text names a blocklist of a kind: "ip", "domain" or "any".
func (r *Rules) Listed(kind string) []string {
	var out []string
	for _, l := range r.lists {
		if kind == "any" || kind != "" && l.Domain == (kind == "domain") {
			out = append(out, l.Any...)
		}
	}
	return out
}

// Without returns the rules but for those with the given names (FILE.NAME). It is for measuring what a rule is worth.
func (r *Rules) Without(names ...string) (*Rules, error) {
	off := make(map[string]bool, len(names))
	for _, n := range names {
		off[n] = true
	}
	files := make([]*File, len(r.files))
	for i, f := range r.files {
		less := *f
		less.Rule = nil
		for _, x := range f.Rule {
			if !off[f.name+"."+x.Name] {
				less.Rule = append(less.Rule, x)
			}
		}
		files[i] = &less
	}
	return compile(files)
}

// DNSBL returns the id in the catalogue of package dnsbl of a list that a verdict names; empty for one that has no row there.
func (r *Rules) DNSBL(list string) string {
	for _, l := range r.lists {
		if l.Name == list {
			return l.DNSBL
		}
	}
	return ""
}
