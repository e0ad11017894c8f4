package rehearse

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

func checkSettings(file string) []config.Problem {
	_, problems := config.Load(file)
	return problems
}

// Each case changes one line of the small story, which begins with an empty line: so line 4 is patience.
func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for name, c := range map[string]struct{ old, with, want string }{
		"no TOML":                         {"speed = 3600", "speed = = 1", "story.toml:3: this is not TOML"},
		"a number for a text":             {`name = "direct"`, `name = 5`, "story.toml:6: this is not TOML"},
		"an unknown key":                  {`name = "direct"`, "name = \"direct\"\nsorce = 1", "story.toml:7: unknown key egress.sorce"},
		"no title":                        {`title.en = "small"`, "", "story.toml:1: title is missing"},
		"a speed of nothing":              {"speed = 3600", "speed = 0.5", "story.toml:3: speed is 0.5: 1 to 100000 is allowed"},
		"a length of time in no unit":     {`patience = "10h"`, `patience = "2"`, "story.toml:4: patience is 2: a length of time"},
		"a kind with a slip":              {`kind = "smarthost"`, `kind = "smarthots"`, "story.toml:10: kind: smarthots is not known here. Did you mean smarthost?"},
		"an address of the world":         {`source = "127.0.0.10"`, `source = "192.0.2.1"`, "story.toml:7: source is 192.0.2.1: a rehearsal stays on this machine"},
		"no address":                      {`source = "127.0.0.10"`, `source = "here"`, "story.toml:7: source is here: that is no IP address"},
		"two egresses of one name":        {`name = "host"`, `name = "direct"`, "story.toml:9: name direct stands here for the second time"},
		"mail from nobody":                {`senders = ["a.example"]`, "", "story.toml:12: senders is missing"},
		"mail at no rate":                 {"rate = 100", "rate = 0", "story.toml:13: rate is 0: > 0 to 10000"},
		"mail to a domain nobody has":     {"rate = 100", "rate = 100\nto = [\"gmail.con\"]", "story.toml:14: to[0]: gmail.con is not known here. Did you mean gmail.com?"},
		"a provider without domains":      {`domains = ["gmail.com"]`, "", "story.toml:18: domains is missing"},
		"a time that is none":             {`at = "00:30"`, `at = "noon"`, "story.toml:30: at is noon: a time of day"},
		"a step before the one above":     {`at = "00:30"`, `at = "00:01"`, "story.toml:30: at is 00:01: a step cannot happen before"},
		"a rule for nobody":               {`provider = "google"`, `provider = "gogle"`, "story.toml:26: provider: gogle is not known here. Did you mean google?"},
		"a rule with an unknown reply":    {`reply = "google-ip"`, `reply = "google-up"`, "story.toml:25: rule[0]:"},
		"a rule with an unknown phase":    {`reply = "google-ip"`, "reply = \"google-ip\"\nphase = \"dot\"", "story.toml:29: phase:"},
		"a rule for an egress of no name": {`egress = ["direct"]`, `egress = ["dierct"]`, "story.toml:27: egress[0]: dierct is not known here. Did you mean direct?"},
		"forgiveness by a stranger":       {`forgive = ["google"]`, `forgive = ["apple"]`, "story.toml:33: forgive[0]: apple is not known here; there are google, host"},
		"a switch nobody has":             {`forgive = ["google"]`, `down = ["direct"]`, "story.toml:33: down[0]: direct is not known here"},
		"an expectation of nothing":       {"lost = 0", "lots = 0", "story.toml:35: lots: lots is not known here. Did you mean lost?"},
		"an expectation that is a word":   {"lost = 0", `lost = "few"`, "story.toml:35: lost is few: a number"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, c.old, c.with, 1)
			if text == small {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse("story.toml", []byte(text))
			var found Problems
			if !errors.As(err, &found) || !strings.HasPrefix(found[0].Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
			if ja := found.Text(i18n.JA); strings.Contains(ja, "rehearse.bad") {
				t.Errorf("a text is missing: %s", ja)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnceByLine(t *testing.T) {
	text := strings.NewReplacer("speed = 3600", "speed = -1", "rate = 100", "rate = -1", "lost = 0", "lots = 0").Replace(small)
	_, err := Parse("story.toml", []byte(text))
	var found Problems
	if !errors.As(err, &found) || len(found) != 3 || found[0].Line != 3 || found[1].Line != 13 || found[2].Line != 35 {
		t.Error(err)
	}
}

func TestAnEmptyFileLacksEverything(t *testing.T) {
	_, err := Parse("story.toml", nil)
	var found Problems
	if !errors.As(err, &found) || len(found) != 5 {
		t.Error(err)
	}
}

func TestEveryShippedScenarioReadsInBothLanguages(t *testing.T) {
	for _, name := range Shipped() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		words := []Words{s.Title, s.About}
		for _, st := range s.Steps {
			words = append(words, st.Text)
		}
		for _, w := range words {
			if w.EN == "" || w.JA == "" || w.In(i18n.JA) == w.In(i18n.EN) {
				t.Errorf("%s: %+v", name, w)
			}
		}
		if s.Name != name || len(s.expect) < 5 {
			t.Errorf("%s: %+v", name, s.expect)
		}
	}
}

func TestAScenarioThatIsNotThere(t *testing.T) {
	var u *UnknownError
	if _, err := Load("gmo-2018"); !errors.As(err, &u) || u.Name != "gmo-2018" || len(u.All) != 6 || u.All[0] != DefaultScenario {
		t.Error(err)
	}
	var e *i18n.Error
	if _, err := Load("./missing.toml"); !errors.As(err, &e) || e.Key != "rehearse.file.read" {
		t.Error(err)
	}
}

func TestSpreadWritesNumbersOut(t *testing.T) {
	for in, want := range map[string][]string{
		"a-{1..3}.example":  {"a-1.example", "a-2.example", "a-3.example"},
		"{9..10}":           {"9", "10"},
		"plain.example":     {"plain.example"},
		"a-{3..1}.example":  {"a-{3..1}.example"},
		"a-{x..1}.example":  {"a-{x..1}.example"},
		"a-{1..2.example":   {"a-{1..2.example"},
		"a-{1..99999999}.e": {"a-{1..99999999}.e"},
	} {
		if got := spread([]string{in}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func TestExpectationsAreComparisons(t *testing.T) {
	r := &Report{Messages: Messages{Lost: 5}, Returned: true}
	for _, c := range []struct {
		name string
		v    any
		ok   bool // it can be read
		held bool
	}{
		{"lost", int64(5), true, true}, {"lost", int64(4), true, false}, {"lost", 5.0, true, true}, {"lost", "<= 5", true, true},
		{"lost", "<5", true, false}, {"lost", ">4", true, true}, {"lost", ">= 6", true, false}, {"lost", "= 5", true, true},
		{"returned", true, true, true}, {"returned", false, true, false}, {"lost", "about 5", false, false}, {"lost", "<= few", false, false},
		{"lost", []any{}, false, false},
	} {
		x, ok := parseExpectation(c.name, c.v)
		if ok != c.ok {
			t.Errorf("%s %v: %v", c.name, c.v, ok)
		}
		if _, held := x.holds(r); ok && held != c.held {
			t.Errorf("%s: %v", x.String(), held)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("[[step]]\nat='x'\nrule=[{provider='a', to=['b',\n# c\n'd']}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("story.toml", text)
		var found Problems
		if err != nil && (!errors.As(err, &found) || len(found) == 0) {
			t.Errorf("%v", err)
		}
		if err == nil && (len(s.Egresses) == 0 || len(s.expect) == 0) {
			t.Error("an empty scenario is taken")
		}
	})
}

// What the page shows has to work.
func TestTheExampleInTheDocumentationIsAScenario(t *testing.T) {
	page, err := os.ReadFile("../../docs/rehearse.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```toml\n")
	example, _, _ := strings.Cut(rest, "```")
	if _, err := Parse("example.toml", []byte(example)); err != nil {
		t.Error(err)
	}
	for _, name := range measureNames() {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not described", name)
		}
	}
}
