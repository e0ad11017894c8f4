package connect

import (
	"bytes"
	"slices"
	"strings"
)

// Line is a line of a file that somebody has to look at.
type Line struct {
	Path   string `json:"path"`
	Number int    `json:"line"` // in the file as it is afterwards, from 1
	Text   string `json:"text"`
}

// reversal is a file with a change taken back.
type reversal struct {
	text []byte
	left []Line // what ukai wrote and somebody has edited since: it stays
	lost []Line // what stood there before ukai and was not put back, because of such an edit; Number is where it would be
}

// reverse takes the change that led from before to after out of current, a later state of after. What people did to the
// current file survives: a line that is neither of before nor of after is never dropped.
//
//   - Lines that the change added, and that still stand, are dropped; the lines it replaced come back in their place.
//   - An added line that was removed by hand is gone already; what it had replaced comes back.
//   - An added line that was edited stays as it is (left), and what it had replaced does not come back (lost): two lines that
//     set the same thing would contradict each other.
//   - Where an indented line was put behind an added one, the added ones stay with it (left): without them it would become a
//     part of whatever stands before.
func reverse(after, before, current []byte) reversal {
	if bytes.Equal(after, current) {
		return reversal{text: bytes.Clone(before)}
	}
	u := undoing{o: split(after), a: split(before), b: split(current)}
	o, a := bare(u.o), bare(u.a)
	u.bare = bare(u.b)
	u.to = match(o, u.bare)
	u.drop, u.keep = make([]bool, len(u.b)), make([]bool, len(u.b))
	u.insert, u.miss = make([][]string, len(u.b)+1), make([][]string, len(u.b)+1)
	for _, h := range pairwise(hunks(o, a)) {
		u.hunk(h)
	}
	return u.emit()
}

// bare takes the line ends off: a file that was saved with others is still the same file.
func bare(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(l, "\r\n")
	}
	return out
}

// pairwise parts hunks in which as many lines came as went: each line has replaced one.
func pairwise(all []hunk) []hunk {
	var out []hunk
	for _, h := range all {
		n := h.a1 - h.a0
		if n < 2 || n != h.b1-h.b0 {
			out = append(out, h)
			continue
		}
		for i := range n {
			out = append(out, hunk{h.a0 + i, h.a0 + i + 1, h.b0 + i, h.b0 + i + 1})
		}
	}
	return out
}

// undoing is a reversal under way: o is the text with the change, a the one without, b the one that is there.
type undoing struct {
	o, a, b []string
	bare    []string // b without line ends
	to      []int    // line of o -> line of b
	// For each line of b: it goes; it stays though it is ours. Before each line of b (and at the end): what comes back, and
	// what does not.
	drop, keep   []bool
	insert, miss [][]string
}

// hunk takes one change back: the lines a0 to a1 of o were b0 to b1 of a.
func (u *undoing) hunk(h hunk) {
	ours, theirs := u.o[h.a0:h.a1], u.a[h.b0:h.b1]
	lo, hi := u.around(h)
	var there []int // lines of b that are ours
	for _, j := range u.to[h.a0:h.a1] {
		if j >= 0 {
			there = append(there, j)
		}
	}
	place := lo
	if len(there) > 0 {
		place = there[0]
	} else if h.a0 < h.a1 || h.a0 == 0 || u.to[h.a0-1] < 0 {
		place = u.placeIn(h, lo, hi)
	}
	if u.grownTogether(there) {
		for _, j := range there {
			u.keep[j] = true
		}
		u.miss[place] = append(u.miss[place], theirs...)
		return
	}
	for _, j := range there {
		u.drop[j] = true
	}
	if len(there) < len(ours) {
		if edited := u.edits(h, lo, hi); len(edited) > 0 {
			for _, j := range edited {
				u.keep[j] = true
			}
			u.miss[place] = append(u.miss[place], theirs...)
			return
		}
	}
	if !u.stands(theirs, lo, hi) {
		u.insert[place] = append(u.insert[place], theirs...)
	}
}

// around returns the lines of b between the next ones that are matched before and behind a hunk.
func (u *undoing) around(h hunk) (lo, hi int) {
	hi = len(u.b)
	for i := h.a0 - 1; i >= 0; i-- {
		if u.to[i] >= 0 {
			lo = u.to[i] + 1
			break
		}
	}
	for i := h.a1; i < len(u.o); i++ {
		if u.to[i] >= 0 {
			hi = u.to[i]
			break
		}
	}
	return lo, hi
}

// placeIn chooses where lines come back of which nothing is left: where the next known line is, if it is the very next one.
func (u *undoing) placeIn(h hunk, lo, hi int) int {
	if h.a0 > 0 && u.to[h.a0-1] >= 0 {
		return lo
	}
	if h.a1 < len(u.o) && u.to[h.a1] >= 0 {
		return hi
	}
	return lo
}

// grownTogether tells whether an indented line of somebody else's follows one of ours: in the configuration of most servers it
// continues the line before, or belongs to the block that ours began.
func (u *undoing) grownTogether(there []int) bool {
	for _, j := range there {
		next := j + 1
		if next < len(u.b) && indented(u.bare[next]) && !slices.Contains(u.to, next) {
			return true
		}
	}
	return false
}

func indented(line string) bool {
	return line != "" && (line[0] == ' ' || line[0] == '\t') && strings.TrimSpace(line) != ""
}

// edits returns the lines between lo and hi that look like one of ours that is not there any more: they set the same thing.
func (u *undoing) edits(h hunk, lo, hi int) []int {
	words := make(map[string]bool)
	for i := h.a0; i < h.a1; i++ {
		if u.to[i] < 0 {
			words[firstWord(u.o[i])] = true
		}
	}
	delete(words, "")
	var out []int
	for j := lo; j < hi; j++ {
		if words[firstWord(u.b[j])] && !slices.Contains(u.to, j) && !slices.Contains(bare(u.a[h.b0:h.b1]), u.bare[j]) {
			out = append(out, j)
		}
	}
	return out
}

// firstWord returns what a line sets: "relayhost" of "relayhost = x", "ukai" of "ukai unix - - n". A comment sets nothing.
func firstWord(line string) string {
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t=:,;\r\n\"'", r) })
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return ""
	}
	return words[0]
}

// stands tells whether somebody has put back already what a change had replaced.
func (u *undoing) stands(theirs []string, lo, hi int) bool {
	if len(theirs) == 0 {
		return true
	}
	want := bare(theirs)
	for j := lo; j+len(want) <= hi; j++ {
		free := true
		for n := range want {
			free = free && u.bare[j+n] == want[n] && !slices.Contains(u.to, j+n)
		}
		if free {
			return true
		}
	}
	return false
}

// emit writes the text that is left, and numbers the lines in it.
func (u *undoing) emit() reversal {
	var r reversal
	var lines []string
	put := func(l string) { lines = append(lines, l) }
	for j := range len(u.b) + 1 {
		for _, l := range u.insert[j] {
			put(l)
		}
		for _, l := range u.miss[j] {
			r.lost = append(r.lost, Line{Number: len(lines) + 1, Text: strings.TrimRight(l, "\r\n")})
		}
		if j == len(u.b) || u.drop[j] {
			continue
		}
		put(u.b[j])
		if u.keep[j] {
			r.left = append(r.left, Line{Number: len(lines), Text: u.bare[j]})
		}
	}
	r.text = u.join(lines)
	return r
}

// join puts lines together. One without a line end can only be the last; and where the last line of before had none and is the
// last one again, it has none again.
func (u *undoing) join(lines []string) []byte {
	end := "\n"
	if len(u.b) > 0 && strings.HasSuffix(u.b[0], "\r\n") {
		end = "\r\n"
	}
	var b bytes.Buffer
	for i, l := range lines {
		if i < len(lines)-1 && !strings.HasSuffix(l, "\n") {
			l += end
		}
		b.WriteString(l)
	}
	if n := len(u.a); n > 0 && len(lines) > 0 && len(u.o) > 0 && !strings.HasSuffix(u.a[n-1], "\n") && strings.HasSuffix(u.o[len(u.o)-1], "\n") &&
		strings.TrimRight(lines[len(lines)-1], "\r\n") == u.a[n-1] {
		return bytes.TrimRight(b.Bytes(), "\r\n")
	}
	return b.Bytes()
}
