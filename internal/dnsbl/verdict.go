package dnsbl

import (
	"net/netip"
	"slices"
)

// Verdict is what all answers about a target mean together.
type Verdict string

// The verdicts.
const (
	Culprit      Verdict = "culprit"   // it is the target itself that is listed
	InRange      Verdict = "range"     // the target is listed with the range it lies in
	Neighbour    Verdict = "neighbour" // it is not listed, and the addresses around it are
	VerdictClean Verdict = "clean"     // nothing is wrong
	Unknown      Verdict = "unknown"   // a list that matters could not be asked
)

// worst orders verdicts for a run over several targets.
var worst = []Verdict{VerdictClean, Unknown, Neighbour, InRange, Culprit}

// Worst returns the gravest verdict; of none, VerdictClean.
func Worst(list []Verdict) Verdict {
	w := VerdictClean
	for _, v := range list {
		if slices.Index(worst, v) > slices.Index(worst, w) {
			w = v
		}
	}
	return w
}

// Fact says what sort of evidence it is; the words for people are "dnsbl.evidence." and this.
type Fact string

// The facts.
const (
	FactAlone      Fact = "alone"       // listed, and hardly anybody around it is
	FactEntry      Fact = "entry"       // the code says that the entry is for a range
	FactSpread     Fact = "spread"      // listed, and so are most addresses all over the range
	FactNeighbours Fact = "neighbours"  // how many of the nearest addresses are listed
	FactFeed       Fact = "feed"        // how many addresses of a range a feed lists
	FactSome       Fact = "some"        // some addresses of the range are listed
	FactListed     Fact = "listed"      // a domain is listed
	FactContext    Fact = "context"     // a listing that is no reason to worry
	FactUnasked    Fact = "unasked"     // a list that could not be asked
	FactClean      Fact = "clean"       // how many lists said "not listed"
	FactSampled    Fact = "sampled"     // of a range only so many addresses were asked about
	FactBudget     Fact = "budget_left" // the neighbours were not asked about: the budget ended
)

// Evidence is one reason for a verdict.
type Evidence struct {
	Fact Fact `json:"fact"`
	// Zone is the list that it comes from; empty: several.
	Zone string `json:"zone,omitempty"`
	// Listed of Asked addresses (for FactClean and FactUnasked: lists) are.
	Listed int `json:"listed"`
	Asked  int `json:"asked"`
	// Range is where they lie.
	Range string `json:"range,omitempty"`
	Why   Why    `json:"why,omitempty"`
	Text  string `json:"text,omitempty"` // the catalogue's words, or the list's
}

// Finding is all that was found out about one target.
type Finding struct {
	Target Target
	// Within is the range that the target was seen in: the one that was named, or what is likely.
	Within  netip.Prefix
	Answers []Answer
	Verdict Verdict
	// Evidence is in the order of its weight.
	Evidence []Evidence
	// Cells are the parts of a range in order: addresses of a /24 and smaller, else /24s. Empty for other targets.
	Cells []Cell
}

// Cell is one part of a range.
type Cell struct{ Asked, Listed int }

// Listed tells whether something of the target is listed that is to be worried about.
func (f *Finding) Listed() bool {
	return slices.ContainsFunc(f.Answers, func(a Answer) bool { return a.Accuses() })
}

func (f *Finding) prove(e Evidence) { f.Evidence = append(f.Evidence, e) }

// unasked notes the lists that could not be asked, and tells whether one of them is needed for saying "clean".
func (f *Finding) unasked() (needed bool) {
	told := 0
	for i := range f.Answers {
		a := &f.Answers[i]
		switch {
		case !a.State.Told():
			f.prove(Evidence{Fact: FactUnasked, Zone: a.List.Shown(), Why: a.Why, Text: a.Meaning})
			needed = needed || a.List.Use.Profile == Core
		case a.State == Listed && !a.Accuses():
			f.prove(Evidence{Fact: FactContext, Zone: a.List.Shown(), Text: a.Meaning})
			told++
		default:
			told++
		}
	}
	f.prove(Evidence{Fact: FactClean, Listed: told, Asked: len(f.Answers)})
	return needed || told == 0
}

// Shares above which neighbours that are listed, too, mean something: an entry for a range covers nearly all samples (some
// lists leave single addresses out), and three of ten neighbours are more than chance.
const (
	rangeShare     = 0.75
	neighbourShare = 0.3
)

func share(listed, asked int) float64 {
	if asked == 0 {
		return 0
	}
	return float64(listed) / float64(asked)
}

// byWeight sorts answers so that the list that matters most comes first.
func byWeight(a, b Answer) int {
	if a.List.Use.Weight != b.List.Use.Weight {
		return b.List.Use.Weight - a.List.Use.Weight
	}
	return 0
}
