package queue

import (
	"math"
	"testing"
	"time"
)

func TestScheduleRetriesQuicklyFirstAndStaysWithinItsJitter(t *testing.T) {
	now := time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		s        Schedule
		attempts int
		dice     uint32
		want     time.Duration
	}{
		{"the first wait is about a minute", Schedule{}, 1, 1 << 31, time.Minute},
		{"no attempt counts as the first", Schedule{}, 0, 1 << 31, time.Minute},
		{"the last step repeats", Schedule{}, 99, 1 << 31, time.Hour},
		{"the lowest dice shortens by 15 percent", Schedule{}, 1, 0, 51 * time.Second},
		{"the highest dice lengthens by nearly 15 percent", Schedule{}, 1, math.MaxUint32, 69 * time.Second},
		{"no jitter when negative", Schedule{Jitter: -1}, 2, 0, 2 * time.Minute},
		{"own steps", Schedule{Steps: []time.Duration{time.Second}, Jitter: -1}, 3, 0, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.Next(now, c.attempts, c.dice).Sub(now).Round(time.Millisecond); got != c.want {
				t.Errorf("waits %v, want %v", got, c.want)
			}
		})
	}
}

func TestScheduleGivesUpAfterItsLifetimeAndWarnsOnce(t *testing.T) {
	at := time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)
	var s Schedule
	if s.Expired(at, at.Add(119*time.Hour)) || !s.Expired(at, at.Add(120*time.Hour)) || !s.Until(at).Equal(at.Add(120*time.Hour)) {
		t.Error("the default lifetime is not five days")
	}
	if s.WarnDue(at, at.Add(3*time.Hour)) || !s.WarnDue(at, at.Add(4*time.Hour)) {
		t.Error("the default warning is not after four hours")
	}
	s.DelayWarning = -1
	if s.WarnDue(at, at.Add(100*time.Hour)) {
		t.Error("warns though told not to")
	}
}
