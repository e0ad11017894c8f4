package connect

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"ukai/internal/mtaconf"
)

// compare lays the plan beside what is on the disk.
func (e *Engine) compare(p *Proposal, c *clean) error {
	named := make(map[string]bool)
	for i := range p.Files {
		f := &p.Files[i]
		if named[f.Path] {
			return fmt.Errorf("plan for %s: %s is in it twice", p.target.Key(), f.Path)
		}
		named[f.Path] = true
		if err := e.compareFile(p, c.files[f.Path], f); err != nil {
			return err
		}
	}
	p.Left, _ = c.lines()
	if p.old == nil {
		return nil
	}
	for i := range p.old.Files {
		r := &p.old.Files[i]
		if f := c.files[r.Path]; !named[r.Path] {
			p.add(planned{path: r.Path, was: f.was, to: f.text, toAttr: f.restored(), moving: r.Moving, secret: r.Secret})
		}
	}
	return nil
}

func (e *Engine) compareFile(p *Proposal, c *cleaned, f *mtaconf.File) error {
	if c == nil {
		was, err := e.disk.look(f.Path)
		if err != nil {
			return err
		}
		c = &cleaned{was: was, text: was.content()}
	}
	to := f.Text
	if to == nil {
		to = []byte{}
	}
	if f.Moving && c.record != nil && c.record.Moving && c.was != nil && p.sameRoute(f.Path) {
		to = c.was.text // what ukai writes while it runs is not set back to the beginning
	}
	n := planned{path: f.Path, was: c.was, to: to, toAttr: fresh(f), moving: f.Moving, secret: f.Secret}
	if c.was != nil {
		n.toAttr = c.was.attr
		n.toAttr.MTime = time.Time{}
		if f.Whole && f.Perm != 0 {
			n.toAttr.Mode = f.Perm
		}
	}
	if c.text == nil || !bytes.Equal(c.text, to) || f.Moving {
		n.record = &record{Path: f.Path, Before: p.former(c), After: p.blob(to, n.toAttr), Secret: f.Secret, Moving: f.Moving, Whole: f.Whole}
	}
	p.add(n)
	return nil
}

// fresh returns what a file gets that was not there.
func fresh(f *mtaconf.File) attr {
	a := attr{Mode: f.Perm, UID: f.UID, GID: f.GID}
	if a.Mode == 0 {
		a.Mode = 0o644
		if f.Secret {
			a.Mode = 0o600
		}
	}
	return a
}

// sameRoute tells whether a file of routes is kept in the same way as before.
func (p *Proposal) sameRoute(name string) bool {
	find := func(all []mtaconf.RouteFile) (mtaconf.RouteFile, bool) {
		i := slices.IndexFunc(all, func(r mtaconf.RouteFile) bool { return r.Path == name })
		if i < 0 {
			return mtaconf.RouteFile{}, false
		}
		return all[i], true
	}
	if p.old == nil {
		return false
	}
	a, ok1 := find(p.old.Plan.Routes)
	b, ok2 := find(p.Routes)
	return ok1 && ok2 && a.Format == b.Format && a.Value == b.Value && a.Block == b.Block
}

// former is what is kept of a file as it is without ukai.
func (p *Proposal) former(c *cleaned) *blob {
	if c.text == nil {
		return nil
	}
	return p.blob(c.text, c.restored())
}

// restored is what a file has when it is put back: what it has today, and its old time if it is the old file to the byte.
func (c *cleaned) restored() attr {
	var a attr
	if c.was != nil {
		a = c.was.attr
	}
	switch {
	case c.record == nil: // never touched
	case c.record.Before != nil && c.record.Before.Sum == sum(c.text):
		if c.was == nil {
			return c.record.Before.Attr
		}
		a.MTime = c.record.Before.Attr.MTime
		if c.record.Whole {
			a.Mode = c.record.Before.Attr.Mode
		}
	default:
		a.MTime = time.Time{}
	}
	return a
}

func (p *Proposal) blob(text []byte, a attr) *blob {
	b := &blob{Sum: sum(text), Attr: a}
	p.texts[b.Sum] = text
	return b
}
