package steer

import (
	"hash/maphash"
	"sync"
	"time"

	"ukai/internal/provider"
)

// seed makes the hashes of this process its own: nobody outside can choose domains that collide.
var seed = maphash.MakeSeed()

// hashID stands for a provider in the cache.
func hashID(id provider.ID) uint64 { return maphash.String(seed, id) }

// slot is what is known of one domain.
type slot struct {
	id    uint64 // hashID of the provider; 0: not known
	until uint32 // seconds since the cache was made: from then on it is asked again
}

// shards divides the cache, so that the connections of many servers do not wait for each other.
const shards = 64

// cache holds the providers of domains. It knows domain and provider by hashes only: a million domains are 40 MB without one
// pointer for the garbage collector to follow. Two domains with one hash among a million are as likely as one in thirty
// million, and cost a needless detour or a refusal.
type cache struct {
	began time.Time
	most  int // in a shard
	parts [shards]part
}

type part struct {
	mu  sync.RWMutex // guards all
	all map[uint64]slot
}

func newCache(entries int) *cache {
	c := &cache{began: time.Now(), most: max(1, entries/shards)}
	for i := range c.parts {
		c.parts[i].all = make(map[uint64]slot)
	}
	return c
}

func (c *cache) seconds(at time.Time) uint32 { return uint32(max(0, at.Sub(c.began)/time.Second)) }

// get returns what is known of a domain by its hash; stale: it is to be asked again.
func (c *cache) get(h uint64, now time.Time) (id uint64, known, stale bool) {
	p := &c.parts[h%shards]
	p.mu.RLock()
	s, ok := p.all[h]
	p.mu.RUnlock()
	return s.id, ok, !ok || s.until <= c.seconds(now)
}

// put notes the provider of a domain. An unknown one does not take the place of one that was known: name servers that are away
// change nothing.
func (c *cache) put(h, id uint64, until time.Time) {
	p := &c.parts[h%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.all[h]
	if !ok && len(p.all) >= c.most {
		p.evict()
	}
	if id != 0 || !ok {
		s.id = id
	}
	s.until = c.seconds(until)
	p.all[h] = s
}

// evict forgets the one of a few, picked by the order of the map, that was looked up longest ago.
func (p *part) evict() {
	const few = 8
	var oldest uint64
	var s slot
	seen := 0
	for h, x := range p.all {
		if seen == 0 || x.until < s.until {
			oldest, s = h, x
		}
		if seen++; seen == few {
			break
		}
	}
	delete(p.all, oldest)
}

func (c *cache) len() (n int) {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.RLock()
		n += len(p.all)
		p.mu.RUnlock()
	}
	return n
}
