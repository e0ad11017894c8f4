package health

import "slices"

// maxTale is how many pieces of evidence are kept for a path and told with a change.
const maxTale = 5

// tale is the last evidence of a path that tells something: refusals for reputation, probes, listings.
type tale struct {
	Kept []Evidence `json:"kept,omitempty"` // oldest first; a piece is never changed
	Old  int        `json:"old,omitempty"`  // how many of them are from before the last fresh start: another story
}

// add keeps a copy of ev, and drops the oldest piece when there are too many.
func (s *tale) add(ev *Evidence) {
	if len(s.Kept) == maxTale {
		s.Kept = slices.Clone(s.Kept[1:])
		s.Old = max(0, s.Old-1)
	}
	s.Kept = append(s.Kept, trim(ev))
}

// told returns the evidence of the present story.
func (s *tale) told() []Evidence { return slices.Clone(s.Kept[min(max(s.Old, 0), len(s.Kept)):]) }

// turn begins another story.
func (s *tale) turn() { s.Old = len(s.Kept) }

// Bounds for the text of kept evidence: a reply is written by a stranger.
const (
	maxLines = 20
	maxLine  = 512 // octets; RFC 5321, section 4.5.3.1.5
)

// trim returns a copy of ev to keep: with lines of its own, and not too many of them.
func trim(ev *Evidence) Evidence {
	kept := *ev
	lines := kept.Outcome.Reply.Lines
	lines = slices.Clone(lines[:min(len(lines), maxLines)])
	for i, l := range lines {
		if len(l) > maxLine {
			lines[i] = l[:maxLine]
		}
	}
	kept.Outcome.Reply.Lines = lines
	if len(kept.Outcome.Err) > maxLine {
		kept.Outcome.Err = kept.Outcome.Err[:maxLine]
	}
	return kept
}
