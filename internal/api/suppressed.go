package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/mail"
	"ukai/internal/suppress"
)

// Suppressed is a recipient that is spared, or watched because its server has called it unknown once.
type Suppressed struct {
	suppress.Entry
	// State: "suppressed" (mail to it is refused), "trial" (its time is over, one message may try), "watched" (not confirmed).
	State string `json:"state"`
}

// SuppressedQuery selects recipients; empty fields do not.
type SuppressedQuery struct {
	Domain string `query:"domain" doc:"recipient domain"`
	All    bool   `query:"all" doc:"also those that are only watched"`
	After  string `query:"after" doc:"address to go on behind"`
	Limit  int    `query:"limit" minimum:"0" maximum:"10000"`
}

// SuppressRequest suppresses a recipient by hand.
type SuppressRequest struct {
	Until time.Time `json:"until,omitzero" required:"false" doc:"zero: until it is removed"`
	Why   string    `json:"why,omitempty" maxLength:"500"`
	By    string    `json:"by,omitempty" maxLength:"100"`
}

type addressPath struct {
	Address string `path:"address" doc:"recipient address"`
}

type suppressOrder struct {
	Address string `path:"address" doc:"recipient address"`
	Body    SuppressRequest
}

func (p *Parts) registerSuppressed(a huma.API) {
	register(a, "GET /v1/suppressed", "suppressed-list", "recipients that are spared", p.listSuppressed)
	register(a, "GET /v1/suppressed/{address}", "suppressed-show", "what is known of one recipient", p.showSuppressed)
	register(a, "POST /v1/suppressed/{address}", "suppressed-add", "spare a recipient by hand", p.addSuppressed)
	register(a, "POST /v1/suppressed/{address}/remove", "suppressed-remove", "forget a recipient, so that mail to it is taken", p.removeSuppressed)
}

func (p *Parts) suppressed(e *suppress.Entry) Suppressed {
	s := Suppressed{Entry: *e, State: "watched"}
	switch {
	case e.Suppressed(p.Now()):
		s.State = "suppressed"
	case !e.Until.IsZero():
		s.State = "trial"
	}
	return s
}

func (p *Parts) listSuppressed(ctx context.Context, q *SuppressedQuery) (*body[[]Suppressed], error) {
	list, err := p.Suppress.List(ctx, suppress.Query{Domain: q.Domain, All: q.All, After: q.After, Limit: q.Limit})
	if err != nil {
		return nil, failed(err)
	}
	out := make([]Suppressed, 0, len(list))
	for i := range list {
		out = append(out, p.suppressed(&list[i]))
	}
	return answer(out), nil
}

func (p *Parts) showSuppressed(ctx context.Context, in *addressPath) (*body[Suppressed], error) {
	e, err := p.Suppress.Get(ctx, in.Address)
	if err != nil {
		return nil, failed(err)
	}
	if e == nil {
		return nil, huma.Error404NotFound("nothing is known of " + in.Address)
	}
	return answer(p.suppressed(e)), nil
}

func (p *Parts) addSuppressed(ctx context.Context, in *suppressOrder) (*body[Suppressed], error) {
	if mail.Domain(in.Address) == "" || mail.Local(in.Address) == "" {
		return nil, huma.Error422UnprocessableEntity(in.Address + " is not an address")
	}
	e := suppress.Entry{Addr: in.Address, Since: p.Now(), Until: in.Body.Until, By: in.Body.By, Why: in.Body.Why}
	if e.Until.IsZero() {
		e.Until = suppress.Forever
	}
	if err := p.Suppress.Add(ctx, e); err != nil {
		return nil, failed(err)
	}
	if err := p.Suppress.Sync(ctx); err != nil { // an order is answered when it is kept
		return nil, failed(err)
	}
	p.Log.Info("recipient suppressed by hand", "recipient", in.Address, "by", in.Body.By, "why", in.Body.Why)
	return p.showSuppressed(ctx, &addressPath{in.Address})
}

func (p *Parts) removeSuppressed(ctx context.Context, in *addressPath) (*body[Suppressed], error) {
	was, err := p.showSuppressed(ctx, in)
	if err != nil {
		return nil, err
	}
	if _, err := p.Suppress.Remove(ctx, in.Address); err != nil {
		return nil, failed(err)
	}
	if err := p.Suppress.Sync(ctx); err != nil {
		return nil, failed(err)
	}
	p.Log.Info("recipient no longer suppressed", "recipient", in.Address)
	return was, nil
}

// Suppressed lists recipients that are spared.
func (c *Client) Suppressed(ctx context.Context, q *SuppressedQuery) (list []Suppressed, err error) {
	v := url.Values{"domain": {q.Domain}, "after": {q.After}, "all": {strconv.FormatBool(q.All)}, "limit": {strconv.Itoa(q.Limit)}}
	err = c.call(ctx, http.MethodGet, "/v1/suppressed?"+v.Encode(), nil, &list)
	return list, err
}

// SuppressedOne returns what is known of one recipient, SuppressedRemove forgets it and returns what was known.
func (c *Client) SuppressedOne(ctx context.Context, address string) (s Suppressed, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/suppressed/"+url.PathEscape(address), nil, &s)
	return s, err
}

// SuppressedRemove is described at SuppressedOne.
func (c *Client) SuppressedRemove(ctx context.Context, address string) (s Suppressed, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/suppressed/"+url.PathEscape(address)+"/remove", nil, &s)
	return s, err
}

// SuppressedAdd spares a recipient until a time (zero: until it is removed).
func (c *Client) SuppressedAdd(ctx context.Context, address string, in SuppressRequest) (s Suppressed, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/suppressed/"+url.PathEscape(address), in, &s)
	return s, err
}
