package queue

import (
	"fmt"
	"strings"
	"sync"
)

// Segments in which nothing counts any more are not all removed: a few are kept as spares, to be written over by the next
// segments. Writing over blocks that a file has already is twice as fast to sync as making a file longer, for the file
// system has nothing to say about it in its journal. What a spare still holds is not taken for records of the new segment:
// their stamps are of another place.
const (
	sparePrefix = "spare-"
	maxSpares   = 4
)

type spares struct {
	disk disk

	mu    sync.Mutex // guards the fields below; a leaf
	names []string
	next  int
	bytes int64 // of all, about
}

// load looks at what earlier runs left.
func (sp *spares) load(infos []fileInfo) {
	for _, info := range infos {
		if strings.HasPrefix(info.name, sparePrefix) {
			sp.names = append(sp.names, logDir+"/"+info.name)
			sp.bytes += info.size
			var n int
			if _, err := fmt.Sscanf(info.name, sparePrefix+"%d", &n); err == nil {
				sp.next = max(sp.next, n+1)
			}
		}
	}
}

// retire makes a spare of a segment's file or, if there are enough, removes it. The caller syncs the directory.
func (sp *spares) retire(s *segment, full int64) error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(sp.names) >= maxSpares || s.size < full {
		return sp.disk.Remove(s.name())
	}
	name := fmt.Sprintf("%s/%s%d", logDir, sparePrefix, sp.next)
	if err := sp.disk.Rename(s.name(), name); err != nil {
		return err
	}
	sp.next++
	sp.names = append(sp.names, name)
	sp.bytes += s.size
	return nil
}

// create makes the file of a new segment, of a spare if there is one. The caller syncs the directory.
func (sp *spares) create(s *segment) (file, error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for len(sp.names) > 0 {
		name := sp.names[len(sp.names)-1]
		sp.names = sp.names[:len(sp.names)-1]
		if f, err := sp.reuse(name, s.name()); err == nil {
			return f, nil
		}
	}
	return sp.disk.Create(s.name())
}

func (sp *spares) reuse(name, as string) (file, error) {
	f, err := sp.disk.Open(name, true)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil {
		err = sp.disk.Rename(name, as)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	sp.bytes = max(sp.bytes-size, 0)
	return f, nil
}

// size is how many octets spares take.
func (sp *spares) size() int64 {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.bytes
}

// dismiss removes all spares: the disk is short of room. It tells whether there were any.
func (sp *spares) dismiss() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	had := len(sp.names) > 0
	for _, name := range sp.names {
		_ = sp.disk.Remove(name) // one that stays is found at the next start
	}
	sp.names, sp.bytes = nil, 0
	return had
}
