package provider

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// file is the form of a catalogue file.
type file struct {
	AsOf        string            `toml:"as_of"`
	Requirement map[string]string `toml:"requirement"`
	Source      map[string]Source `toml:"source"`
	Provider    []*Row            `toml:"provider"`
}

// With returns a catalogue that has the rows of another file as well. A row with the id of one that is there replaces it
// whole; a suffix or domain that is there already goes over to the file's row. All mistakes of the file are returned at
// once, each with name and line.
func (c *Catalogue) With(name string, text []byte) (*Catalogue, error) {
	f, err := decode(name, text)
	if err != nil {
		return nil, err
	}
	n := c.clone()
	if f.AsOf != "" {
		n.AsOf = f.AsOf
	}
	maps.Copy(n.Sources, f.Source)
	maps.Copy(n.requirements, f.Requirement)
	k := newChecker(name, text, n)
	k.rows(f.Provider)
	if len(k.errs) > 0 {
		return nil, errors.Join(k.errs...)
	}
	for _, r := range f.Provider {
		n.add(r)
	}
	n.index(f.Provider)
	return n, nil
}

func decode(name string, text []byte) (*file, error) {
	var f file
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if err == nil {
		return &f, nil
	}
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var errs []error
		for i := range missing.Errors {
			line, col := missing.Errors[i].Position()
			errs = append(errs, fmt.Errorf("%s:%d:%d: unknown key %s", name, line, col, strings.Join(missing.Errors[i].Key(), ".")))
		}
		return nil, errors.Join(errs...)
	}
	var broken *toml.DecodeError
	if errors.As(err, &broken) {
		line, col := broken.Position()
		return nil, fmt.Errorf("%s:%d:%d: %w", name, line, col, err)
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}

func (c *Catalogue) clone() *Catalogue {
	n := &Catalogue{
		AsOf: c.AsOf, Sources: map[string]Source{}, rows: slices.Clone(c.rows), byID: map[string]*Row{}, paths: map[ID]Limits{},
		suffixes: map[string]suffix{}, domains: map[string]*Row{}, requirements: map[string]string{},
	}
	maps.Copy(n.Sources, c.Sources)
	maps.Copy(n.byID, c.byID)
	maps.Copy(n.suffixes, c.suffixes)
	maps.Copy(n.domains, c.domains)
	maps.Copy(n.requirements, c.requirements)
	return n
}

// add puts a row in, or in the place of the one with its id, whose names go with it.
func (c *Catalogue) add(r *Row) {
	if r.Provider == "" {
		r.Provider = r.ID
	}
	for i, s := range r.Requirements {
		if key, ok := strings.CutPrefix(s, "@"); ok {
			r.Requirements[i] = c.requirements[key]
		}
	}
	old, ok := c.byID[r.ID]
	c.byID[r.ID] = r
	if !ok {
		c.rows = append(c.rows, r)
		return
	}
	c.rows[slices.Index(c.rows, old)] = r
	maps.DeleteFunc(c.suffixes, func(_ string, s suffix) bool { return s.row == old })
	maps.DeleteFunc(c.domains, func(_ string, d *Row) bool { return d == old })
}

// index makes the names of rows findable and sums the limits of each path up.
func (c *Catalogue) index(rows []*Row) {
	for _, r := range rows {
		for _, s := range r.MX {
			id := r.Provider
			if r.Separate {
				id = registrable(s)
			}
			c.suffixes[s] = suffix{row: r, text: s, id: id}
		}
		for _, s := range r.Placeholder {
			c.suffixes[s] = suffix{row: r, text: s, id: r.Provider, placeholder: true}
		}
		for _, d := range r.Domains {
			c.domains[d] = r
		}
	}
	for _, r := range c.rows {
		c.limit(r.Provider, r.Limits)
		if !r.Separate {
			continue
		}
		for _, s := range r.MX {
			c.limit(registrable(s), r.Limits)
		}
	}
	for id, l := range c.paths {
		if l.MaxConns == 0 {
			l.MaxConns = DefaultLimits.MaxConns
		}
		if l.MaxMsgsPerConn == 0 {
			l.MaxMsgsPerConn = DefaultLimits.MaxMsgsPerConn
		}
		c.paths[id] = l
	}
}

// limit narrows the limits of a path by those of one row.
func (c *Catalogue) limit(id ID, l Limits) {
	have := c.paths[id]
	have.MaxConns = stricter(have.MaxConns, l.MaxConns)
	have.MaxMsgsPerConn = stricter(have.MaxMsgsPerConn, l.MaxMsgsPerConn)
	have.PerSecond = stricter(have.PerSecond, l.PerSecond)
	have.TLS = have.TLS || l.TLS
	if l.Basis != "" {
		have.Basis = l.Basis
	}
	if l.Published != "" {
		have.Published = l.Published
	}
	c.paths[id] = have
}

func stricter[N int | float64](a, b N) N {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
