package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// Report says what was done.
type Report struct {
	*Proposal
	// Done: something was changed; else there was nothing to do.
	Done bool `json:"done"`
	// Running: the server greeted, and took the changes up.
	Running bool `json:"running"`
	// Seen are the deliveries of the watch.
	Seen Deliveries `json:"seen"`
	// Lost are lines that stood there before ukai and were not put back, because somebody has edited what stood in their place.
	Lost []Line `json:"lost,omitempty"`
}

// Apply connects a server, or brings a connected one to what is wished. An *UndoneError says that it was begun and taken back;
// any other error that nothing was changed.
func (e *Engine) Apply(ctx context.Context, t *Target, r Request) (*Report, error) {
	unlock, err := e.lock(ctx, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := e.plan(ctx, t, r, true)
	if err != nil {
		return nil, err
	}
	if err := e.preflight(ctx, p); err != nil {
		return nil, err
	}
	if p, err = e.plan(ctx, t, r, false); err != nil {
		return nil, err
	}
	report, err := e.apply(ctx, p)
	if err != nil && p.old == nil {
		err = errors.Join(err, e.unregister(ctx, r))
	}
	return report, err
}

// unregister takes back what register said.
func (e *Engine) unregister(ctx context.Context, r Request) error {
	if e.o.Registrar == nil || r.Alone {
		return nil
	}
	return e.o.Registrar.Unregister(context.WithoutCancel(ctx), r.Wish.Server)
}

func (e *Engine) apply(ctx context.Context, p *Proposal) (*Report, error) {
	report := &Report{Proposal: p}
	s := &store{&e.disk, p.target.dir()}
	next := p.manifest()
	next.Registered = e.o.Registrar != nil && !p.request.Alone
	if p.Nothing() && !e.unmade(p) {
		report.Running = true
		if p.old == nil {
			return report, nil
		}
		next.At, next.MadeBefore, next.Dirs = p.old.At, p.old.MadeBefore, p.old.Dirs
		if err := e.rewrite(s, p, next); err != nil {
			return nil, err
		}
		return report, nil
	}
	t := &transaction{e: e, s: s, files: p.files, plan: upkeepOf(p.Plan), exact: true, j: &journal{Version: version, Next: next}}
	t.j.Then = t.plan
	t.j.Then.Made = nil
	if p.old != nil {
		t.j.Then, t.former = p.old.Plan, maps.Clone(p.old.MadeBefore)
		next.MadeBefore, next.Dirs = p.old.MadeBefore, slices.Clone(p.old.Dirs)
	}
	if next.MadeBefore == nil {
		next.MadeBefore = make(map[string]blob)
	}
	if err := e.before(ctx, t); err != nil {
		return nil, err
	}
	if t.broken {
		return nil, i18n.Errorf("connect.check.before", "cause", e.runAll(ctx, t.needed(t.plan.Check), "connect.check.failed"))
	}
	if !t.j.Running {
		p.Notes = append(p.Notes, mtaconf.N("connect.note.mta_down", "address", p.Alive))
	}
	if err := t.begin(p.texts); err != nil {
		return nil, i18n.Errorf("connect.begin", "cause", err)
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	if err := t.finish(ctx); err != nil {
		return nil, err
	}
	report.Done, report.Running, report.Seen = true, t.j.Running, t.seen
	return report, nil
}

// before finds out how things stand: whether the server runs, and whether its own check is content.
func (e *Engine) before(ctx context.Context, t *transaction) error {
	t.j.Running = true
	if t.plan.Alive != "" {
		t.j.Running = e.greets(ctx, t.plan.Alive, relayGreets) == nil
	}
	err := e.runAll(ctx, t.needed(t.plan.Check), "connect.check.failed")
	t.broken = err != nil
	return ctx.Err()
}

// unmade tells whether something is not there that the server's commands are to make.
func (e *Engine) unmade(p *Proposal) bool {
	return slices.ContainsFunc(p.Made, func(name string) bool { return !e.sys.Exists(name) })
}

// manifest says how the server is connected once the plan is carried out.
func (p *Proposal) manifest() *manifest {
	w := &p.request.Wish
	m := &manifest{
		Version: version, Instance: p.target.Instance, Mode: p.Mode, Server: w.Server, Peer: w.Peer.Address(), Live: w.Live,
		Username: w.Peer.Username, Password: w.Peer.Password, Secret: w.Secret, TLS: w.Peer.TLS,
		At: time.Now().UTC().Truncate(time.Second), Plan: upkeepOf(p.Plan),
	}
	for i := range p.files {
		if r := p.files[i].record; r != nil {
			m.Files = append(m.Files, *r)
		}
	}
	return m
}

// rewrite keeps what is different where no file of the server is: the name, the mode, lines that people have added.
func (e *Engine) rewrite(s *store, p *Proposal, next *manifest) error {
	was, err1 := json.Marshal(p.old)
	is, err2 := json.Marshal(next)
	if err1 == nil && err2 == nil && bytes.Equal(was, is) {
		return nil
	}
	for _, text := range p.texts {
		if _, err := s.keep(text, attr{}); err != nil {
			return err
		}
	}
	if err := s.write(manifestFile, next); err != nil {
		return err
	}
	return s.sweep(next)
}
