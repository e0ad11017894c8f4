package connect

import (
	"context"

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
		s := &store{&e.disk, stateDir + "/" + n}
		j, err := s.journal()
		if err != nil {
			return err
		}
		switch {
		case j != nil:
			err = e.recover(ctx, s, j)
		case !e.sys.Exists(s.file(manifestFile)): // killed before the journal was there, or after it was gone
			err = s.raze()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) recover(ctx context.Context, s *store, j *journal) error {
	t := &transaction{e: e, s: s, j: j}
	for i := range j.Changes {
		t.files = append(t.files, planned{path: j.Changes[i].Path})
	}
	e.o.Log.Warn("a change of the mail server's configuration was not ended", "dir", s.dir, "phase", string(j.Phase))
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
	case watching, done:
		return t.finish()
	}
	return i18n.Errorf("connect.state.broken", "file", s.file(journalFile), "cause", "phase "+string(j.Phase))
}
