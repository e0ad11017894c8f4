package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ukai/internal/i18n"
)

// UndoneError says that changes were begun and taken back: the server has its old configuration.
type UndoneError struct {
	Cause error
	// Trouble is what could not be put back, or not be taken up again; nil: all is as it was.
	Trouble error
}

// Error returns the English text.
func (u *UndoneError) Error() string { return u.Text(i18n.EN) }

// Unwrap returns why it was taken back.
func (u *UndoneError) Unwrap() error { return u.Cause }

// Text returns the text in a language.
func (u *UndoneError) Text(l i18n.Lang) string {
	cause := i18n.ErrorText(l, u.Cause)
	if u.Trouble != nil {
		return i18n.Text(l, "connect.undone.part", "cause", cause, "trouble", i18n.ErrorText(l, u.Trouble))
	}
	return i18n.Text(l, "connect.undone", "cause", cause)
}

// undo puts everything back: files, what the server makes of them, and what it runs by. It can be called again.
func (t *transaction) undo(ctx context.Context) error {
	var trouble []error
	exact := true
	for _, c := range slices.Backward(t.j.Changes) {
		same, err := t.putBack(&c)
		if err != nil {
			trouble = append(trouble, i18n.Errorf("connect.undone.file", "file", c.Path, "cause", err))
		}
		exact = exact && same
	}
	if len(trouble) > 0 { // the journal stays: whoever comes next tries again
		return errors.Join(trouble...)
	}
	if t.prepared {
		if err := t.e.runAll(ctx, t.needed(t.j.Then.Prepare), "connect.prepare.failed"); err != nil {
			trouble = append(trouble, err)
		}
		if err := t.putBackMade(exact); err != nil {
			trouble = append(trouble, err)
		}
	}
	if t.j.Running {
		trouble = append(trouble, t.takeUp(ctx))
	}
	t.abandon()
	return errors.Join(trouble...)
}

// takeUp has the server run by the old files again.
func (t *transaction) takeUp(ctx context.Context) error {
	if err := t.e.runAll(ctx, t.j.Then.Reload, "connect.reload.failed"); err != nil {
		return err
	}
	if t.j.Then.Alive == "" {
		return nil
	}
	if err := t.e.alive(ctx, t.j.Then.Alive); err != nil {
		return i18n.Errorf("connect.alive.failed", "address", t.j.Then.Alive, "cause", err)
	}
	return nil
}

// putBack brings one file back to what it was; same tells that it is that to the byte. What somebody has done to it meanwhile
// stays.
func (t *transaction) putBack(c *change) (same bool, err error) {
	d := &t.e.disk
	cur, err := d.look(c.Path)
	if err != nil {
		return false, err
	}
	if cur.is(c.Was) {
		return true, nil
	}
	was, err := t.s.content(c.Was)
	if err != nil {
		return false, err
	}
	if cur.is(c.To) {
		if c.Was == nil {
			return true, d.remove(c.Path)
		}
		if ok, err := d.back(c.Path, c.Was.Sum); ok || err != nil {
			return ok, err
		}
		return true, d.replace(c.Path, was, &c.Was.Attr)
	}
	if cur == nil { // removed since
		return false, nil
	}
	to, err := t.s.content(c.To)
	if err != nil {
		return false, err
	}
	if binary(was) || binary(to) || binary(cur.text) { // a package has brought another program: it has no lines to mix with
		return false, nil
	}
	rev := reverse(to, was, cur.text)
	if c.Was == nil && len(rev.text) == 0 {
		return false, d.remove(c.Path)
	}
	a := cur.attr
	a.MTime = time.Time{}
	return false, d.replace(c.Path, rev.text, &a)
}

// putBackMade brings back what the server's commands have made over; where the sources are what they were to the byte.
func (t *transaction) putBackMade(exact bool) error {
	for name, b := range t.j.Made {
		if b == nil {
			if err := t.e.disk.remove(name); err != nil {
				return err
			}
			continue
		}
		text, err := t.s.content(b)
		if err != nil || !exact {
			continue // what Prepare has made of the files as they are is right
		}
		if err := t.e.disk.same(name, text, &b.Attr); err != nil {
			return fmt.Errorf("put %s back: %w", name, err)
		}
	}
	return nil
}
