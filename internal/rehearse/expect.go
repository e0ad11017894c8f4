package rehearse

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expectation is one line of [expect]: "<= 0.01", 0, true.
type expectation struct {
	name string
	op   string
	want float64
}

// measures are what can be expected of a report, as numbers: true is 1.
var measures = map[string]func(r *Report) float64{
	"accepted":                func(r *Report) float64 { return float64(r.Messages.Accepted) },
	"delivered":               func(r *Report) float64 { return float64(r.Messages.Delivered) },
	"bounced":                 func(r *Report) float64 { return float64(r.Messages.Bounced) },
	"held":                    func(r *Report) float64 { return float64(r.Messages.Held) },
	"lost":                    func(r *Report) float64 { return float64(r.Messages.Lost) },
	"duplicated":              func(r *Report) float64 { return float64(r.Messages.Duplicated) },
	"changed":                 func(r *Report) float64 { return float64(r.Messages.Changed) },
	"misjudged":               func(r *Report) float64 { return float64(r.Messages.Misjudged) },
	"domains":                 func(r *Report) float64 { return float64(r.Domains) },
	"refusals":                func(r *Report) float64 { return float64(r.Refusals) },
	"detours":                 func(r *Report) float64 { return float64(r.Detours) },
	"complaints":              func(r *Report) float64 { return float64(r.Complaints) },
	"most_waiting":            func(r *Report) float64 { return float64(r.MostWaiting) },
	"refusal_to_delivery_p50": func(r *Report) float64 { return r.RefusalToDelivery.P50 },
	"refusal_to_delivery_max": func(r *Report) float64 { return r.RefusalToDelivery.Max },
	"accepted_to_bounce_max":  func(r *Report) float64 { return r.AcceptedToBounce.Max },
	"blocked_share":           func(r *Report) float64 { return r.BlockedShare },
	"blocked_paths":           func(r *Report) float64 { return float64(len(r.Paths)) },
	"returned":                func(r *Report) float64 { return number(r.Returned) },
	"incidents":               func(r *Report) float64 { return float64(len(r.Incidents)) },
	"incidents_open":          func(r *Report) float64 { return float64(openIncidents(r)) },
	"incident_delay_max":      incidentDelay,
	"notices":                 func(r *Report) float64 { return float64(r.Notices.Count) },
	"notice_delay_max":        func(r *Report) float64 { return r.Notices.Delay },
	"cases":                   func(r *Report) float64 { return float64(len(r.Cases)) },
	"cases_open":              func(r *Report) float64 { return float64(openCases(r)) },
	"case_outlives":           caseOutlives,
	"time_to_return":          func(r *Report) float64 { return r.TimeToReturn },
}

// openIncidents counts those that are not over.
func openIncidents(r *Report) (n int) {
	for i := range r.Incidents {
		if r.Incidents[i].Closed == 0 {
			n++
		}
	}
	return n
}

// incidentDelay returns the longest time from the third refusal to the first word of an incident.
func incidentDelay(r *Report) (most float64) {
	for i := range r.Incidents {
		most = max(most, r.Incidents[i].Delay)
	}
	return most
}

// openCases counts those that are not over.
func openCases(r *Report) (n int) {
	for i := range r.Cases {
		if r.Cases[i].Closed == 0 {
			n++
		}
	}
	return n
}

// caseOutlives returns the longest time that a provider's case stood on after the listing was over.
func caseOutlives(r *Report) (most float64) {
	for i := range r.Cases {
		most = max(most, r.Cases[i].Outlives)
	}
	return most
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func measureNames() []string { return slices.Sorted(maps.Keys(measures)) }

// ops are the comparisons, the longer ones first.
var ops = []string{"<=", ">=", "=", "<", ">"}

// parseExpectation reads a value as a file has it.
func parseExpectation(name string, v any) (x expectation, ok bool) {
	x = expectation{name: name, op: "="}
	switch v := v.(type) {
	case bool:
		x.want = number(v)
	case int64:
		x.want = float64(v)
	case float64:
		x.want = v
	case string:
		for _, op := range ops {
			if rest, found := strings.CutPrefix(v, op); found {
				want, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
				x.op, x.want = op, want
				return x, err == nil
			}
		}
		return x, false
	default:
		return x, false
	}
	return x, true
}

// holds tells whether a report meets the expectation, and what it has instead.
func (x *expectation) holds(r *Report) (got float64, ok bool) {
	got = measures[x.name](r)
	switch x.op {
	case "<=":
		return got, got <= x.want
	case ">=":
		return got, got >= x.want
	case "<":
		return got, got < x.want
	case ">":
		return got, got > x.want
	}
	return got, got == x.want
}

// String returns the expectation as a file has it.
func (x *expectation) String() string {
	return fmt.Sprintf("%s %s %s", x.name, x.op, strconv.FormatFloat(x.want, 'g', -1, 64))
}

// judge fills in what failed.
func (s *Scenario) judge(r *Report) {
	r.OK, r.Failed = true, []Failure{}
	for i := range s.expect {
		x := &s.expect[i]
		if got, ok := x.holds(r); !ok {
			r.OK = false
			r.Failed = append(r.Failed, Failure{Expected: x.String(), Got: got})
		}
	}
}
