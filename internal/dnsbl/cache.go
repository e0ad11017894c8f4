package dnsbl

import (
	"sync"
	"time"
)

// How long answers are kept. What an operator wants repeated every few seconds is not, and a delisting is seen within the hour.
const (
	minKeep  = 5 * time.Second
	maxKeep  = time.Hour
	keepNone = time.Minute // where the reply does not say
	keepBad  = time.Minute // troubles: long enough not to hammer, short enough to see the end
	entries  = 20_000
)

type cacheKey struct {
	list *List
	name string
}

type cached struct {
	answer Answer
	until  time.Time
}

// cache keeps answers for as long as their TTL allows. The zero value is ready.
type cache struct {
	mu sync.Mutex // guards m
	m  map[cacheKey]cached
}

func (c *cache) get(k cacheKey, now time.Time) (Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[k]
	if !ok || !now.Before(e.until) {
		return Answer{}, false
	}
	return e.answer, true
}

func (c *cache) put(k cacheKey, a Answer, now time.Time) {
	keep := keepBad
	if a.State.Told() {
		if keep = a.TTL; keep <= 0 {
			keep = keepNone
		}
		keep = min(max(keep, minKeep), maxKeep)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = make(map[cacheKey]cached)
	}
	for old := range c.m { // any will do: the map's order is random, and the next question brings it back
		if len(c.m) < entries {
			break
		}
		delete(c.m, old)
	}
	c.m[k] = cached{a, now.Add(keep)}
}
