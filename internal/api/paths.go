package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ukai/internal/health"
	"ukai/internal/journal"
)

// PathInfo is all that is known of a path.
type PathInfo = health.Info

// PathStory is a path with the changes that led to where it stands, newest first.
type PathStory struct {
	Path    PathInfo        `json:"path"`
	Changes []journal.Event `json:"changes"`
}

// BlockRequest shuts a path by hand.
type BlockRequest struct {
	Until time.Time `json:"until,omitzero" required:"false" doc:"zero: until it is cleared"`
	Why   string    `json:"why,omitempty" maxLength:"500"`
	By    string    `json:"by,omitempty" maxLength:"100"`
}

type pathPath struct {
	Egress   string `path:"egress"`
	Provider string `path:"provider"`
}

// blockOrder names its path itself: huma does not look into embedded fields that are not exported.
type blockOrder struct {
	Egress   string `path:"egress"`
	Provider string `path:"provider"`
	Body     BlockRequest
}

func (p *pathPath) key() health.Key { return health.Key{Egress: p.Egress, Provider: p.Provider} }

func (p *Parts) registerPaths(a huma.API) {
	register(a, "GET /v1/paths", "path-list", "all paths that have been used", p.listPaths)
	register(a, "GET /v1/paths/{egress}/{provider}", "path-show", "one path with its changes", p.showPath)
	register(a, "POST /v1/paths/{egress}/{provider}/block", "path-block", "shut a path by hand", p.blockPath)
	register(a, "POST /v1/paths/{egress}/{provider}/clear", "path-clear", "open a path and forget the evidence", p.clearPath)
}

func (p *Parts) listPaths(context.Context, *none) (*body[[]PathInfo], error) {
	return answer(listed(p.Health.List(p.Now()))), nil
}

func (p *Parts) showPath(ctx context.Context, in *pathPath) (*body[PathStory], error) {
	if name, err := p.pathName(in.Egress); err == nil {
		in.Egress = name
	}
	info, ok := p.Health.Get(in.key(), p.Now())
	changes, err := p.Journal.Paths(ctx, in.Egress, in.Provider, 200)
	if err != nil {
		return nil, failed(err)
	}
	if !ok && len(changes) == 0 {
		return nil, huma.Error404NotFound("no mail has gone over " + in.Egress + " to " + in.Provider + " yet")
	}
	return answer(PathStory{Path: info, Changes: listed(changes)}), nil
}

func (p *Parts) blockPath(_ context.Context, in *blockOrder) (*body[PathInfo], error) {
	now := p.Now()
	name, err := p.pathName(in.Egress)
	if err != nil {
		return nil, err
	}
	key := health.Key{Egress: name, Provider: in.Provider}
	p.Health.Block(key, health.Pin{At: now, Until: in.Body.Until, Why: in.Body.Why, By: in.Body.By})
	info, _ := p.Health.Get(key, now)
	return answer(info), nil
}

func (p *Parts) clearPath(_ context.Context, in *pathPath) (*body[PathInfo], error) {
	now := p.Now()
	key := in.key()
	if _, ok := p.Health.Get(key, now); !ok { // a path of an egress that is gone may be cleared
		name, err := p.pathName(in.Egress)
		if err != nil {
			return nil, err
		}
		key.Egress = name
	}
	p.Health.Clear(key, now)
	info, _ := p.Health.Get(key, now)
	return answer(info), nil
}
