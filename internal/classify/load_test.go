package classify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/i18n"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRulesOfADirectoryComeBeforeTheEmbeddedOnesAndCanBeReadAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.toml", `
title = "Ours"
[[rule]]
name = "partner"
class = "ip_reputation"
scope = "range"
any = ["Nicht hier, {ip}"]
example = "550 Nicht hier, 192.0.2.1"
source = "our partner's admin"
[[rule]]
name = "not-evidence"
class = "dnsbl_listed"
all = ["blocked using", "bl.partner.example"]
reputation = false
detour = false
blame = "policy"
example = "550 192.0.2.1 blocked using bl.partner.example"
source = "our partner's admin"
`)
	before, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := before.Text("", "550 nicht  HIER, [198.51.100.7]")
	if v.Rule != "own.partner" || v.Scope != ScopeRange || v.Blame != BlameRange || !v.Detour || v.IP.String() != "198.51.100.7" {
		t.Errorf("%+v", v)
	}
	if v := before.Text("", "550 192.0.2.1 blocked using bl.partner.example"); v.Detour || v.Reputation || v.Blame != BlamePolicy || v.Rule != "own.not-evidence" {
		t.Errorf("%+v", v)
	}
	if v := before.Text("", "550 192.0.2.1 blocked using bl.other.example"); v.Rule != "blocklist.blocked-using" {
		t.Errorf("the embedded rules are gone: %+v", v)
	}
	if x, ok := before.Rule("own.partner"); !ok || x.Source != "our partner's admin" {
		t.Errorf("%+v", x)
	}
	if _, ok := before.Rule("own.nobody"); ok {
		t.Error("a rule of nobody")
	}
	write(t, dir, "own.toml", "title = \"Ours\"\n")
	after, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if v := after.Text("", "550 nicht hier, 198.51.100.7"); v.Rule == "own.partner" {
		t.Error("a rule that was taken out is still there")
	}
	if v := before.Text("", "550 nicht hier, 198.51.100.7"); v.Rule != "own.partner" {
		t.Error("rules that were loaded before have changed")
	}
}

func TestADeadRuleIsReported(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.toml", `
[[rule]]
name = "everything"
class = "policy"
codes = ["4", "5"]
example = "550 no"
source = "a mistake"
[[rule]]
name = "dead"
class = "virus"
any = ["green cheese"]
example = "550 green cheese"
source = "a mistake"
[[rule]]
name = "reads-badly"
class = "virus"
codes = ["4", "5"]
any = ["blue cheese"]
example = "blue cheese from 192.0.2.1"
want = { ip = "192.0.2.2", url = "http://cheese.example/", list = "cheese", code = "C1" }
source = "a mistake"
`)
	r, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead, unread := 0, 0
	for _, p := range r.Check() {
		switch {
		case p.Rule == "own.dead" && p.By == "own.everything":
			dead++
			if s := p.String(); !strings.Contains(s, "own.dead") || !strings.Contains(s, "taken by own.everything") {
				t.Errorf("told badly: %s", s)
			}
		case p.Rule == "own.reads-badly":
			unread++
		}
	}
	if dead != 1 || unread != 1 {
		t.Errorf("dead rules reported %d times, rules that are not reached %d times", dead, unread)
	}
}

func TestMistakesOfARuleFileAreToldAllAtOnceWithTheirLines(t *testing.T) {
	for _, x := range []struct {
		name, text string
		want       []string
	}{
		{"not TOML", "title = \n", []string{"own.toml, line 1: not valid TOML"}},
		{"a key that does not exist", "title = \"x\"\n[[rule]]\nname = \"a\"\nphrase = [\"x\"]\n", []string{"own.toml, line 4: there is no key rule.phrase"}},
		{"marks of nobody", "marks = [\"- gsmtp\"]\n", []string{"own.toml, line 1: marks need providers"}},
		{"everything at once", `
[[phase]]
phase = "tea"
any = ["q"]
[[list]]
name = "empty"
[[rule]]
name = "a"
class = "delivered"
only = true
lists = "all"
any = ["x",
  "fine",
]
codes = ["650", "5500", "x"]
statuses = ["5.7", "6.1.1", "5.x.9-3", "5.7.a", "5.a.1", "a.1.1"]
phases = ["tea"]
phase = "coffee"
blame = "you"
scope = "world"
code = "("
[[rule]]
class = "virus"
example = "x"
source = "y"
[[rule]]
name = "a"
class = "virus"
any = ["fine"]
example = "x"
source = "y"
`, []string{
			`line 4: the phrase "q"`, "line 3: tea is not a phase", "line 6: a list needs", "line 9: delivered is not a class", "line 8: rule a needs an example",
			"line 10: only = true needs", "line 11: lists is ip", `line 12: the phrase "x"`, "line 15: 650 is not a reply code", "line 15: 5500 is not", "line 15: x is not a reply code",
			"line 16: 5.7 is not an enhanced status", "line 16: 6.1.1 is", "line 16: 5.x.9-3 is", "line 16: 5.7.a is", "line 16: 5.a.1 is", "line 16: a.1.1 is", "line 17: tea is not a phase", "line 18: coffee is not", "line 19: you is not something",
			"line 20: world is not a scope", "line 21: the regular expression", "line 22: a rule needs a name", "line 22: rule  has no condition", "line 27: the name a was given",
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "own.toml", x.text)
			_, err := LoadDir(dir)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, w := range x.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is missing in:\n%v", w, err)
				}
			}
			if n := strings.Count(err.Error(), "own.toml"); n != len(x.want) {
				t.Errorf("%d mistakes told, want %d:\n%v", n, len(x.want), err)
			}
			var told *i18n.Error
			if !errors.As(err, &told) || told.Text(i18n.JA) == told.Text(i18n.EN) {
				t.Errorf("not told in Japanese: %v", err)
			}
		})
	}
	if _, err := LoadDir(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there was loaded")
	}
}

func TestManyListsOfAnAdminFit(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "[[list]]\nname = \"list%d\"\nany = [\"bl%d.partner.example\"]\n", i, i)
	}
	dir := t.TempDir()
	write(t, dir, "own.toml", b.String())
	r, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Text("", "550 192.0.2.1 blocked using bl299.partner.example"); v.List != "list299" || v.Class != "dnsbl_listed" {
		t.Errorf("%+v", v)
	}
}

func TestTooManyFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	for i := range maxFiles {
		write(t, dir, "f"+string(rune('a'+i/26))+string(rune('a'+i%26))+".toml", "title = \"x\"\n")
	}
	if _, err := LoadDir(dir); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("%v", err)
	}
}
