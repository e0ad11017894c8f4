package queue

import (
	"slices"
	"sync"
	"sync/atomic"
)

// pin keeps a segment from being removed, and its file from being closed, while it is read. The caller holds Embedded.mu.
func (s *segment) pin() { s.users.Add(1) }

func (s *segment) unpin() { s.users.Add(-1) }

// maxHandles is how many files of segments are kept open for reading: a long queue has more segments than a process may have
// files.
const maxHandles = 256

// handles opens the files of segments for reading.
type handles struct {
	disk  disk
	max   int
	clock atomic.Uint64

	mu   sync.Mutex // guards open; taken before segment.fmu
	open []*segment
}

// read reads from a segment that the caller has pinned.
func (h *handles) read(s *segment, b []byte, off int64) (int, error) {
	s.used.Store(h.clock.Add(1))
	s.fmu.Lock()
	f := s.f
	s.fmu.Unlock()
	if f == nil {
		var err error
		if f, err = h.add(s); err != nil {
			return 0, err
		}
	}
	return f.ReadAt(b, off)
}

func (h *handles) add(s *segment) (file, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if s.f != nil {
		return s.f, nil
	}
	f, err := h.disk.Open(s.name(), false)
	if err != nil {
		return nil, err
	}
	s.f = f
	h.open = append(h.open, s)
	if len(h.open) > h.max {
		h.trimLocked(s)
	}
	return f, nil
}

// trimLocked closes the half of the files that was not used for longest, without those of segments that are being read.
func (h *handles) trimLocked(keep *segment) {
	slices.SortFunc(h.open, func(a, b *segment) int { return int(int64(a.used.Load() - b.used.Load())) })
	excess := len(h.open) - h.max/2
	h.open = slices.DeleteFunc(h.open, func(s *segment) bool {
		if excess <= 0 || s == keep || !s.closeIdle() {
			return false
		}
		excess--
		return true
	})
}

// closeIdle closes a segment's file unless somebody reads it. Who pins the segment after this looked finds no file then, and
// opens it again.
func (s *segment) closeIdle() bool {
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if s.users.Load() > 0 {
		return false
	}
	_ = s.f.Close()
	s.f = nil
	return true
}

// forget closes a segment's file, if it is open. Nobody reads it any more.
func (h *handles) forget(s *segment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.open, s); i >= 0 {
		h.open = slices.Delete(h.open, i, i+1)
		s.closeIdle()
	}
}

func (h *handles) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.open {
		s.fmu.Lock()
		_ = s.f.Close()
		s.f = nil
		s.fmu.Unlock()
	}
	h.open = nil
}
