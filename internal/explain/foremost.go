package explain

import (
	"slices"

	"ukai/internal/classify"
)

// Foremost sorts Findings of one text by how much they matter, and keeps the order of those that matter alike: refusals for good,
// then those for the time being, then inbound ones, then what went well.
func Foremost(found []Finding) []Finding {
	slices.SortStableFunc(found, func(a, b Finding) int { return a.rank() - b.rank() })
	return found
}

func (f *Finding) rank() int {
	switch {
	case f.Verdict.Action == classify.Deliver:
		return 3
	case f.Inbound:
		return 2
	case f.Verdict.Action == classify.Retry:
		return 1
	}
	return 0
}
