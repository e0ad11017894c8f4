package health

import (
	"log/slog"
	"maps"
	"time"
)

// add makes the page of a path. It returns nil when the shard is full of paths that are in trouble: then the path stays
// what an unknown one is, healthy, and the mail flows.
func (b *Book) add(key Key, at time.Time) *page {
	s := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.pages.Load()
	if p := old[key]; p != nil {
		return p
	}
	pages := maps.Clone(old)
	if len(pages) >= max(1, b.opts.MaxPaths/shardCount) && !b.evict(pages) {
		if !b.full.Swap(true) {
			b.log.Warn("too many paths in trouble, others are not followed", slog.Int("max_paths", b.opts.MaxPaths))
		}
		return nil
	}
	p := newPage(key, b.rules.Load().Recent)
	p.used.Store(at.UnixNano())
	pages[key] = p
	s.pages.Store(&pages)
	return p
}

// evict takes the healthy page that has been idle longest out of pages.
func (b *Book) evict(pages map[Key]*page) bool {
	var oldest *page
	for _, p := range pages {
		if p.seen.Load().State == Healthy && (oldest == nil || p.used.Load() < oldest.used.Load()) {
			oldest = p
		}
	}
	if oldest == nil || !b.retire(oldest) {
		return false
	}
	delete(pages, oldest.key)
	return true
}

// forget takes one idle page out of the book; false when it is in use again.
func (b *Book) forget(p *page) bool {
	s := b.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !b.retire(p) {
		return false
	}
	pages := maps.Clone(*s.pages.Load())
	delete(pages, p.key)
	s.pages.Store(&pages)
	return true
}

// retire marks a page as evicted, unless it holds what must not be forgotten.
func (b *Book) retire(p *page) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.t.State != Healthy || len(p.t.Standing) > 0 {
		return false
	}
	p.gone = true
	b.gone.Lock()
	b.dead = append(b.dead, p.key)
	b.gone.Unlock()
	return true
}
