package connect

import (
	"context"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// recoverAll ends what was begun and not ended: see the package comment.
func (e *Engine) recoverAll(ctx context.Context) error {
	names, err := e.sys.ReadDir(stateDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, ".") {
			continue
		}
		s := &store{&e.disk, stateDir + "/" + n}
		j, err := s.journal()
		if err != nil {
			return err
		}
		if j != nil {
			if err := e.recover(ctx, s, j); err != nil {
				return err
			}
		}
		if err := s.tidy(); err != nil {
			return err
		}
	}
	return nil
}

// tidy takes away what a process has left that was killed before there was a journal, or after it was gone.
func (s *store) tidy() error {
	m, err := s.manifest()
	if err != nil || !s.d.sys.Exists(s.dir) {
		return err
	}
	if m == nil {
		return s.raze()
	}
	for _, name := range []string{manifestFile, journalFile} {
		s.d.clear(s.file(name), endNew)
	}
	return s.sweep(m)
}

func (e *Engine) recover(ctx context.Context, s *store, j *journal) error {
	t := &transaction{e: e, s: s, j: j, prepared: true}
	for i := range j.Changes {
		t.files = append(t.files, planned{path: j.Changes[i].Path})
	}
	e.o.Log.Warn("a change of the mail server's configuration was not ended", "dir", s.dir, "phase", string(j.Phase))
	if j.Phase == watching && !t.whole() { // going back was begun, and could not be ended
		j.Phase = writing
	}
	switch j.Phase {
	case staged:
		t.abandon()
		return nil
	case writing:
		e.o.Tell(Step{Note: mtaconf.N("connect.step.recover")})
		if err := t.undo(context.WithoutCancel(ctx)); err != nil {
			return i18n.Errorf("connect.recover.failed", "cause", err)
		}
		return nil
	case watching:
		if err := t.phase(done); err != nil {
			return err
		}
		return t.settle()
	case done:
		return t.settle()
	}
	return i18n.Errorf("connect.state.broken", "file", s.file(journalFile), "cause", "phase "+string(j.Phase))
}

// whole tells whether every file is what it shall be.
func (t *transaction) whole() bool {
	for i := range t.j.Changes {
		cur, err := t.e.disk.look(t.j.Changes[i].Path)
		if err != nil || !cur.is(t.j.Changes[i].To) {
			return false
		}
	}
	return true
}
