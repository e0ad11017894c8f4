package cli

import (
	"io"
	"strings"
)

// table writes rows in columns that are as wide as their widest cell, for a terminal: a Chinese, Japanese or Korean
// character takes two places there. The zero value is ready.
type table struct {
	indent string
	head   []string // in capitals where the language has them; may be nil
	rows   [][]string
}

// newTable makes a table with a head.
func newTable(head ...string) *table {
	for i := range head {
		head[i] = strings.ToUpper(head[i])
	}
	return &table{head: head}
}

// row adds a row. A cell is one line; line ends in it become blanks.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.Join(strings.FieldsFunc(c, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(w io.Writer) {
	all := t.rows
	if t.head != nil {
		all = append([][]string{t.head}, all...)
	}
	var widths []int
	for _, r := range all {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(c))
		}
	}
	var b strings.Builder
	for _, r := range all {
		line := t.indent
		for i, c := range r {
			line += c + strings.Repeat(" ", widths[i]-width(c)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, _ = io.WriteString(w, b.String()) // for a person's eyes: nobody is left to tell
}

// width returns how many places a text takes in a terminal (Unicode Standard Annex 11: wide and full-width characters take two).
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x20 || r >= 0x300 && r <= 0x36f || r == 0x200b || r == 0xfeff: // controls, combining marks, no width
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
			r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
			n += 2
		default:
			n++
		}
	}
	return n
}
