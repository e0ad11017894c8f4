package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/classify"
	"ukai/internal/unclassified"
)

// UnclassifiedReply is a reply that no rule knows, with the rules that nearly fit.
type UnclassifiedReply struct {
	unclassified.Entry
	Near []classify.Near `json:"near"`
}

// UnclassifiedList are the replies that no rule knows, the most frequent first.
type UnclassifiedList struct {
	Entries []unclassified.Entry `json:"entries"`
	Dropped int64                `json:"dropped"` // since the start: too many different ones came at once
}

// Forgotten says how many entries were forgotten.
type Forgotten struct {
	Count int64 `json:"count"`
}

// nearest is how many rules are shown beside a reply.
const nearest = 3

type unclassifiedPath struct {
	ID int64 `path:"id" minimum:"1"`
}

type unclassifiedQuery struct {
	Provider string `query:"provider"`
	Limit    int    `query:"limit" minimum:"0" maximum:"5000"`
}

func (p *Parts) registerUnclassified(a huma.API) {
	register(a, "GET /v1/unclassified", "unclassified-list", "replies that no rule knows", p.listUnclassified)
	register(a, "GET /v1/unclassified/{id}", "unclassified-show", "one of them, with the rules that nearly fit", p.showUnclassified)
	register(a, "DELETE /v1/unclassified/{id}", "unclassified-forget", "forget one", p.forgetUnclassified)
	register(a, "DELETE /v1/unclassified", "unclassified-forget-all", "forget all", p.forgetAllUnclassified)
}

func (p *Parts) listUnclassified(ctx context.Context, in *unclassifiedQuery) (*body[UnclassifiedList], error) {
	list, err := p.Unclassified.List(ctx, in.Provider, in.Limit)
	if err != nil {
		return nil, failed(err)
	}
	return answer(UnclassifiedList{Entries: listed(list), Dropped: p.Unclassified.Dropped()}), nil
}

func (p *Parts) showUnclassified(ctx context.Context, in *unclassifiedPath) (*body[UnclassifiedReply], error) {
	e, ok, err := p.Unclassified.Get(ctx, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	if !ok {
		return nil, huma.Error404NotFound("there is no unclassified reply " + strconv.FormatInt(in.ID, 10))
	}
	return answer(UnclassifiedReply{Entry: e, Near: listed(p.Rules.Rules().Nearest(unclassified.Sample(e.Text), nearest))}), nil
}

func (p *Parts) forgetUnclassified(ctx context.Context, in *unclassifiedPath) (*body[Forgotten], error) {
	n, err := p.Unclassified.Forget(ctx, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	if n == 0 {
		return nil, huma.Error404NotFound("there is no unclassified reply " + strconv.FormatInt(in.ID, 10))
	}
	return answer(Forgotten{n}), nil
}

func (p *Parts) forgetAllUnclassified(ctx context.Context, _ *none) (*body[Forgotten], error) {
	n, err := p.Unclassified.Forget(ctx, 0)
	if err != nil {
		return nil, failed(err)
	}
	return answer(Forgotten{n}), nil
}

// Unclassified lists the replies that no rule knows; an empty provider means everybody's.
func (c *Client) Unclassified(ctx context.Context, provider string, limit int) (l UnclassifiedList, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if provider != "" {
		q.Set("provider", provider)
	}
	err = c.call(ctx, http.MethodGet, "/v1/unclassified?"+q.Encode(), nil, &l)
	return l, err
}

// UnclassifiedReply returns one of them.
func (c *Client) UnclassifiedReply(ctx context.Context, id int64) (r UnclassifiedReply, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/unclassified/"+strconv.FormatInt(id, 10), nil, &r)
	return r, err
}

// ForgetUnclassified forgets one of them, or all for id 0.
func (c *Client) ForgetUnclassified(ctx context.Context, id int64) (f Forgotten, err error) {
	path := "/v1/unclassified"
	if id != 0 {
		path += "/" + strconv.FormatInt(id, 10)
	}
	err = c.call(ctx, http.MethodDelete, path, nil, &f)
	return f, err
}
