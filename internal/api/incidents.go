package api

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/incident"
)

// IncidentOrder is what a person has to say when they take on or close an incident.
type IncidentOrder struct {
	By   string `json:"by,omitempty" maxLength:"100"`
	Note string `json:"note,omitempty" maxLength:"1000"`
}

type incidentPath struct {
	ID int64 `path:"id" minimum:"1"`
}

type incidentList struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"100"`
}

type incidentOrder struct {
	ID   int64 `path:"id" minimum:"1"`
	Body IncidentOrder
}

func (p *Parts) registerIncidents(a huma.API) {
	register(a, "GET /v1/incidents", "incident-list", "incidents, newest first", p.listIncidents)
	register(a, "GET /v1/incidents/{id}", "incident-show", "one incident", p.showIncident)
	register(a, "POST /v1/incidents/{id}/ack", "incident-ack", "say that somebody works on it", p.ackIncident)
	register(a, "POST /v1/incidents/{id}/close", "incident-close", "close an incident by hand", p.closeIncident)
}

func (p *Parts) listIncidents(ctx context.Context, in *incidentList) (*body[[]incident.Incident], error) {
	list, err := p.Incidents.Past(ctx, in.Limit)
	if err != nil {
		return nil, failed(err)
	}
	return answer(listed(list)), nil
}

func (p *Parts) showIncident(ctx context.Context, in *incidentPath) (*body[incident.Incident], error) {
	i, err := p.Incidents.Find(ctx, in.ID)
	if errors.Is(err, incident.ErrNone) {
		return nil, noIncident(in.ID)
	}
	if err != nil {
		return nil, failed(err)
	}
	return answer(i), nil
}

func noIncident(id int64) error {
	return huma.Error404NotFound("there is no incident " + strconv.FormatInt(id, 10))
}

func (p *Parts) ackIncident(ctx context.Context, in *incidentOrder) (*body[incident.Incident], error) {
	return p.orderIncident(ctx, in, p.Incidents.Ack)
}

func (p *Parts) closeIncident(ctx context.Context, in *incidentOrder) (*body[incident.Incident], error) {
	return p.orderIncident(ctx, in, p.Incidents.Close)
}

// orderIncident carries an order out. One that is over takes none: that is a conflict, not a missing one.
func (p *Parts) orderIncident(ctx context.Context, in *incidentOrder, order func(int64, string, string, time.Time) bool) (*body[incident.Incident], error) {
	done := order(in.ID, in.Body.By, in.Body.Note, p.Now())
	out, err := p.showIncident(ctx, &incidentPath{in.ID})
	if err == nil && !done {
		return nil, huma.Error409Conflict("incident " + strconv.FormatInt(in.ID, 10) + " is over")
	}
	return out, err
}
