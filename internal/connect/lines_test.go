package connect

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// someLines draws a text of few different lines, so that the same line stands in several places.
func someLines(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d = 1\n", "\n", "# x\n", "  e\n"}), 0, 30).Draw(t, label)
}

// longest is the length of a longest common subsequence, by the book.
func longest(a, b []string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		last := 0
		for j := range b {
			keep := row[j+1]
			if a[i] == b[j] {
				row[j+1] = last + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			last = keep
		}
	}
	return row[len(b)]
}

func TestMatchedLinesAreEqualAscendAndAsManyAsCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someLines(t, "a"), someLines(t, "b")
		last, n := -1, 0
		for i, j := range match(a, b) {
			if j < 0 {
				continue
			}
			n++
			if j <= last || a[i] != b[j] {
				t.Fatalf("line %d is matched to %d after %d: %q %q", i, j, last, a, b)
			}
			last = j
		}
		if want := longest(a, b); n != want {
			t.Fatalf("%d lines match, %d could: %q %q", n, want, a, b)
		}
	})
}

func TestHunksLeadFromOneTextToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someLines(t, "a"), someLines(t, "b")
		var got []string
		i := 0
		for _, h := range hunks(a, b) {
			got = append(got, a[i:h.a0]...)
			got = append(got, b[h.b0:h.b1]...)
			i = h.a1
		}
		got = append(got, a[i:]...)
		if !slices.Equal(got, b) {
			t.Fatalf("from %q to %q: %q", a, b, got)
		}
	})
}

func TestTextsThatHaveNothingInCommonAreComparedInBoundedTime(t *testing.T) {
	a, b := make([]string, 20_000), make([]string, 20_000)
	for i := range a {
		a[i], b[i] = strings.Repeat("a", i%7)+"1\n", strings.Repeat("b", i%7)+"2\n"
	}
	if h := hunks(a, b); len(h) != 1 || h[0] != (hunk{0, 20_000, 0, 20_000}) {
		t.Errorf("%d hunks, the first %v", len(h), h[0])
	}
}
