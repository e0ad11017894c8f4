package queue

import "time"

// Schedule decides when a deferred delivery is tried again. The zero value is the default schedule.
type Schedule struct {
	// Steps are the waits after the first, second, ... failed attempt; the last one repeats. Default: 1, 2, 5, 10, 20, 30 minutes,
	// then every hour: greylisting servers mostly ask for one to five minutes, and an outage of a day costs 24 attempts.
	Steps []time.Duration
	// Lifetime is how long after acceptance a delivery is given up (RFC 5321, section 4.5.4.1, asks for at least 4 to 5 days). Default 5 days.
	Lifetime time.Duration
	// DelayWarning is how long after acceptance the sender is told of a delay, once; negative: never. Default 4 hours.
	DelayWarning time.Duration
	// Jitter is the share of a wait, in percent, by which it is shortened or lengthened at random, so that what failed together
	// does not come back together. Default 15, negative: none.
	Jitter int
}

var defaultSteps = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour}

// Next returns when to try again after the attempts-th attempt (1 or more) failed at now. dice is uniformly random.
func (s *Schedule) Next(now time.Time, attempts int, dice uint32) time.Time {
	steps := s.Steps
	if len(steps) == 0 {
		steps = defaultSteps
	}
	wait := steps[min(max(attempts, 1), len(steps))-1]
	percent := s.Jitter
	if percent == 0 {
		percent = 15
	}
	if percent > 0 {
		side := float64(wait) * float64(min(percent, 100)) / 100
		wait += time.Duration(side * (float64(dice)/(1<<31) - 1))
	}
	return now.Add(wait)
}

// Expired tells whether a message accepted at accepted is to be given up at now.
func (s *Schedule) Expired(accepted, now time.Time) bool {
	return now.Sub(accepted) >= s.lifetime()
}

// Until returns when a message accepted at accepted will be given up.
func (s *Schedule) Until(accepted time.Time) time.Time { return accepted.Add(s.lifetime()) }

// WarnDue tells whether the sender of a message accepted at accepted should be told of the delay.
func (s *Schedule) WarnDue(accepted, now time.Time) bool {
	after := s.DelayWarning
	if after == 0 {
		after = 4 * time.Hour
	}
	return after > 0 && now.Sub(accepted) >= after
}

func (s *Schedule) lifetime() time.Duration {
	if s.Lifetime == 0 {
		return 5 * 24 * time.Hour
	}
	return s.Lifetime
}
