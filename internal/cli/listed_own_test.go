package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ukai/internal/watch"
)

func TestWhatTheMonitorKnowsIsToldInLinesAndAnExitCode(t *testing.T) {
	now := time.Now()
	listed := watch.Listed{Target: "192.0.2.25", List: "zen", Name: "Zen", Since: now.Add(-time.Hour), Verdict: "range"}
	for name, x := range map[string]struct {
		status watch.ListsStatus
		lines  []string
		exit   error
	}{
		"nothing to watch": {watch.ListsStatus{On: true}, nil, unknownListing},
		"not looked yet":   {watch.ListsStatus{On: true, Targets: []string{"192.0.2.25"}}, []string{"1 addresses"}, unknownListing},
		"clean":            {watch.ListsStatus{On: true, Targets: []string{"192.0.2.25"}, Checked: now}, []string{"0 entries"}, nil},
		"listed": {
			watch.ListsStatus{On: true, Targets: []string{"192.0.2.25"}, Checked: now, Listed: []watch.Listed{listed}},
			[]string{"1 entries", "192.0.2.25 is on Zen, for 1 h  listed with its whole range"}, errFound,
		},
		"a list that cannot be asked": {
			watch.ListsStatus{On: true, Targets: []string{"192.0.2.25"}, Checked: now, Unasked: []watch.Unasked{{List: "zen", Why: "timeout"}}},
			[]string{"0 entries", "1 lists cannot be asked: zen ("}, nil,
		},
		"a resolver that is unfit": {
			watch.ListsStatus{On: true, Resolver: "8.8.8.8:53", Unfit: "public", Targets: []string{"192.0.2.25"}},
			[]string{"8.8.8.8:53"}, unknownListing,
		},
	} {
		e := &env{lang: "en", now: func() time.Time { return now }}
		got := e.lists(&x.status)
		if len(got) != len(x.lines) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i, want := range x.lines {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q, want %q in it", name, got[i], want)
			}
		}
		if err := ownExit(&x.status); !errors.Is(err, x.exit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
