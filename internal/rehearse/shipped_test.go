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
	for _, c := range r.Cases {
		stood := c.Kind == "listing" || c.Outlives > 0
		if c.Closed == 0 || c.State != "over" || !stood || c.Reopened > 0 {
			t.Errorf("%+v", c)
		}
	}
	for _, name := range []string{"spamhaus-zen", "google", "icloud", "microsoft-365"} {
		if n := tallyOf(r.Cases, func(c Case) bool { return c.Name == name }); n != 1 {
			t.Errorf("%d cases of %s", n, name)
		}
	}
	for _, news := range []string{"opened", "channel_failed", "closed"} {
		if n := tallyOf(r.Notices.List, func(n Notice) bool { return n.News == news }); n != 1 {
			t.Errorf("%d notices %q", n, news)
		}
	}
	if r.Notices.Broken == 0 {
		t.Error("nobody tried the broken channel")
	}
	if !strings.HasPrefix(r.Example, "<mail-") {
		t.Errorf("example %q", r.Example)
	}
}

func tallyOf[T any](list []T, is func(T) bool) (n int) {
	for _, x := range list {
		if is(x) {
			n++
		}
	}
	return n
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

// The attempts on a blocked path are spaced by time, the mail that they are a share of is as much as the machine can send: with
// the race detector a third of it. So a test allows a larger share, and holds the attempts themselves to a number.
const (
	shareSlack   = 3
	attemptsMost = 15 // a path is shut for three and a half hours of the story at most: some eight probes, and what was on its way
)

func playShipped(t *testing.T, name string) *Report {
	t.Helper()
	s, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.expect {
		if x := &s.expect[i]; strings.HasSuffix(x.name, "_max") || strings.HasSuffix(x.name, "_p50") {
			x.want *= slack
		} else if x.name == "blocked_share" {
			x.want *= shareSlack
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
	for i := range r.Paths {
		if p := &r.Paths[i]; name == "gmo-2019" && p.Attempts.Attempts > attemptsMost {
			t.Errorf("%d attempts over %s to %s while it was shut, want %d at most", p.Attempts.Attempts, p.Egress, p.Provider, attemptsMost)
		}
	}
	if n := &r.Messages; n.Accepted != n.Delivered+n.Bounced+n.Held+n.Lost {
		t.Errorf("the sum is wrong: %+v", *n)
	}
	return r
}
