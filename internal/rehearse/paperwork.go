package rehearse

import (
	"cmp"
	"context"
	"slices"
	"time"

	"ukai/internal/api"
	"ukai/internal/cases"
)

// Case is a delisting case that ukai opened: an entry of a list, or a provider that refuses.
type Case struct {
	ID    int64  `json:"id"`
	Kind  string `json:"kind"`
	Name  string `json:"name"` // of the list, or of the provider
	Place string `json:"place"`
	State string `json:"state"`
	// Opened is how long after the beginning it was opened, or opened again, Closed when it was over; 0: it is not.
	Opened   float64 `json:"opened_ms"`
	Closed   float64 `json:"closed_ms"`
	Reopened int     `json:"reopened"`
	// Outlives is how long a provider's case stood on after the last listing was over; 0: it did not, or there was no listing.
	Outlives float64 `json:"outlives_ms"`
}

// casesSince puts cases down, with times since the beginning, the oldest first. A case that stands outlives up to now.
func casesSince(all []api.CaseInfo, began, now time.Time) []Case {
	list := []Case{}
	var delisted time.Time // zero: there was no listing, or one stands
	stands := false
	for i := range all {
		if c := &all[i].Case; c.Key.Kind == cases.Listing {
			stands = stands || c.Standing()
			if c.Ended.After(delisted) {
				delisted = c.Ended
			}
		}
	}
	for i := range all {
		c := &all[i].Case
		x := Case{
			ID: c.ID, Kind: string(c.Key.Kind), Name: c.Key.Name, Place: c.Key.Place, State: string(c.State), Reopened: c.Reopened,
			Opened: ms(c.Opened.Sub(began)),
		}
		end := now
		if !c.Standing() {
			end = c.Ended
			x.Closed = ms(end.Sub(began))
		}
		if c.Key.Kind == cases.Block && !stands && !delisted.IsZero() && c.Opened.Before(delisted) {
			x.Outlives = ms(max(0, end.Sub(delisted)))
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b Case) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// done tells whether no case stands.
func (p *play) done(ctx context.Context) bool {
	all, err := p.main.client.Cases(ctx, 0)
	return err == nil && !slices.ContainsFunc(all, func(i api.CaseInfo) bool { return i.Case.Standing() })
}

// settle waits for the end of what a scenario expects to end by itself: the incidents, their cases, and the word that they are over.
func (p *play) settle(ctx context.Context) {
	if p.s.expects("incidents_open") {
		p.until(ctx, p.watch.calm)
	}
	if p.s.expects("cases_open") {
		p.until(ctx, func() bool { return p.done(ctx) })
	}
	if p.s.expects("notices") {
		p.until(ctx, func() bool { return p.phone.ended() >= p.watch.closed() })
	}
}

// people writes into the report what they were told, and what ukai would have had them do.
func (p *play) people(ctx context.Context, r *Report) error {
	r.Incidents = p.watch.incidentsSince(p.began)
	r.Notices = p.phone.notices(p.s, p.began, p.watch.third())
	all, err := p.main.client.Cases(ctx, 0)
	r.Cases = casesSince(all, p.began, time.Now())
	return err
}
