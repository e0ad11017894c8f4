package dispatch

import (
	"testing"
	"time"
)

func TestLimiterGrowsByOneForEachRoundOfSuccess(t *testing.T) {
	l := newLimiter(20)
	if l.limit != firstLimit {
		t.Fatalf("starts with %d", l.limit)
	}
	for range firstLimit {
		l.good()
	}
	if l.limit != firstLimit+1 {
		t.Errorf("after %d successes: %d", firstLimit, l.limit)
	}
	for range 1000 {
		l.good()
	}
	if l.limit != 20 {
		t.Errorf("does not stop at its maximum: %d", l.limit)
	}
}

func TestLimiterHalvesOnPushbackAndKeepsOne(t *testing.T) {
	l := newLimiter(20)
	for range 1000 {
		l.good()
	}
	for _, want := range []int{10, 5, 2, 1, 1} {
		l.pushback()
		if l.limit != want {
			t.Fatalf("after a pushback %d, want %d", l.limit, want)
		}
	}
	if small := newLimiter(2); small.limit != 2 {
		t.Errorf("starts above its maximum: %d", small.limit)
	}
}

func TestLimiterRestsLongerWithEachFailedConnectAndForgetsOnSuccess(t *testing.T) {
	now := time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)
	l := newLimiter(20)
	for i, want := range []time.Duration{restStep, 2 * restStep, 4 * restStep} {
		l.unreachable(now)
		if got := l.restUntil.Sub(now); got != want {
			t.Errorf("rest %d: %v, want %v", i+1, got, want)
		}
	}
	for range 40 {
		l.unreachable(now)
	}
	if !l.resting(now.Add(restMax-time.Second)) || l.resting(now.Add(restMax)) {
		t.Errorf("does not end at %v: %v", restMax, l.restUntil.Sub(now))
	}
	if l.good(); l.resting(now) {
		t.Error("rests after a success")
	}
}
