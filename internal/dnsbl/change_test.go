package dnsbl

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A story: minutes and states, and the changes that come of it.
func TestOnlyConfirmedChangesAreRaised(t *testing.T) {
	tests := []struct{ name, story, want string }{
		{"a clean address is no news", "0:clean 10:clean 20:clean", ""},
		{"a listing at the beginning is, when it is confirmed", "0:listed 10:listed 20:listed", "10:->listed"},
		{"a change counts when it was seen twice", "0:clean 10:clean 20:listed 30:listed 40:listed", "30:clean->listed"},
		{"twice within a minute is not twice", "0:clean 10:clean 20:listed 21:listed 22:listed 31:listed", "31:clean->listed"},
		{"a flicker is no change", "0:clean 10:clean 20:listed 25:clean 30:listed 35:clean 40:clean", ""},
		{"an error neither confirms nor contradicts", "0:clean 10:clean 20:listed 25:timeout 30:listed", "30:clean->listed"},
		{"errors alone change nothing", "0:listed 10:listed 20:refused 30:refused 40:broken 50:timeout", "10:->listed"},
		{"back to clean", "0:clean 10:clean 20:listed 30:listed 40:clean 50:clean", "30:clean->listed 50:listed->clean"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, l := NewDetector(DetectorOptions{}), &List{ID: "a"}
			var got []string
			for _, step := range strings.Fields(tt.story) {
				var minute int
				var state State
				_, err := fmt.Sscanf(step, "%d:%s", &minute, &state)
				if err != nil {
					t.Fatal(err)
				}
				changes, _ := d.Observe(time.Unix(0, 0).Add(time.Duration(minute)*time.Minute), []Answer{{Target: Target{Domain: "x"}, List: l, State: state}})
				for _, c := range changes {
					got = append(got, fmt.Sprintf("%d:%s->%s", minute, c.From, c.To))
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}

func TestThatAListCannotBeAskedIsSaidOnceHoweverManyTargetsThereAre(t *testing.T) {
	d, l := NewDetector(DetectorOptions{}), &List{ID: "a"}
	var got []string
	for minute := 0; minute <= 120; minute += 10 {
		state := Refused
		if minute >= 90 {
			state = Clean
		}
		var round []Answer
		for i := range 100 {
			round = append(round, Answer{Target: Target{Domain: fmt.Sprint("x", i)}, List: l, State: state, Why: WhyQuota})
		}
		_, outages := d.Observe(time.Unix(0, 0).Add(time.Duration(minute)*time.Minute), round)
		for _, o := range outages {
			got = append(got, fmt.Sprint(minute, " ", o.State, " ", o.Over))
		}
	}
	if strings.Join(got, ", ") != "30 refused false, 90 clean true" {
		t.Errorf("%v", got)
	}
}

func TestAPendingChangeIsSeenAndForgotten(t *testing.T) {
	d, l := NewDetector(DetectorOptions{}), &List{ID: "a"}
	say := func(minute int, s State) {
		d.Observe(time.Unix(0, 0).Add(time.Duration(minute)*time.Minute), []Answer{{Target: Target{Domain: "x"}, List: l, State: s}})
	}
	say(0, Clean)
	if d.Pending("x") {
		t.Error("a first clean answer waits for nothing")
	}
	say(10, Clean)
	say(20, Listed)
	if !d.Pending("x") || d.Pending("y") {
		t.Error("a listing that was seen once is not pending")
	}
	d.Forget("x")
	if d.Pending("x") {
		t.Error("a target that is forgotten is pending")
	}
}
