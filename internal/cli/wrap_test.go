package cli

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTextsAreBrokenAtBlanksAndBetweenJapaneseCharacters(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		limit int
		want  []string
	}{
		"nothing":                               {"", 10, []string{""}},
		"a short text":                          {"one two", 10, []string{"one two"}},
		"at a blank":                            {"one two three", 8, []string{"one two", "three"}},
		"a word that is too wide stays whole":   {"see https://example.org/long now", 10, []string{"see", "https://example.org/long", "now"}},
		"wide characters count twice":           {"あいうえお", 6, []string{"あいう", "えお"}},
		"a stop does not begin a line":          {"あいう。え", 6, []string{"あい", "う。え"}},
		"a bracket does not end one":            {"あい「うえ」", 6, []string{"あい", "「う", "え」"}},
		"a foreign word in a Japanese sentence": {"これは Postfix です", 8, []string{"これは", "Postfix", "です"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wrap(c.text, c.limit); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestBreakingATextLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(strings.Fields(rapid.StringOf(rapid.SampledFrom([]rune("ab あい。「」 (x)1-"))).Draw(t, "text")), " ")
		limit := rapid.IntRange(2, 30).Draw(t, "limit")
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := wrap(s, limit); bare(strings.Join(got, "")) != bare(s) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
