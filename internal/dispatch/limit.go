package dispatch

import "time"

// limiter decides how many connections a site may have, from what it sees: additive increase while things go well,
// halving on trouble, as TCP does and as Postfix's scheduler does per destination. "How fast" and "is it dead" are two
// mechanisms: after failed connects in a row the site rests, whatever its limit.
//
// The zero value is not ready; use newLimiter. It is pure and not safe for concurrent use.
type limiter struct {
	limit, max int
	credit     int       // successes since the limit last rose
	failures   int       // connects that failed in a row
	restUntil  time.Time // no new connection before this
}

const (
	firstLimit = 5                      // connections a site starts with
	restStep   = 500 * time.Millisecond // rest after the first failed connect; doubles
	restMax    = 5 * time.Minute
)

func newLimiter(maximum int) limiter { return limiter{limit: min(firstLimit, maximum), max: maximum} }

// good notes a message that went through without complaint about load.
func (l *limiter) good() {
	l.failures = 0
	l.restUntil = time.Time{}
	if l.limit >= l.max {
		return
	}
	if l.credit++; l.credit >= l.limit {
		l.limit++
		l.credit = 0
	}
}

// pushback notes that the receiver wants fewer connections or less mail.
func (l *limiter) pushback() {
	l.limit = max(1, l.limit/2)
	l.credit = 0
}

// unreachable notes a connection that could not be opened at now.
func (l *limiter) unreachable(now time.Time) {
	l.pushback()
	l.failures++
	rest := restMax
	if l.failures < 11 {
		rest = min(restStep<<(l.failures-1), restMax)
	}
	l.restUntil = now.Add(rest)
}

// resting tells whether no new connection should be opened at now.
func (l *limiter) resting(now time.Time) bool { return now.Before(l.restUntil) }
