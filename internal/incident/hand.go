package incident

import (
	"slices"
	"strings"
	"time"
)

// List returns the incidents that are followed: open, acknowledged, and closed within the quiet time; newest first.
func (b *Book) List() []Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Incident
	for _, s := range b.live {
		if s.ID != 0 {
			list = append(list, s.clone())
		}
	}
	slices.SortFunc(list, func(a, c Incident) int { return int(c.ID - a.ID) })
	return list
}

// Current returns an incident that is followed, as it stands.
func (b *Book) Current(id int64) (Incident, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.byID(id)
	if s == nil {
		return Incident{}, false
	}
	return s.clone(), true
}

// byID finds a followed incident.
func (b *Book) byID(id int64) *story {
	for _, s := range b.live {
		if s.ID == id && id != 0 {
			return s
		}
	}
	return nil
}

// Ack says that a person has taken an incident on. ok is false when there is no open one with this ID.
func (b *Book) Ack(id int64, by, note string, at time.Time) (ok bool) {
	b.change(func(say func(*story, time.Time, News)) {
		s := b.byID(id)
		if s == nil || s.State == Closed {
			return
		}
		s.State, s.By, ok = Acked, by, true
		if note != "" {
			s.Note = note
		}
		s.Timeline.add(at, "incident.event.acked", "by", by, "note", note)
		b.dirty[s.ID] = true
		say(s, at, WasAcked)
	})
	return ok
}

// Close closes an incident by hand; it reopens as any other when the cause comes back. ok is false when there is no open one
// with this ID.
func (b *Book) Close(id int64, by, note string, at time.Time) (ok bool) {
	b.change(func(say func(*story, time.Time, News)) {
		if s := b.byID(id); s != nil && s.State != Closed {
			ok = true
			b.close(s, at, strings.TrimSpace(by), note, say)
		}
	})
	return ok
}
