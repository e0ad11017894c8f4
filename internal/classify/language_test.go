package classify

import (
	"os"
	"strings"
	"testing"
)

func TestTheLanguageOfRefusalsIsUnderstood(t *testing.T) {
	b, err := os.ReadFile("testdata/language.txt")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(b), "\n") {
		class, reply, ok := strings.Cut(line, " | ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		if v := r.Text("", reply); v.Class != class {
			t.Errorf("%s: %s by %q, want %s", reply, v.Class, v.Rule, class)
		}
	}
	if n < 150 {
		t.Errorf("%d replies were read", n)
	}
}
