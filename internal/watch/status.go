package watch

import (
	"log/slog"
	"sync"
	"time"
)

// Counts says what became of the observations of a source.
type Counts struct {
	Seen     int64 `json:"seen"`     // all
	Late     int64 `json:"late"`     // too old to be news
	Repeated int64 `json:"repeated"` // told by another source before
	Refused  int64 `json:"refused"`  // refusals for the reputation of the address
}

// Status is one source at a glance.
type Status struct {
	Name    string
	Kind    string
	Where   string
	Since   time.Time // it was started with the present settings
	Contact time.Time // it was last seen to be there; zero: never yet
	Read    int64     // lines or mails
	Counts
	Trouble error // nil when all is well
}

// Status returns the sources in the order of the settings.
func (h *Hub) Status() []Status {
	h.mu.Lock()
	runners := h.runners
	h.mu.Unlock()
	all := make([]Status, 0, len(runners))
	for _, r := range runners {
		all = append(all, r.status())
	}
	return all
}

func (r *runner) status() Status {
	r.mu.Lock()
	s := Status{Name: r.Source.Name(), Since: r.since, Counts: r.counts, Trouble: r.trouble}
	at := r.at
	r.mu.Unlock()
	if g, ok := r.Source.(interface{ Gauge() Gauge }); ok {
		now := g.Gauge()
		s.Kind, s.Where, s.Contact, s.Read = now.Kind, now.Where, now.Contact, now.Read
		if now.Trouble != nil || now.Contact.After(at) { // it is there again
			s.Trouble = now.Trouble
		}
	}
	return s
}

// count adds to the counts, and forgets the trouble: who sees something is well.
func (r *runner) count(add func(*Counts)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	add(&r.counts)
	r.trouble = nil
	r.mu.Unlock()
}

// gauge is a Gauge that a source keeps.
type gauge struct {
	log *slog.Logger

	mu sync.Mutex // guards now
	g  Gauge
}

// Gauge returns what is known.
func (g *gauge) Gauge() Gauge {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.g
}

// well says that the source is there, and that n lines or mails were read.
func (g *gauge) well(now time.Time, n int64) {
	g.mu.Lock()
	had := g.g.Trouble
	g.g.Contact, g.g.Trouble = now, nil
	g.g.Read += n
	g.mu.Unlock()
	if had != nil {
		g.log.Info("source is there again", "where", g.g.Where)
	}
}

// ill says what keeps the source from reading, and tells the log when it is another trouble than before.
func (g *gauge) ill(err error) {
	g.mu.Lock()
	had := g.g.Trouble
	g.g.Trouble = err
	g.mu.Unlock()
	if had == nil || had.Error() != err.Error() {
		g.log.Warn("source cannot be read", "where", g.g.Where, "error", err)
	}
}
