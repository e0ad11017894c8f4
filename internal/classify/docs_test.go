package classify

import (
	"os"
	"strings"
	"testing"
)

func TestTheGuideIsTrue(t *testing.T) {
	b, err := os.ReadFile("../../docs/classify.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	all, err := Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !c.Mail && !strings.Contains(guide, "| `"+c.Name+"` |") {
			t.Errorf("the table lacks %s", c.Name)
		}
	}
	_, sample, ok := strings.Cut(guide, "```toml\n")
	sample, _, closed := strings.Cut(sample, "```")
	if !ok || !closed {
		t.Fatal("the guide shows no rule")
	}
	dir := t.TempDir()
	write(t, dir, "own.toml", sample)
	r, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Check() {
		t.Error(p)
	}
	if _, ok := r.Rule("own.blocked-there"); !ok {
		t.Error("the rule of the guide is not there")
	}
}
