package rehearse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
)

// small is a story of two seconds.
const small = `
title.en = "small"
speed = 3600
patience = "2h"
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
