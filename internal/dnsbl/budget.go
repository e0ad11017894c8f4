package dnsbl

import (
	"context"
	"sync"
	"time"
)

// What a public list is asked at most when its row does not say: limits that operators publish begin at about ten times as much.
const (
	defaultRate  = 10
	defaultDaily = 5000
	burst        = 50 // seconds' worth of patience are not needed for a handful of questions
)

// budget keeps one list's rate and daily number of questions. The zero value is a full one.
type budget struct {
	mu     sync.Mutex // guards the rest
	tokens float64
	at     time.Time
	day    time.Time // midnight UTC of the day that used counts
	used   int
}

// take takes one question out of the budget: it returns how long to wait for it, or ok false when the day's are used up.
func (b *budget) take(l *List, now time.Time) (wait time.Duration, ok bool) {
	rate, daily := l.Use.Rate, l.Use.Daily
	if rate <= 0 {
		rate = defaultRate
	}
	if daily <= 0 {
		daily = defaultDaily
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if day := now.UTC().Truncate(24 * time.Hour); !day.Equal(b.day) {
		b.day, b.used = day, 0
	}
	if b.used >= daily {
		return 0, false
	}
	b.used++
	if b.at.IsZero() {
		b.tokens = burst
	} else if now.After(b.at) {
		b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.tokens--; b.tokens >= 0 {
		return 0, true
	}
	return time.Duration(-b.tokens / rate * float64(time.Second)), true
}

// rest waits.
func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
