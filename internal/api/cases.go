package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/cases"
)

// CaseInfo is a case with what is known about its door.
type CaseInfo struct {
	Case  cases.Case  `json:"case"`
	Facts cases.Facts `json:"facts"`
	// Text is the letter. Who shows it writes it, in the language of the reader's choice: see cases.Case.Text.
	Text string `json:"text,omitempty"`
}

// CaseOrder is what a person has to say about a case.
type CaseOrder struct {
	By    string `json:"by,omitempty" maxLength:"100"`
	Note  string `json:"note,omitempty" maxLength:"2000"`
	Fixed string `json:"fixed,omitempty" maxLength:"2000"`
}

type casePath struct {
	ID int64 `path:"id" minimum:"1"`
}

type caseList struct {
	Limit    int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	Incident int64 `query:"incident" minimum:"0" doc:"only those of this incident"`
}

type caseOrder struct {
	ID   int64 `path:"id" minimum:"1"`
	Body CaseOrder
}

func (p *Parts) registerCases(a huma.API) {
	register(a, "GET /v1/cases", "case-list", "delisting cases, newest first", p.listCases)
	register(a, "GET /v1/cases/{id}", "case-show", "one case, with what is known about where to ask", p.showCase)
	register(a, "POST /v1/cases/{id}/done", "case-done", "say that it has been asked for", p.orderCase((*cases.Book).Done))
	register(a, "POST /v1/cases/{id}/fix", "case-fix", "say what has been mended", p.orderCase((*cases.Book).Fixed))
	register(a, "POST /v1/cases/{id}/reopen", "case-reopen", "take a request back, or open a case that is over", p.orderCase((*cases.Book).Reopen))
}

func (p *Parts) listCases(ctx context.Context, in *caseList) (*body[[]CaseInfo], error) {
	all, err := p.Cases.Past(ctx, in.Limit)
	if err != nil {
		return nil, failed(err)
	}
	list := make([]CaseInfo, 0, len(all))
	for _, c := range all {
		if in.Incident == 0 || c.About.Incident == in.Incident {
			list = append(list, CaseInfo{Case: c, Facts: p.Cases.Facts(&c)})
		}
	}
	return answer(list), nil
}

func (p *Parts) showCase(ctx context.Context, in *casePath) (*body[CaseInfo], error) {
	c, err := p.Cases.Find(ctx, in.ID)
	if errors.Is(err, cases.ErrNone) {
		return nil, huma.Error404NotFound("there is no case " + strconv.FormatInt(in.ID, 10))
	}
	if err != nil {
		return nil, failed(err)
	}
	return answer(CaseInfo{Case: c, Facts: p.Cases.Facts(&c)}), nil
}

// orderCase makes the operation for an order. A case that cannot take it is a conflict, not a missing one.
func (p *Parts) orderCase(order func(*cases.Book, int64, cases.Order) bool) func(context.Context, *caseOrder) (*body[CaseInfo], error) {
	return func(ctx context.Context, in *caseOrder) (*body[CaseInfo], error) {
		done := order(p.Cases, in.ID, cases.Order{By: in.Body.By, Note: in.Body.Note, Fixed: in.Body.Fixed, At: p.Now()})
		out, err := p.showCase(ctx, &casePath{in.ID})
		switch {
		case err != nil:
			return nil, err
		case !done:
			return nil, huma.Error409Conflict("case " + strconv.FormatInt(in.ID, 10) + " is " + string(out.Body.Case.State) + " and takes no such order")
		}
		if err := p.Cases.Save(ctx); err != nil { // a person was told that it is noted
			return nil, failed(err)
		}
		return out, nil
	}
}

// Cases lists the newest cases; of one incident where its number is not 0.
func (c *Client) Cases(ctx context.Context, incident int64) (list []CaseInfo, err error) {
	q := url.Values{"limit": {"10000"}}
	if incident != 0 {
		q.Set("incident", strconv.FormatInt(incident, 10))
	}
	err = c.call(ctx, http.MethodGet, "/v1/cases?"+q.Encode(), nil, &list)
	return list, err
}

// Case returns one case.
func (c *Client) Case(ctx context.Context, id int64) (i CaseInfo, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/cases/"+strconv.FormatInt(id, 10), nil, &i)
	return i, err
}

// OrderCase gives an order: done, fix or reopen.
func (c *Client) OrderCase(ctx context.Context, id int64, what string, o CaseOrder) (i CaseInfo, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/cases/"+strconv.FormatInt(id, 10)+"/"+what, o, &i)
	return i, err
}
