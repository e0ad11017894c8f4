package classify

import (
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Conflicts returns rules that get in each other's way: rules that fit the example of a rule of another class without stating so
// (then only their order keeps them apart), rules and phrases that can never decide because a rule before them takes
// everything they are for, and statements that are no longer true. What Check finds is not repeated.
func (r *Rules) Conflicts() []Problem {
	return append(r.overlaps(), r.shadowed()...)
}

// overlaps tries every rule on the examples of all others.
func (r *Rules) overlaps() []Problem {
	var out []Problem
	met := make(map[[2]string]bool) // rule, and the rule whose example it fits
	for i := range r.rules {
		x := &r.rules[i]
		for _, y := range r.fitting(x) {
			met[[2]string{y.name, x.name}] = true
			if y.class != x.class && !y.states(x.name) {
				out = append(out, Problem{Rule: y.name, Kind: Overlap, By: x.name})
			}
		}
	}
	for i := range r.rules {
		x := &r.rules[i]
		for _, other := range x.rule.Also {
			if other != "*" && !met[[2]string{x.name, other}] {
				out = append(out, Problem{Rule: x.name, Kind: Stale, By: other})
			}
		}
	}
	return out
}

// Rivals returns the rules besides one whose conditions all hold for its example, by name: those that would judge such a reply if
// the rule were not there.
func (r *Rules) Rivals(name string) []string {
	var out []string
	for i := range r.rules {
		if r.rules[i].name != name {
			continue
		}
		for _, y := range r.fitting(&r.rules[i]) {
			out = append(out, y.name)
		}
	}
	return out
}

// states tells whether a rule says that it fits the example of another.
func (x *compiled) states(other string) bool {
	return slices.Contains(x.rule.Also, other) || slices.Contains(x.rule.Also, "*")
}

// fitting returns the rules besides x whose conditions all hold for the example of x, in the phase that it comes in.
func (r *Rules) fitting(x *compiled) []*compiled {
	l := r.newLook("")
	defer l.done()
	l.text.reset(0, mail.Status{}, netip.Addr{})
	l.text.add(x.rule.Example)
	l.text.finish()
	if x.rule.Phase != "" {
		l.phase, l.phased = outcome.ParsePhase(x.rule.Phase), true
	}
	if x.rule.Only {
		l.speaks |= 1 << x.file
	}
	l.find.run(l.text.norm, l.met)
	l.sift()
	var out []*compiled
	for j := range r.rules {
		y := &r.rules[j]
		if y == x || l.sets.awake[j/64]>>(j%64)&1 == 0 || y.rule.Only && l.speaks>>y.file&1 == 0 || !l.fits(y) {
			continue
		}
		out = append(out, y)
	}
	return out
}

// before tells whether rule i is asked before rule j whoever speaks. A provider's rules come first when it speaks.
func (r *Rules) before(i, j int) bool {
	x, y := &r.rules[i], &r.rules[j]
	return i < j && (x.file == y.file || len(r.files[y.file].Providers) == 0)
}

// phrasesOf are the phrases of a rule, read once: a set of rules is compared with itself.
type phrasesOf struct{ all, any []wording }

type wording struct {
	text string // as it is written
	phrase
}

func wordings(list []string) []wording {
	out := make([]wording, 0, len(list))
	for _, s := range list {
		if p, err := parsePhrase(s); err == nil {
			out = append(out, wording{s, p})
		}
	}
	return out
}

// open tells whether nothing but a phrase of Any decides whether a rule fits.
func (x *compiled) open() bool {
	r := x.rule
	return len(r.Any) > 0 && len(r.All)+len(r.None)+len(r.Codes)+len(r.Statuses)+len(r.Phases) == 0 && r.Lists == "" && !r.Only
}

// shadowed compares every rule with those before it.
func (r *Rules) shadowed() []Problem {
	read := make([]phrasesOf, len(r.rules))
	for i := range r.rules {
		read[i] = phrasesOf{all: wordings(r.rules[i].rule.All), any: wordings(r.rules[i].rule.Any)}
	}
	var out []Problem
	for j := range r.rules {
		for i := range j {
			x, y := &r.rules[i], &r.rules[j]
			same := x.class == y.class && x.verdict.Scope == y.verdict.Scope && x.verdict.List == y.verdict.List // the same answer in any case
			if same || !x.open() || !r.before(i, j) {
				continue
			}
			out = append(out, taken(x, y, read[i].any, read[j])...)
		}
	}
	return out
}

// taken tells what x, which is asked before y, takes away from it.
func taken(x, y *compiled, sought []wording, of phrasesOf) []Problem {
	shadow := []Problem{{Rule: y.name, Kind: Shadowed, By: x.name}}
	for _, o := range of.all {
		if _, ok := foundIn(sought, o); ok {
			return shadow
		}
	}
	var idle []Problem
	for _, o := range of.any {
		if s, ok := foundIn(sought, o); ok {
			idle = append(idle, Problem{Rule: y.name, Kind: Idle, Want: o.text, Got: s, By: x.name})
		}
	}
	if len(idle) > 0 && len(idle) == len(of.any) {
		return shadow
	}
	return idle
}

// foundIn returns the phrase of some that is found wherever other is.
func foundIn(some []wording, other wording) (string, bool) {
	for _, s := range some {
		if len(s.parts) > 1 {
			continue
		}
		for _, piece := range other.parts {
			if s.parts[0].inside(piece) {
				return s.text, true
			}
		}
	}
	return "", false
}

// inside tells whether a part is found wherever another is found: it stands in its text, and its ends are ends of words
// there where it asks for them.
func (q part) inside(other part) bool {
	i := strings.Index(other.text, q.text)
	if i < 0 {
		return false
	}
	end := i + len(q.text)
	left := !q.left || i > 0 && !inWord(other.text[i-1]) || i == 0 && other.left
	right := !q.right || end < len(other.text) && !inWord(other.text[end]) || end == len(other.text) && other.right
	return left && right
}
