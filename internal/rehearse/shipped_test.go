package rehearse

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"ukai/internal/i18n"
)

// The story that everything is about is played as it is shipped, with all of its mail.
func TestTheRefusalsOf2019(t *testing.T) {
	r := playShipped(t, DefaultScenario)
	for _, name := range []string{"google", "icloud", "microsoft-365"} {
		if !slices.ContainsFunc(r.Paths, func(p Path) bool { return p.Egress == "direct" && p.Provider == name && p.Carries }) {
			t.Errorf("the way to %s was not shut and opened again", name)
		}
	}
	if !strings.HasPrefix(r.Example, "<mail-") {
		t.Errorf("example %q", r.Example)
	}
}

// The other stories, each as it is shipped.
func TestTheOtherStories(t *testing.T) {
	for _, name := range Shipped()[1:] {
		t.Run(name, func(t *testing.T) { playShipped(t, name) })
	}
}

// slack is how much longer than on a quiet machine things may take in a test: with the race detector on a busy one, the check
// of the relay's password alone takes seconds.
const slack = 60

func playShipped(t *testing.T, name string) *Report {
	t.Helper()
	s, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.expect {
		if x := &s.expect[i]; strings.HasSuffix(x.name, "_max") || strings.HasSuffix(x.name, "_p50") {
			x.want *= slack
		}
	}
	r, err := Run(t.Context(), s, Options{Lang: i18n.EN, Tell: func(e Entry) { t.Log(e.At, e.Name, e.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(string(b))
	if !r.OK || len(r.Failed) > 0 {
		t.Errorf("%v", r.Failed)
	}
	if n := &r.Messages; n.Accepted != n.Delivered+n.Bounced+n.Held+n.Lost {
		t.Errorf("the sum is wrong: %+v", *n)
	}
	return r
}
