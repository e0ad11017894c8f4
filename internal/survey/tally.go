package survey

import (
	"cmp"
	"slices"
	"strings"
)

// counter is one name of a table.
type counter struct {
	n           int64
	first, last int64
}

// table counts names in bounded room. When there are twice as many as it may keep, the rarer half goes, and the largest count
// that went bounds what a name that is not there may have had.
type table struct {
	keep    int
	rows    map[string]*counter
	missing int64
}

// add counts a name n times.
func (t *table) add(name string, at, n int64) {
	c := t.rows[name]
	if c == nil {
		if len(t.rows) >= 2*t.keep {
			t.prune()
		}
		if t.rows == nil {
			t.rows = make(map[string]*counter)
		}
		c = &counter{first: at}
		t.rows[strings.Clone(name)] = c
	}
	c.n += n
	c.last = at
}

func (t *table) prune() {
	all := t.sorted()
	lost := int64(0)
	for _, c := range all[t.keep:] {
		lost = max(lost, c.N)
		delete(t.rows, c.Name)
	}
	t.missing += lost // a name may be forgotten more than once
}

// sorted returns all rows, the most frequent first.
func (t *table) sorted() []Count {
	all := make([]Count, 0, len(t.rows))
	for name, c := range t.rows {
		all = append(all, Count{name, c.n, instant(c.first), instant(c.last)})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(-cmp.Compare(a.N, b.N), strings.Compare(a.Name, b.Name)) })
	return all
}

// top returns the first most rows.
func (t *table) top(most int) Tally {
	all := t.sorted()
	shown := all[:min(most, len(all))]
	if len(shown) == 0 {
		shown = nil
	}
	return Tally{Top: shown, Others: len(all) - len(shown), Missing: t.missing}
}

// merge adds another table.
func (t *table) merge(o *table) {
	for name, c := range o.rows {
		t.add(name, c.last, c.n)
		mine := t.rows[name]
		mine.first, mine.last = min(mine.first, c.first), max(mine.last, c.last)
	}
	t.missing += o.missing
}
