package connect

import (
	"context"
	"path"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// transaction is a change of files under way.
type transaction struct {
	e     *Engine
	s     *store
	j     *journal
	files []planned
	plan  upkeep // how the server takes up the files as they shall be
	seen  Deliveries
	// former are files that the server's commands make and that were there before ukai; exact: their sources are what they
	// were then.
	former map[string]blob
	exact  bool
	// prepared: the server's commands may have made something.
	prepared bool
	// broken: the server's own check failed before anything was changed.
	broken bool
}

// begin keeps copies and writes all new files out. Until it returns without error, nothing has changed.
func (t *transaction) begin(texts map[string][]byte) error {
	err := t.prepareAll(texts)
	if err != nil {
		t.abandon()
	}
	return err
}

func (t *transaction) prepareAll(texts map[string][]byte) error {
	t.j.Dirs = append(t.j.Dirs, t.e.made...)
	for _, dir := range []string{t.s.dir, t.s.file(copiesDir)} {
		if _, err := t.e.disk.mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	for _, text := range texts {
		if _, err := t.s.keep(text, attr{}); err != nil {
			return err
		}
	}
	for i := range t.files {
		if err := t.enter(&t.files[i]); err != nil {
			return err
		}
	}
	if err := t.enterMade(); err != nil {
		return err
	}
	t.enterDirs()
	if err := t.phase(staged); err != nil {
		return err
	}
	return t.stageAll()
}

// enter notes a file in the journal, with copies of what it is and what it shall be.
func (t *transaction) enter(f *planned) error {
	if !f.changes() {
		return nil
	}
	c := change{Path: f.path}
	var err error
	if f.was != nil {
		if c.Was, err = t.s.keep(f.was.text, f.was.attr); err != nil {
			return err
		}
	}
	if f.to != nil {
		if c.To, err = t.s.keep(f.to, f.toAttr); err != nil {
			return err
		}
	}
	t.j.Changes = append(t.j.Changes, c)
	return nil
}

// enterMade notes the files that the server's own commands make, as they are.
func (t *transaction) enterMade() error {
	t.j.Made = make(map[string]*blob)
	for _, name := range slices.Concat(t.plan.Made, t.j.Then.Made) {
		was, err := t.e.disk.look(name)
		if err != nil {
			return err
		}
		var b *blob
		if was != nil {
			if b, err = t.s.keep(was.text, was.attr); err != nil {
				return err
			}
		}
		t.j.Made[name] = b
	}
	if n := t.j.Next; n != nil {
		for _, name := range t.plan.Made {
			if b := t.j.Made[name]; b != nil && !slices.Contains(t.j.Then.Made, name) {
				n.MadeBefore[name] = *b
			}
		}
	}
	return nil
}

// enterDirs notes the directories that have to be made, before they are.
func (t *transaction) enterDirs() {
	for i := range t.j.Changes {
		if t.j.Changes[i].To == nil {
			continue
		}
		for _, dir := range t.e.disk.missing(path.Dir(t.j.Changes[i].Path)) {
			if !slices.Contains(t.j.Dirs, dir) {
				t.j.Dirs = append(t.j.Dirs, dir)
			}
		}
	}
	if n := t.j.Next; n != nil {
		n.Dirs = append(n.Dirs, t.j.Dirs...)
	}
}

// stageAll writes the new files out beside their places, and gives the old ones a second name.
func (t *transaction) stageAll() error {
	for i := range t.j.Changes {
		c := &t.j.Changes[i]
		if c.Was != nil {
			if err := t.e.disk.hold(c.Path); err != nil {
				return err
			}
		}
		if c.To == nil {
			continue
		}
		if _, err := t.e.disk.mkdir(path.Dir(c.Path), 0o755); err != nil {
			return err
		}
		text, err := t.s.content(c.To)
		if err != nil {
			return err
		}
		if err := t.e.disk.stage(c.Path, text, &c.To.Attr); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) phase(p phase) error {
	t.j.Phase = p
	return t.s.write(journalFile, t.j)
}

// abandon takes away what was prepared.
func (t *transaction) abandon() {
	for i := range t.j.Changes {
		t.e.disk.clear(t.j.Changes[i].Path, endNew, endOld)
	}
	if m, err := t.s.manifest(); err == nil && m != nil {
		if t.s.d.remove(t.s.file(journalFile)) == nil {
			_ = t.s.sweep(m) // what stays is swept another time
		}
	} else {
		_ = t.s.raze()
	}
	t.e.disk.rmdir(t.j.Dirs)
}

// run carries the change out, up to the watch. After an error everything is put back.
func (t *transaction) run(ctx context.Context) error {
	err := t.forward(ctx)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = i18n.Errorf("connect.interrupted")
	}
	t.e.o.Tell(Step{Note: mtaconf.N("connect.step.undo")})
	return &UndoneError{Cause: err, Trouble: t.undo(context.WithoutCancel(ctx))}
}

func (t *transaction) forward(ctx context.Context) error {
	e := t.e
	if err := t.phase(writing); err != nil {
		return err
	}
	e.o.Tell(Step{Note: mtaconf.N("connect.step.write", "count", len(t.j.Changes))})
	for i := range t.j.Changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.put(&t.j.Changes[i]); err != nil {
			return i18n.Errorf("connect.write", "file", t.j.Changes[i].Path, "cause", err)
		}
	}
	e.o.Tell(Step{Note: mtaconf.N("connect.step.check")})
	if err := t.prepare(ctx); err != nil {
		return err
	}
	if err := e.runAll(ctx, t.needed(t.plan.Check), "connect.check.failed"); err != nil && !t.broken {
		return err
	}
	if !t.j.Running {
		return nil
	}
	from := e.logEnds(t.plan.Logs)
	e.o.Tell(Step{Note: mtaconf.N("connect.step.reload")})
	if err := e.runAll(ctx, t.plan.Reload, "connect.reload.failed"); err != nil {
		return err
	}
	if t.plan.Alive != "" {
		if err := e.alive(ctx, t.plan.Alive); err != nil {
			return i18n.Errorf("connect.alive.failed", "address", t.plan.Alive, "cause", err)
		}
	}
	if t.j.Next == nil {
		return nil
	}
	if err := e.doorOpens(ctx, t.j.Next); err != nil {
		return err
	}
	if err := t.phase(watching); err != nil {
		return err
	}
	var err error
	t.seen, err = e.watch(ctx, t.j.Next, from)
	return err
}

// prepare has the server make what it needs besides the files, and takes away what it needs no more.
func (t *transaction) prepare(ctx context.Context) error {
	t.prepared = true
	if err := t.e.runAll(ctx, t.needed(t.plan.Prepare), "connect.prepare.failed"); err != nil {
		return err
	}
	for _, name := range t.j.Then.Made {
		if t.j.Next != nil && slices.Contains(t.plan.Made, name) {
			continue
		}
		if err := t.unmake(name); err != nil {
			return err
		}
	}
	return nil
}

// unmake takes away what the server's commands have made, or brings back what was there before ukai.
func (t *transaction) unmake(name string) error {
	b, ok := t.former[name]
	if t.j.Next != nil {
		delete(t.j.Next.MadeBefore, name)
	}
	if !ok {
		return t.e.disk.remove(name)
	}
	if !t.exact {
		return nil // what Prepare has made of the files as they are is right
	}
	text, err := t.s.content(&b)
	if err != nil {
		return err
	}
	return t.e.disk.same(name, text, &b.Attr)
}

// needed leaves out the commands about files that are not there: no map is made of a file that was taken away.
func (t *transaction) needed(all []mtaconf.Command) []mtaconf.Command {
	return slices.DeleteFunc(slices.Clone(all), func(c mtaconf.Command) bool {
		return slices.ContainsFunc(t.files, func(f planned) bool { return names(c, f.path) && !t.e.sys.Exists(f.path) })
	})
}

// names tells whether a command has a file among its arguments, bare or behind the kind of a map ("hash:/etc/postfix/x").
func names(c mtaconf.Command, file string) bool {
	return slices.ContainsFunc(c.Args, func(a string) bool {
		return a == file || strings.HasSuffix(a, ":"+file)
	})
}

// put brings one file into its place.
func (t *transaction) put(c *change) error {
	if c.To != nil {
		return t.e.disk.place(c.Path)
	}
	return t.e.disk.remove(c.Path)
}

// finish makes the change lasting. An error is an *UndoneError: what cannot be written down is taken back. What is left to do
// after that can wait for whoever comes next.
func (t *transaction) finish(ctx context.Context) error {
	if err := t.phase(done); err != nil {
		return &UndoneError{Cause: err, Trouble: t.undo(context.WithoutCancel(ctx))}
	}
	if err := t.settle(); err != nil {
		t.e.o.Log.Warn("what was done could not be tidied up", "dir", t.s.dir, "error", err)
	}
	return nil
}

// settle ends a change that is done. It can be called again.
func (t *transaction) settle() error {
	for i := range t.j.Changes {
		t.e.disk.clear(t.j.Changes[i].Path, endNew, endOld)
	}
	if t.j.Next == nil {
		if err := t.s.raze(); err != nil {
			return err
		}
		t.e.disk.rmdir(t.j.Dirs)
		return nil
	}
	if err := t.s.write(manifestFile, t.j.Next); err != nil {
		return err
	}
	if err := t.s.d.remove(t.s.file(journalFile)); err != nil {
		return err
	}
	return t.s.sweep(t.j.Next)
}
