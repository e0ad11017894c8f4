package connect

import (
	"context"
	"slices"

	"ukai/internal/mtaconf"
)

// Removal says what was taken back.
type Removal struct {
	Instance mtaconf.Instance `json:"instance"`
	// Done: something was taken back; else the server was not connected.
	Done    bool         `json:"done"`
	Running bool         `json:"running"`
	Changes []FileChange `json:"changes"`
	// Exact: every file is what it was before ukai, to the byte.
	Exact bool `json:"exact"`
	// Left are lines of ukai's that somebody has edited: they stay. Lost are lines that stood there before ukai and were not
	// put back, because of such an edit.
	Left  []Line         `json:"left,omitempty"`
	Lost  []Line         `json:"lost,omitempty"`
	Notes []mtaconf.Note `json:"notes,omitempty"`
}

// Remove takes everything back that Apply did. What people have edited since stays. An *UndoneError says that the server did
// not do without, and is connected as before.
func (e *Engine) Remove(ctx context.Context, t *Target) (*Removal, error) {
	unlock, err := e.lock(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s := &store{&e.disk, t.dir()}
	m, err := s.manifest()
	r := &Removal{Instance: t.Instance}
	if m == nil {
		return r, err
	}
	c, err := e.pristine(s, m)
	if err != nil {
		return nil, err
	}
	p := &Proposal{old: m, texts: make(map[string][]byte)}
	r.Exact = true
	for i := range m.Files {
		rec := &m.Files[i]
		f := c.files[rec.Path]
		p.add(planned{path: rec.Path, was: f.was, to: f.text, toAttr: f.restored(), secret: rec.Secret})
		r.Exact = r.Exact && isBlob(rec.Before, f.text)
	}
	r.Changes = p.Changes
	r.Left, r.Lost = c.lines()
	if err := e.takeOut(ctx, s, m, p.files, r); err != nil {
		return nil, err
	}
	r.Done = true
	if m.Registered && e.o.Registrar != nil {
		if err := e.o.Registrar.Unregister(ctx, m.Server); err != nil {
			r.Notes = append(r.Notes, mtaconf.N("connect.note.unregister", "server", m.Server, "cause", err.Error()))
		}
	}
	return r, nil
}

func isBlob(b *blob, text []byte) bool {
	return b == nil && text == nil || b != nil && text != nil && b.Sum == sum(text)
}

// takeOut carries the removal out.
func (e *Engine) takeOut(ctx context.Context, s *store, m *manifest, files []planned, r *Removal) error {
	if err := e.canWrite(files); err != nil {
		return err
	}
	t := &transaction{
		e: e, s: s, files: files, plan: m.Plan, former: m.MadeBefore, exact: r.Exact,
		j: &journal{Version: version, Then: m.Plan, Dirs: slices.Clone(m.Dirs)},
	}
	if err := e.before(ctx, t); err != nil {
		return err
	}
	if t.broken {
		r.Notes = append(r.Notes, mtaconf.N("connect.note.check_before"))
	}
	if !t.j.Running {
		r.Notes = append(r.Notes, mtaconf.N("connect.note.mta_down", "address", m.Plan.Alive))
	}
	if err := t.begin(nil); err != nil {
		return err
	}
	if err := t.run(ctx); err != nil {
		return err
	}
	r.Running = t.j.Running
	return t.finish(ctx)
}
