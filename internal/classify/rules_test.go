package classify

import "testing"

func TestEveryRuleFiresOnItsOwnExample(t *testing.T) {
	r, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Check() {
		t.Error(p)
	}
}

func TestNoRuleFitsTheExampleOfAnotherClassUnlessItSaysSo(t *testing.T) {
	for _, p := range rules(t).Conflicts() {
		t.Error(p)
	}
}

func TestConflictsOfADirectoryAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		want  []Problem
	}{
		"a rule that fits the example of another": {`
[[rule]]
name = "narrow"
class = "rate_limited"
all = ["qqfirst", "qqsecond"]
example = "450 qqfirst qqsecond"
source = "a test"
[[rule]]
name = "wide"
class = "ip_reputation"
any = ["qqsecond"]
example = "550 qqsecond"
source = "a test"
`, []Problem{{Rule: "own.wide", Kind: Overlap, By: "own.narrow"}}},
		"one that says so": {`
[[rule]]
name = "narrow"
class = "rate_limited"
all = ["qqfirst", "qqsecond"]
example = "450 qqfirst qqsecond"
source = "a test"
[[rule]]
name = "wide"
class = "ip_reputation"
any = ["qqsecond"]
example = "550 qqsecond"
source = "a test"
also = ["own.narrow"]
`, nil},
		"one that says so and is wrong": {`
[[rule]]
name = "alone"
class = "ip_reputation"
any = ["qqsecond"]
example = "550 qqsecond"
source = "a test"
also = ["google.relay"]
`, []Problem{{Rule: "own.alone", Kind: Stale, By: "google.relay"}}},
		"a rule that another takes everything from": {`
[[rule]]
name = "first"
class = "rate_limited"
any = ["qqfirst"]
example = "450 qqfirst"
source = "a test"
also = ["own.second"]
[[rule]]
name = "second"
class = "ip_reputation"
any = ["a qqfirst thing", "qqfirst again"]
example = "550 qqfirst again"
source = "a test"
also = ["*"]
`, []Problem{{Rule: "own.second", Kind: Shadowed, By: "own.first"}}},
		"a phrase that never decides": {`
[[rule]]
name = "first"
class = "rate_limited"
any = ["|qqfirst|"]
example = "450 qqfirst"
source = "a test"
[[rule]]
name = "second"
class = "ip_reputation"
any = ["a qqfirst thing", "qqfirstly", "qqsecond"]
example = "550 qqsecond"
source = "a test"
`, []Problem{{Rule: "own.second", Kind: Idle, Want: "a qqfirst thing", Got: "|qqfirst|", By: "own.first"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "own.toml", c.rules)
			r, err := LoadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			own := make(map[Problem]bool)
			for _, p := range r.Conflicts() {
				if p.Kind != Overlap || p.By[:4] == "own." {
					own[p] = true
				}
			}
			for _, p := range c.want {
				if !own[p] {
					t.Errorf("not found: %s", p)
				}
				delete(own, p)
			}
			for p := range own {
				t.Errorf("too much: %s", p)
			}
		})
	}
}

func TestRulesCanBeSwitchedOff(t *testing.T) {
	r := rules(t)
	before := r.Text("", gmail4)
	less, err := r.Without(before.Rule)
	if err != nil {
		t.Fatal(err)
	}
	if less.Len() != r.Len()-1 {
		t.Errorf("%d rules of %d", less.Len(), r.Len())
	}
	if v := less.Text("", gmail4); v.Rule == before.Rule {
		t.Errorf("%s still decides", v.Rule)
	}
	if v := r.Text("", gmail4); v != before {
		t.Errorf("the rules that it was made from have changed: %+v", v)
	}
}

func TestARuleIsDescribedAsItStandsInItsFile(t *testing.T) {
	r := rules(t)
	all := r.All()
	if len(all) != r.Len() {
		t.Fatalf("%d of %d", len(all), r.Len())
	}
	for _, d := range all {
		got, ok := r.Describe(d.Name)
		if !ok || got.Name != d.File+"."+d.Rule.Name || got.Title == "" || got.Rule.Example == "" {
			t.Errorf("%+v", got)
		}
	}
	if _, ok := r.Describe("nobody.knows"); ok {
		t.Error("a rule of nobody")
	}
}
