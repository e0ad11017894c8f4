package health

import "time"

// Scaled returns the thresholds, defaults filled in, with every time divided by speed: for a rehearsal, whose clock runs
// faster. Counts and shares stay as they are. A speed of 0 or less means 1.
func (t Thresholds) Scaled(speed float64) Thresholds {
	t = t.withDefaults()
	if speed <= 0 {
		return t
	}
	for _, d := range []*time.Duration{
		&t.Window, &t.RunGap, &t.ProbeFirst, &t.ProbeMax, &t.ProbeGap, &t.ProbeLease, &t.RecoverWindow, &t.SlowFirst, &t.SlowMax,
	} {
		*d = max(time.Duration(float64(*d)/speed), time.Microsecond)
	}
	return t
}
