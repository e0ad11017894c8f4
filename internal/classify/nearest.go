package classify

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/mail"
)

// Near is a rule that a text comes close to, and what keeps it from firing.
type Near struct {
	Rule  string  `json:"rule"`  // FILE.NAME
	Class string  `json:"class"` // what it would have said
	Score float64 `json:"score"` // 0 to 1: how much of the rule's example and of the text is the same, rare words counting more
	// Shared are the phrases of the rule and the words of its example that stand in the text: phrases first, rare words before
	// common ones.
	Shared []string `json:"shared"`
	// Lacks is what the rule asks for and the text has not. It is empty when the rule fits and only another one came before it.
	Lacks []Lack `json:"lacks,omitempty"`
}

// Lack is one condition of a rule that a text does not meet.
type Lack struct {
	// What is the condition: "all" (each of Words is missing), "any" (one of them would do), "none" (they stand in the text and
	// must not), "list" (the name of a blocklist), "code", "status", "phase" (one of them would do), "provider" (one of them
	// must speak).
	What  string   `json:"what"`
	Words []string `json:"words"`
}

// Key is the key of the message catalogue for a Lack; its text takes {words}.
func (l Lack) Key() string { return "classify.lack." + l.What }

// maxShared bounds Near.Shared.
const maxShared = 8

// Nearest returns the n rules whose examples and phrases are most like a text, the nearest first; fewer if fewer have anything
// in common with it. It is for people who write rules, not for judging: it takes some milliseconds. The same text and the
// same rules always give the same answer.
func (r *Rules) Nearest(text string, n int) []Near {
	l := r.newLook("")
	defer l.done()
	l.text.reset(0, mail.Status{}, netip.Addr{})
	l.text.add(text)
	l.text.finish()
	l.find.run(l.text.norm, l.met)
	l.sift()
	w := r.weigh()
	said := tokens(l.text.norm)
	var out []Near
	for i := range r.rules {
		if near, ok := l.near(i, w, said); ok {
			out = append(out, near)
		}
	}
	slices.SortStableFunc(out, func(a, b Near) int { return cmp.Compare(b.Score, a.Score) })
	return out[:min(len(out), max(n, 0))]
}

// weights knows how rare a word is among the rules, and the words of each rule.
type weights struct {
	rare  map[string]float64
	words [][]string // by rule
}

// weigh counts in how many rules each word stands. A word of one rule weighs most; one that all have, nothing.
func (r *Rules) weigh() weights {
	w := weights{rare: make(map[string]float64), words: make([][]string, len(r.rules))}
	for i := range r.rules {
		var t text
		t.reset(0, mail.Status{}, netip.Addr{})
		t.add(r.rules[i].rule.Example)
		t.finish()
		w.words[i] = tokens(t.norm)
		for _, s := range w.words[i] {
			w.rare[s]++
		}
	}
	for s, n := range w.rare {
		w.rare[s] = math.Log(float64(len(r.rules)+1) / n)
	}
	return w
}

// of is the weight of a word; one that no rule knows weighs little, because it is a name or a number most of the time.
func (w weights) of(s string) float64 {
	if x, ok := w.rare[s]; ok {
		return x
	}
	return 1
}

// near compares the text with rule n; ok is false if they have nothing in common.
func (l *look) near(n int, w weights, said []string) (Near, bool) {
	x := &l.rules[n]
	near := Near{Rule: x.name, Class: x.class.Name}
	for _, s := range slices.Concat(x.rule.All, x.rule.Any) {
		if l.stands(s) {
			near.Shared = append(near.Shared, s)
		}
	}
	phrases := len(near.Shared)
	var both, ofRule, ofText float64
	var words []string
	for _, s := range w.words[n] {
		ofRule += w.of(s)
		if _, ok := slices.BinarySearch(said, s); ok {
			both += w.of(s)
			words = append(words, s)
		}
	}
	for _, s := range said {
		ofText += w.of(s)
	}
	if len(words)+phrases == 0 || ofRule == 0 || ofText == 0 {
		return Near{}, false
	}
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(w.of(b), w.of(a)) })
	near.Shared = append(near.Shared, words...)
	near.Shared = near.Shared[:min(len(near.Shared), maxShared)]
	near.Score = both / math.Sqrt(ofRule*ofText)
	near.Lacks = l.lacks(x, n)
	wants := slices.ContainsFunc(near.Lacks, func(k Lack) bool { return k.What == "all" || k.What == "any" })
	if phrases > 0 && !wants { // phrases were chosen by a person, because they carry the meaning
		near.Score = (1 + near.Score) / 2
	}
	near.Score = math.Round(min(near.Score, 1)*1000) / 1000
	return near, true
}

// stands tells whether a phrase, as it is written in a rule, stands in the text.
func (l *look) stands(s string) bool {
	id, ok := l.ids[s]
	return ok && l.has(id)
}

// lacks lists the conditions of a rule that the text does not meet.
func (l *look) lacks(x *compiled, n int) []Lack {
	var out []Lack
	lack := func(what string, words []string) {
		if len(words) > 0 {
			out = append(out, Lack{what, words})
		}
	}
	stands := func(list []string, want bool) (found []string) {
		for _, s := range list {
			if l.stands(s) == want {
				found = append(found, s)
			}
		}
		return found
	}
	lack("all", stands(x.rule.All, false))
	if len(stands(x.rule.Any, true)) == 0 {
		lack("any", x.rule.Any)
	}
	lack("none", stands(x.rule.None, true))
	if x.rule.Lists != "" && l.sets.listed[n/64]>>(n%64)&1 == 0 {
		lack("list", []string{x.rule.Lists})
	}
	if len(x.codes) > 0 && !l.hasCode(x.codes) {
		lack("code", x.rule.Codes)
	}
	if len(x.statuses) > 0 && !l.hasStatus(x.statuses) {
		lack("status", x.rule.Statuses)
	}
	if x.phases != 0 && (!l.phased || x.phases>>l.phase&1 == 0) {
		lack("phase", x.rule.Phases)
	}
	if x.rule.Only && l.speaks>>x.file&1 == 0 {
		lack("provider", l.files[x.file].Providers)
	}
	return out
}

// tokens returns the words of a text that can carry meaning, sorted, each once: not the short ones, and no numbers, which differ
// from one reply to the next.
func tokens(norm []byte) []string {
	var out []string
	for _, s := range strings.FieldsFunc(string(norm), func(c rune) bool { return c < 0x80 && !inWord(byte(c)) && c != '\'' }) {
		s = strings.Trim(s, "'")
		if _, err := strconv.Atoi(s); err == nil || len(s) < 3 {
			continue
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
