package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/dispatch"
	"ukai/internal/queue"
	"ukai/internal/watch"
)

// Status is ukai at a glance.
type Status struct {
	Version string        `json:"version"`
	Mode    string        `json:"mode" enum:"act,observe"`
	Started time.Time     `json:"started"`
	Queue   queue.Stats   `json:"queue"`
	Load    dispatch.Load `json:"load"`
	Paths   PathCount     `json:"paths"`
	Sources []Source      `json:"sources,omitempty"`
	// Lists is nil where no blocklists are asked.
	Lists *watch.ListsStatus `json:"lists,omitempty"`
	// JournalDropped counts events that were lost because the database could not follow.
	JournalDropped uint64 `json:"journal_dropped"`
}

// PathCount counts paths by state.
type PathCount map[string]int

func isNotFound(err error) bool { return errors.Is(err, queue.ErrNotFound) }

func (p *Parts) registerStatus(a huma.API) {
	register(a, "GET /v1/status", "status", "ukai at a glance", func(context.Context, *none) (*body[Status], error) {
		return answer(p.status()), nil
	})
}

func (p *Parts) status() Status {
	s := Status{
		Version: p.Version, Mode: p.Mode(), Started: p.Started, Queue: p.Store.Stats(), Load: p.Dispatch.Load(),
		Paths: PathCount{}, Sources: p.sources(), JournalDropped: p.Journal.Dropped(),
	}
	if p.Lists != nil {
		if l := p.Lists.Status(); l.On {
			s.Lists = &l
		}
	}
	for _, info := range p.Health.List(p.Now()) {
		s.Paths[info.State.String()]++
	}
	return s
}

// healthz says 200 while mail can be taken and 503 with a reason when it cannot.
func (p *Parts) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if broken := p.Store.Stats().Broken; broken != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "queue stopped:", broken)
		return
	}
	fmt.Fprintln(w, "ok")
}
