package api

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/journal"
	"ukai/internal/mail"
)

// Story is everything known of a message: what happened to it, and where it is if it is still here.
type Story struct {
	ID     string          `json:"id"`
	Events []journal.Event `json:"events"`
	Queued *Message        `json:"queued,omitempty"`
}

func (p *Parts) registerTrace(a huma.API) {
	register(a, "GET /v1/trace", "trace", "the whole story of a message, by its ID or its Message-ID header", p.trace)
}

func (p *Parts) trace(ctx context.Context, in *struct {
	ID string `query:"id" required:"true" doc:"message ID, or the text of a Message-ID header"`
}) (*body[[]Story], error) {
	ids, err := p.resolve(ctx, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	out := make([]Story, 0, len(ids))
	for _, id := range ids {
		s := Story{ID: id.String()}
		if s.Events, err = p.Journal.Message(ctx, id); err != nil {
			return nil, failed(err)
		}
		s.Events = listed(s.Events)
		if m, err := p.Store.Get(ctx, id); err == nil {
			w := wire(m)
			s.Queued = &w
		}
		if len(s.Events) > 0 || s.Queued != nil {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, huma.Error404NotFound("no such message: " + in.ID)
	}
	return answer(out), nil
}

// resolve reads text as a message ID, or looks it up as a Message-ID header among the messages of the last 30 days.
func (p *Parts) resolve(ctx context.Context, text string) ([]mail.ID, error) {
	if id, err := mail.ParseID(text); err == nil {
		return []mail.ID{id}, nil
	}
	return p.Journal.Find(ctx, strings.Trim(text, "<> "), p.Now().Add(-30*24*time.Hour))
}
