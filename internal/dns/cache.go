package dns

import "sync"

// cache keeps at most limit values. When it is full, the hand of a clock goes round and takes the first value that nobody
// asked for since it last came by (second chance): nearly as good as the least recently used, without a list to re-thread
// at every hit. Whether a value is still good is for its user to say.
type cache[K comparable, V any] struct {
	limit int

	mu    sync.Mutex // guards what follows
	index map[K]int
	slots []slot[K, V]
	hand  int
}

type slot[K comparable, V any] struct {
	key  K
	val  V
	used bool
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: max(limit, 1), index: make(map[K]int)}
}

func (c *cache[K, V]) get(key K) (val V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.index[key]
	if !ok {
		return val, false
	}
	c.slots[i].used = true
	return c.slots[i].val, true
}

func (c *cache[K, V]) put(key K, val V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.index[key]; ok {
		c.slots[i].val = val
		return
	}
	if len(c.slots) < c.limit {
		c.index[key] = len(c.slots)
		c.slots = append(c.slots, slot[K, V]{key: key, val: val})
		return
	}
	for c.slots[c.hand].used {
		c.slots[c.hand].used = false
		c.hand = (c.hand + 1) % len(c.slots)
	}
	delete(c.index, c.slots[c.hand].key)
	c.slots[c.hand] = slot[K, V]{key: key, val: val}
	c.index[key] = c.hand
	c.hand = (c.hand + 1) % len(c.slots)
}
