package connect

import (
	"bytes"
	"fmt"
	"strings"
)

// context3 is how many lines are shown around a change.
const context3 = 3

// Unified returns the difference between two texts in the unified format (POSIX, diff -u), empty where there is none. A file
// that is not there is nil, and its name /dev/null.
func Unified(path string, before, after []byte) string {
	if bytes.Equal(before, after) && (before == nil) == (after == nil) {
		return ""
	}
	var w strings.Builder
	fmt.Fprintf(&w, "--- %s\n+++ %s\n", named(path, before), named(path, after))
	a, b := split(before), split(after)
	all := hunks(a, b)
	for len(all) > 0 {
		n := 1 // hunks whose contexts touch are shown as one
		for n < len(all) && all[n].a0-all[n-1].a1 <= 2*context3 {
			n++
		}
		writeHunk(&w, a, b, all[:n])
		all = all[n:]
	}
	return w.String()
}

func named(path string, text []byte) string {
	if text == nil {
		return "/dev/null"
	}
	return path
}

func writeHunk(w *strings.Builder, a, b []string, part []hunk) {
	first, last := part[0], part[len(part)-1]
	a0, a1 := max(0, first.a0-context3), min(len(a), last.a1+context3)
	b0, b1 := first.b0-(first.a0-a0), last.b1+(a1-last.a1)
	fmt.Fprintf(w, "@@ -%s +%s @@\n", span(a0, a1), span(b0, b1))
	at := a0
	for _, h := range part {
		prefixed(w, " ", a[at:h.a0])
		prefixed(w, "-", a[h.a0:h.a1])
		prefixed(w, "+", b[h.b0:h.b1])
		at = h.a1
	}
	prefixed(w, " ", a[at:a1])
}

// span writes where a range of lines lies: an empty one names the line before it.
func span(from, to int) string {
	switch to - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprint(from + 1)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func prefixed(w *strings.Builder, mark string, lines []string) {
	for _, l := range lines {
		w.WriteString(mark + l)
		if !strings.HasSuffix(l, "\n") {
			w.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
