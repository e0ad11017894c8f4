package queue

import "fmt"

// cutBack answers a failed write: when the disk is full, what was written of the group is cut off again.
func (w *writer) cutBack(err error) error {
	if !isFull(err) {
		return fmt.Errorf("write %s: %w", w.seg.name(), err)
	}
	if terr := w.f.Truncate(w.end); terr != nil {
		return broken{fmt.Errorf("truncate %s on a full disk: %w", w.seg.name(), terr)}
	}
	return err
}

// roll begins a new segment when there is none or the last has its size.
func (w *writer) roll() error {
	if w.seg != nil && w.end < w.opts.segmentSize {
		return nil
	}
	no := uint32(1)
	if w.seg != nil {
		no = w.seg.no + 1
	}
	if err := w.cutOff(); err != nil {
		return err
	}
	s := newSegment(no)
	f, err := w.spares.create(s)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	if err := w.begin(s, f); err != nil {
		_ = f.Close()
		if rerr := w.opts.disk.Remove(s.name()); rerr != nil {
			return broken{fmt.Errorf("remove segment after %w: %w", err, rerr)}
		}
		return err
	}
	if w.f != nil {
		_ = w.f.Close()
	}
	w.tail = tail{s, f, segmentStart}
	s.size = segmentStart
	w.tell.opened(s)
	return nil
}

// cutOff ends the file of a segment where its records end: one that was a spare is longer.
func (w *writer) cutOff() error {
	if w.f == nil {
		return nil
	}
	size, err := w.f.Size()
	if err != nil || size == w.end {
		return err
	}
	if err := w.f.Truncate(w.end); err != nil {
		return broken{fmt.Errorf("truncate %s: %w", w.seg.name(), err)}
	}
	if err := w.f.Sync(); err != nil {
		return broken{fmt.Errorf("sync %s: %w", w.seg.name(), err)}
	}
	return nil
}

// begin makes an empty segment durable, name and all, before a record in it can be.
func (w *writer) begin(s *segment, f file) error {
	if _, err := f.WriteAt(s.start(), 0); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	if err := f.Sync(); err != nil {
		return broken{fmt.Errorf("sync segment: %w", err)}
	}
	if err := w.opts.disk.SyncDir(logDir); err != nil {
		return broken{err}
	}
	return nil
}
