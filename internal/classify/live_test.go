package classify

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ukai/internal/outcome"
)

const partnerRules = `
title = "Ours"
[[rule]]
name = "partner"
class = "CLASS"
any = ["nicht hier"]
example = "550 nicht hier"
source = "our partner's admin"
`

func partner(class string) string { return strings.ReplaceAll(partnerRules, "CLASS", class) }

func TestRulesAreReplacedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.toml", partner("policy"))
	l, err := NewLive(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := said("", outcome.RcptTo, "550 nicht hier")
	if v := l.Classify(o); v.Class != "policy" {
		t.Fatalf("%+v", v)
	}
	if changed, err := l.Changed(dir); changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}

	write(t, dir, "own.toml", partner("ip_reputation"))
	if changed, err := l.Changed(dir); !changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
	if v := l.Classify(o); v.Class != "ip_reputation" {
		t.Errorf("%+v", v)
	}

	if err := l.Reload(""); err != nil {
		t.Error(err)
	}
	if v := l.Classify(o); v.Rule == "own.partner" {
		t.Errorf("%+v", v)
	}
}

func TestABrokenDirectoryKeepsTheOldRulesAndSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.toml", partner("policy"))
	l, err := NewLive(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := l.Rules()
	write(t, dir, "own.toml", partner("nonsense"))
	changed, err := l.Changed(dir)
	if !changed || err == nil || !strings.Contains(err.Error(), "own.toml") || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("changed %v, %v", changed, err)
	}
	if l.Rules() != before {
		t.Error("the rules have changed")
	}
	if changed, err := l.Changed(dir); changed || err != nil {
		t.Errorf("a mistake is told once: changed %v, %v", changed, err)
	}
	if err := l.Reload(dir); err == nil {
		t.Error("who asks is told again")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if changed, err := l.Changed(dir); !changed || err == nil {
		t.Errorf("the directory is gone: changed %v, %v", changed, err)
	}
	if l.Rules() != before {
		t.Error("the rules have gone with the directory")
	}
}

func TestABrokenDirectoryAtTheStartLeavesTheEmbeddedRules(t *testing.T) {
	l, err := NewLive(filepath.Join(t.TempDir(), "absent"))
	if err == nil || l == nil {
		t.Fatalf("%v, %v", l, err)
	}
	if l.Rules() != rules(t) {
		t.Error("other rules")
	}
}

func TestRulesMayBeReplacedWhileMailIsJudged(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.toml", partner("policy"))
	l, err := NewLive(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if v := l.Classify(said("google", outcome.EndOfData, gmail4)); v.Class != "ip_reputation" {
					t.Errorf("%+v", v)
				}
			}
		})
	}
	for range 3 {
		if err := l.Reload(dir); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}
