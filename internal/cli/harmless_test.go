package cli

import (
	"strings"
	"testing"
)

// TestAnErrorDoesNotSpeakToTheTerminal: it may quote a file that is no text.
func TestAnErrorDoesNotSpeakToTheTerminal(t *testing.T) {
	for given, want := range map[string]string{
		"日本語\n\tin two lines":              "日本語\n\tin two lines",
		"\x1b]0;title\x07 and \x9b31m\r":   "\uFFFD]0;title\uFFFD and \uFFFD31m\uFFFD",
		strings.Repeat("迂", longestLine+1): strings.Repeat("迂", longestLine) + " ...",
		strings.Repeat("x", longestLine):   strings.Repeat("x", longestLine),
	} {
		if got := harmless(given); got != want {
			t.Errorf("%q becomes %q", given, got)
		}
	}
}
