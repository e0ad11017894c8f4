package connect

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// Proposal is what would be done, for the operator.
type Proposal struct {
	*mtaconf.Plan
	// Connected: the server is connected already; Changes are what would become different.
	Connected bool         `json:"connected"`
	Changes   []FileChange `json:"changes"`
	// Notes are what was seen outside of the configuration: ukai does not answer, nobody registers the server, lines of an
	// earlier connect that somebody has edited.
	Notes []mtaconf.Note `json:"notes,omitempty"`
	Left  []Line         `json:"left,omitempty"`

	target  *Target
	request Request
	old     *manifest
	files   []planned
	texts   map[string][]byte // by sum
	told    []mtaconf.Note    // by the Registrar
}

// Nothing tells whether there is nothing to do.
func (p *Proposal) Nothing() bool { return len(p.Changes) == 0 }

// The kinds of change of a file.
const (
	Create = "create"
	Change = "change"
	Remove = "remove"
)

// FileChange is what would become of a file.
type FileChange struct {
	Path string `json:"path"`
	Kind string `json:"kind"` // create, change or remove
	// Diff is the difference in the unified format; empty for a file that holds a password.
	Diff   string `json:"diff,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}

// planned is a file of a plan, or one of an earlier connect that the plan does without.
type planned struct {
	path           string
	was            *seen
	to             []byte // nil: it goes away
	toAttr         attr
	record         *record // nil: ukai does nothing to it
	moving, secret bool
}

func (f *planned) changes() bool {
	return (f.was == nil) != (f.to == nil) || f.was != nil && !bytes.Equal(f.was.text, f.to)
}

// Plan says what would be done. Nothing is written, but for what a crash has left unfinished.
func (e *Engine) Plan(ctx context.Context, t *Target, r Request) (*Proposal, error) {
	unlock, err := e.lock(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return e.plan(ctx, t, r, true)
}

// plan makes a proposal; dry: the running ukai keeps nothing of it.
func (e *Engine) plan(ctx context.Context, t *Target, r Request, dry bool) (*Proposal, error) {
	if t.planner == nil {
		return nil, i18n.Errorf("connect.gone", "mta", string(t.Instance.MTA), "dir", t.Instance.Dir)
	}
	s := &store{&e.disk, t.dir()}
	old, err := s.manifest()
	if err != nil {
		return nil, err
	}
	clean, err := e.pristine(s, old)
	if err != nil {
		return nil, err
	}
	if old != nil && r.Wish.Peer.Username == "" && r.Wish.Peer.Address() == old.Peer {
		r.Wish.Peer.Username, r.Wish.Peer.Password = old.Username, old.Password
	}
	if old != nil && r.Wish.Secret == "" {
		r.Wish.Secret = old.Secret
	}
	sys := &mtaconf.System{Root: e.o.Root, Instead: clean.instead()}
	plan, err := e.draft(t, sys, &r.Wish, old)
	if err != nil {
		return nil, err
	}
	p := &Proposal{Plan: plan, Connected: old != nil, target: t, old: old, texts: make(map[string][]byte)}
	c, err := e.register(ctx, p, r, dry)
	if err != nil {
		return nil, err
	}
	if c != (Credentials{r.Wish.Peer.Username, r.Wish.Peer.Password, r.Wish.Secret}) {
		r.Wish.Peer.Username, r.Wish.Peer.Password, r.Wish.Secret = c.Username, c.Password, c.Secret
		if p.Plan, err = t.planner.Plan(sys, t.Instance, r.Wish); err != nil {
			return nil, err
		}
	}
	p.request = r
	if err := e.compare(p, clean); err != nil {
		return nil, err
	}
	if err := e.look(ctx, p); err != nil {
		return nil, err
	}
	p.Notes = append(p.Notes, p.told...) // last: it may say what to do next
	return p, nil
}

// clean is a configuration with the changes of an earlier connect taken out.
type clean struct {
	files map[string]*cleaned
}

type cleaned struct {
	record *record
	was    *seen
	text   []byte // nil: not there
	left   []Line
	lost   []Line
}

func (c *clean) instead() map[string][]byte {
	all := make(map[string][]byte, len(c.files))
	for name, f := range c.files {
		all[path.Clean(name)] = f.text
	}
	return all
}

// lines returns what could not be taken out, in the order of the paths.
func (c *clean) lines() (left, lost []Line) {
	var names []string
	for n := range c.files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		left, lost = append(left, c.files[n].left...), append(lost, c.files[n].lost...)
	}
	return left, lost
}

// pristine takes the changes of an earlier connect out of the files as they are.
func (e *Engine) pristine(s *store, m *manifest) (*clean, error) {
	c := &clean{files: make(map[string]*cleaned)}
	if m == nil {
		return c, nil
	}
	for i := range m.Files {
		r := &m.Files[i]
		was, err := e.disk.look(r.Path)
		if err != nil {
			return nil, err
		}
		before, err := s.content(r.Before)
		if err != nil {
			return nil, err
		}
		after, err := s.content(r.After)
		if err != nil {
			return nil, err
		}
		f := &cleaned{record: r, was: was}
		f.take(before, after, slices.ContainsFunc(m.Plan.Routes, func(x mtaconf.RouteFile) bool { return x.Path == r.Path && x.Block }))
		c.files[r.Path] = f
	}
	return c, nil
}

// take reverses the change of one file.
func (f *cleaned) take(before, after []byte, block bool) {
	switch {
	case f.was == nil: // somebody has removed it
		return
	case f.record.Moving && before == nil:
		return
	case f.record.Moving && !block:
		f.text = before
		return
	case f.record.Whole:
		if f.text = before; !bytes.Equal(f.was.text, after) {
			f.text = f.was.text // a package has brought another
		}
		return
	}
	current := f.was.text
	if block {
		current = withBlockOf(after, current)
	}
	rev := reverse(after, before, current)
	f.text, f.left, f.lost = rev.text, rev.left, rev.lost
	for _, lines := range [][]Line{f.left, f.lost} {
		for i := range lines {
			lines[i].Path = f.record.Path
		}
	}
	if before == nil && len(bytes.TrimSpace(rev.text)) == 0 {
		f.text = nil
	}
}

// withBlockOf puts what is between ukai's marks in one text between those of the other: routes come and go while ukai runs.
func withBlockOf(from, into []byte) []byte {
	f0, f1, ok1 := block(split(from))
	lines := split(into)
	t0, t1, ok2 := block(lines)
	if !ok1 || !ok2 {
		return into
	}
	lines = slices.Replace(lines, t0, t1, split(from)[f0:f1]...)
	return []byte(strings.Join(lines, ""))
}

// block returns which lines lie between the marks.
func block(lines []string) (from, to int, ok bool) {
	b := bare(lines)
	from, to = slices.Index(b, mtaconf.BlockBegin)+1, slices.Index(b, mtaconf.BlockEnd)
	return from, to, from > 0 && to >= from
}

// add notes a file, and what of it is to be shown.
func (p *Proposal) add(f planned) {
	p.files = append(p.files, f)
	if !f.changes() {
		return
	}
	c := FileChange{Path: f.path, Kind: Change, Secret: f.secret}
	switch {
	case f.was == nil:
		c.Kind = Create
	case f.to == nil:
		c.Kind = Remove
	}
	switch {
	case f.secret:
	case binary(f.was.content()) || binary(f.to):
		c.Diff = "Binary files " + f.path + " and " + f.path + " differ\n" // as diff(1) says it
	default:
		c.Diff = p.masked(Unified(f.path, f.was.content(), f.to))
	}
	p.Changes = append(p.Changes, c)
}

// binary tells whether a file is none of lines.
func binary(text []byte) bool { return bytes.IndexByte(text, 0) >= 0 }

// masked takes the password out of what is shown.
func (p *Proposal) masked(s string) string {
	words := []string{p.request.Wish.Peer.Password, p.request.Wish.Secret}
	if p.old != nil {
		words = append(words, p.old.Password)
	}
	for _, w := range words {
		if len(w) >= 4 { // a shorter one would blacken half of the file
			s = strings.ReplaceAll(s, w, "********")
		}
	}
	return s
}
