package cli

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"ukai/internal/health"
	"ukai/internal/rehearse"
)

// oneMinute is a story that takes about a second.
const oneMinute = `
title.en = "one minute"
title.ja = "1分間"
speed = 600
patience = "1h"
[[egress]]
name = "direct"
source = "127.0.0.10"
[[traffic]]
rate = 50
senders = ["a.example"]
[[provider]]
name = "isp"
share = 1
[[provider.group]]
domains = ["b.example"]
[[step]]
at = "00:01"
name = "nothing"
text.en = "nothing happens"
text.ja = "何も起こらない"
[expect]
lost = 0
`

func rehearsal(t *testing.T, story string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("story.toml", []byte(story), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e strings.Builder
	code = run(append([]string{"rehearse", "story.toml"}, args...), at(&o, &e, nil))
	return code, o.String(), e.String()
}

func TestARehearsalTellsItsStoryAndItsSum(t *testing.T) {
	for lang, want := range map[string][3]string{
		"en": {"00:01  nothing happens", "delivered", "Everything as the scenario expects."},
		"ja": {"00:01  何も起こらない", "届いた", "すべてシナリオの期待どおりです。"},
	} {
		code, out, errs := rehearsal(t, oneMinute, "--lang", lang)
		if code != exitDone || !strings.Contains(errs, want[0]) || !strings.Contains(out, want[1]) || !strings.Contains(out, want[2]) {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
	}
}

func TestARehearsalAsJSONHasTheKeysThatProgramsReadAndNothingBesides(t *testing.T) {
	code, out, errs := rehearsal(t, oneMinute, "--json")
	var r map[string]any
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&r); err != nil || d.More() || code != exitDone || errs != "" {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	for _, path := range []string{
		"scenario", "ok", "failed", "messages.accepted", "messages.delivered", "messages.bounced", "messages.held", "messages.lost",
		"messages.duplicated", "refusals", "detours", "refusal_to_delivery_ms.p50", "refusal_to_delivery_ms.max",
		"attempts_on_blocked_path", "mail_while_blocked", "blocked_share", "returned", "time_to_return_ms", "steps",
	} {
		group, name, nested := strings.Cut(path, ".")
		v, ok := r[group]
		if m, isMap := v.(map[string]any); nested && isMap {
			_, ok = m[name]
		}
		if !ok {
			t.Errorf("no %s", path)
		}
	}
	steps, _ := r["steps"].([]any)
	if len(steps) != 1 || steps[0].(map[string]any)["at"] != "00:01" {
		t.Errorf("%v", r["steps"])
	}
}

func TestAnExpectationThatDoesNotHoldFails(t *testing.T) {
	code, out, _ := rehearsal(t, strings.Replace(oneMinute, "lost = 0", "bounced = \">= 1\"\nlost = 0", 1))
	if code != exitFailed || !strings.Contains(out, "NOT as expected: bounced >= 1, but it is 0") {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, errs := rehearsal(t, strings.Replace(oneMinute, "lost = 0", "bounced = 1", 1), "--json")
	if code != exitFailed || !strings.Contains(out, `"expected": "bounced = 1"`) || errs != "" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestAStoryWithMistakesIsNotPlayed(t *testing.T) {
	code, out, errs := rehearsal(t, strings.Replace(oneMinute, "speed", "sped", 1))
	if code != exitUsage || out != "" || !strings.Contains(errs, "story.toml:4: unknown key sped") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestTheBoardStaysWithinTheScreen(t *testing.T) {
	var b strings.Builder
	st := &tale{e: at(&strings.Builder{}, &b, nil), s: &rehearse.Scenario{}, live: true}
	st.watch(rehearse.Board{Clock: "09:00", Rows: []rehearse.Row{{Label: strings.Repeat("長", 60), State: health.Blocked}}})
	for line := range strings.Lines(b.String()) {
		if width(strings.TrimSuffix(line, "\n")) >= 80 {
			t.Errorf("too wide: %q", line)
		}
	}
	if n := strings.Count(b.String(), "\n"); n != st.lines {
		t.Errorf("%d lines, %d are remembered", n, st.lines)
	}
	b.Reset()
	st.done()
	if b.String() != "\x1b[3A\r\x1b[J" {
		t.Errorf("%q", b.String())
	}
	if marks := []string{mark(health.Healthy), mark(health.Suspect), mark(health.Blocked), mark(health.Probing), mark(health.Recovering)}; slices.Contains(marks, "") {
		t.Error(marks)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
