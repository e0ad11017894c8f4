package rehearse

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/cases"
	"ukai/internal/i18n"
)

// small is a story of two seconds.
const small = `
title.en = "small"
speed = 3600
patience = "10h"
[[egress]]
name = "direct"
source = "127.0.0.10"
[[egress]]
name = "host"
kind = "smarthost"
source = "127.0.0.30"
[[traffic]]
rate = 100
senders = ["a.example"]
[[provider]]
name = "google"
share = 1
[[provider.group]]
domains = ["gmail.com"]
mx = ["gmail-smtp-in.l.google.com"]
[[step]]
at = "00:05"
name = "refused"
text.en = "refused"
[[step.rule]]
provider = "google"
egress = ["direct"]
reply = "google-ip"
[[step]]
at = "00:30"
name = "forgiven"
text.en = "forgiven"
forgive = ["google"]
[expect]
lost = 0
bounced = 0
returned = true
`

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("story.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStoryOverASimulatedSmarthost(t *testing.T) {
	boards := 0
	r, err := Run(t.Context(), parse(t, small), Options{Watch: func(b Board) { boards += len(b.Rows) }})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK || r.Detours == 0 || r.Refusals == 0 || r.Messages.Duplicated+r.Messages.Changed+r.Messages.Misjudged > 0 || boards == 0 {
		t.Errorf("%+v, %d rows", r, boards)
	}
	if r.Steps[0].Name != "refused" || r.Steps[0].At != "00:05" {
		t.Errorf("%+v", r.Steps)
	}
}

func TestAnExpectationThatDoesNotHoldIsNamed(t *testing.T) {
	r, err := Run(t.Context(), parse(t, strings.Replace(small, "lost = 0", "detours = 0", 1)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK || len(r.Failed) != 1 || r.Failed[0].Expected != "detours = 0" || r.Failed[0].Got < 1 {
		t.Errorf("%+v", r.Failed)
	}
}

func TestWhatIsKeptCanBeServedAndReachesNobody(t *testing.T) {
	t.Setenv("TMPDIR", shortDir(t))
	var during string
	r, err := Run(t.Context(), parse(t, small), Options{Keep: true, Stay: func(r *Report) { during = r.Settings }})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.Settings)
	if err != nil || during != r.Settings {
		t.Fatal(err, during)
	}
	if s := string(text); !strings.Contains(s, filepath.Dir(r.Settings)) || !strings.Contains(s, `name = "nowhere"`) {
		t.Error(s)
	}
	if problems := checkSettings(r.Settings); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := Run(ctx, parse(t, small), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted story ends with %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestNoDirectoryForTheData(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var e *i18n.Error
	if _, err := Run(t.Context(), parse(t, small), Options{}); !errors.As(err, &e) || e.Key != "rehearse.dir" {
		t.Error(err)
	}
}

// shortDir makes a directory whose name fits into that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestANoticeThatCannotBeReadIsCountedAllTheSame(t *testing.T) {
	p, err := newPhone()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	now := time.Now()
	for i, body := range []string{`{"news":"opened","title":"trouble","at":"2019-04-10T00:00:00Z"}`, `{`, `{"news":"closed"}`} {
		for _, c := range p.channels() {
			resp, err := http.Post(string(c.URL), "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if ok := resp.StatusCode/100 == 2; ok != (c.Name == "working") {
				t.Errorf("%d: %s says %s", i, c.Name, resp.Status)
			}
		}
	}
	s := parse(t, small)
	n := p.notices(s, now.Add(-time.Second), now.Add(-time.Minute))
	if n.Count != 3 || n.Broken != 3 || n.List[1].News != "unreadable" || n.List[0].Title != "trouble" || n.List[0].At < "01:00" || p.ended() != 1 {
		t.Errorf("%+v", n)
	}
	if n.Delay < 60_000 || n.Delay > 120_000 {
		t.Errorf("%v ms after the third refusal", n.Delay)
	}
	if never := p.notices(s, now, time.Time{}); never.Delay != 0 {
		t.Errorf("%v ms after a refusal that there was not", never.Delay)
	}
}

func TestSilenceIsTheLongestDelay(t *testing.T) {
	n := (&phone{}).notices(parse(t, small), time.Now(), time.Now().Add(-time.Hour))
	if n.Count != 0 || n.List == nil || n.Delay < 3_600_000 {
		t.Errorf("%+v", n)
	}
}

func TestACaseOutlivesTheListingOnlyIfItStoodBefore(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(s int) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return began.Add(time.Duration(s) * time.Second)
	}
	entry := func(id int64, kind cases.Kind, name string, opened, ended int) (i api.CaseInfo) {
		i.Case = cases.Case{ID: id, Key: cases.Key{Kind: kind, Name: name}, State: cases.Open, Opened: at(opened), Ended: at(ended)}
		if ended > 0 {
			i.Case.State = cases.Over
		}
		return i
	}
	blocks := []api.CaseInfo{
		entry(4, cases.Block, "later", 6, 9), entry(3, cases.Block, "shorter", 2, 4), entry(2, cases.Block, "longer", 2, 9), entry(1, cases.Block, "stands", 2, 0),
	}
	for name, c := range map[string]struct {
		listings []api.CaseInfo
		want     []float64 // of the blocks by ID
	}{
		"the last listing counts": {[]api.CaseInfo{entry(5, cases.Listing, "a", 1, 3), entry(6, cases.Listing, "b", 1, 5)}, []float64{5000, 4000, 0, 0}},
		"a listing stands":        {[]api.CaseInfo{entry(5, cases.Listing, "a", 1, 3), entry(6, cases.Listing, "b", 1, 0)}, []float64{0, 0, 0, 0}},
		"no listing":              {nil, []float64{0, 0, 0, 0}},
	} {
		list := casesSince(append(slices.Clone(blocks), c.listings...), began, at(10))
		for i, want := range c.want {
			if list[i].ID != int64(i+1) || list[i].Outlives != want {
				t.Errorf("%s: %+v, want %v", name, list[i], want)
			}
		}
		if r := (&Report{Cases: list}); openCases(r) != 1+strings.Count(name, "stands") || caseOutlives(r) != slices.Max(c.want) {
			t.Errorf("%s: %d open, %v", name, openCases(r), caseOutlives(r))
		}
	}
}
