package health

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
)

func TestTheDefaultsAreValid(t *testing.T) {
	if errs := (Thresholds{}).Validate(); len(errs) != 0 {
		t.Errorf("%v", errs)
	}
}

func TestWrongThresholdsAreToldAllAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		t    Thresholds
		want []string // names in the errors, in order
	}{
		"negative times":                   {Thresholds{Window: -1, ProbeGap: -1, RunGap: -1}, []string{"window", "run_gap", "probe_gap"}},
		"a percentage above a hundred":     {Thresholds{BlockPercent: 101}, []string{"block_percent"}},
		"more refusals than are weighed":   {Thresholds{Recent: 5, BlockCount: 6}, []string{"block_count"}},
		"negative numbers":                 {Thresholds{BlockRun: -1, ProbeGood: -1, RecoverFrom: -1}, []string{"block_run", "probe_good", "recover_from"}},
		"a longest wait under the first":   {Thresholds{ProbeFirst: 2 * time.Hour}, []string{"probe_max"}},
		"a longest pause under the first":  {Thresholds{SlowFirst: time.Hour}, []string{"slow_max"}},
		"a ring larger than anybody needs": {Thresholds{Recent: 1001}, []string{"recent"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := c.t.Validate()
			if len(errs) != len(c.want) {
				t.Fatalf("%v, want %v", errs, c.want)
			}
			for i, err := range errs {
				var e *i18n.Error
				if !errors.As(err, &e) || !strings.HasPrefix(e.Text(i18n.EN), c.want[i]+" ") || !strings.Contains(e.Text(i18n.JA), c.want[i]) {
					t.Errorf("%v, want one about %s", err, c.want[i])
				}
			}
		})
	}
}

func TestEveryReasonHasItsText(t *testing.T) {
	all, err := i18n.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	for move, whys := range allowed {
		for _, why := range whys {
			if _, ok := all["health.why."+why]; !ok {
				t.Errorf("%s>%s: no text for %q", move[0], move[1], why)
			}
		}
	}
	for _, name := range stateNames {
		if _, ok := all["health.state."+name]; !ok {
			t.Errorf("no text for the state %q", name)
		}
	}
}
