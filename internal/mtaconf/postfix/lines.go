package postfix

import (
	"bytes"
	"strings"
)

// text is a configuration file as lines, each with its line end. Lines that are not changed stay as they are to the byte.
type text struct {
	lines []string
	eol   string // of lines that are added
}

// entry is one logical line: postconf(5), "a logical line starts with non-whitespace text; a line that starts with whitespace
// continues it".
type entry struct {
	text        string // without line ends; comments and empty lines between its parts are left out
	first, last int    // the physical lines that hold text of it
}

func parse(b []byte) *text {
	t := &text{eol: "\n"}
	crlf := 0
	for l := range bytes.Lines(b) {
		t.lines = append(t.lines, string(l))
		if bytes.HasSuffix(l, []byte("\r\n")) {
			crlf++
		}
	}
	if crlf > len(t.lines)/2 {
		t.eol = "\r\n"
	}
	return t
}

func (t *text) bytes() []byte { return []byte(strings.Join(t.lines, "")) }

// space is what Postfix takes for white space at the beginning of a line (isspace(3)).
const space = " \t\r\n\v\f"

// entries returns the logical lines. ok is false where the file begins with a continuation.
func (t *text) entries() (all []entry, ok bool) {
	for i, l := range t.lines {
		bare := strings.Trim(l, space)
		switch {
		case bare == "" || bare[0] == '#': // also between the parts of a logical line
		case strings.ContainsRune(space, rune(l[0])):
			if len(all) == 0 {
				return nil, false
			}
			e := &all[len(all)-1]
			e.text += strings.TrimRight(l, "\r\n")
			e.last = i
		default:
			all = append(all, entry{strings.TrimRight(l, "\r\n"), i, i})
		}
	}
	return all, true
}

// add puts lines at the end of the file.
func (t *text) add(lines ...string) {
	if n := len(t.lines); n > 0 && t.lines[n-1] != "" && !strings.HasSuffix(t.lines[n-1], "\n") {
		t.lines[n-1] += t.eol
	}
	for _, l := range lines {
		t.lines = append(t.lines, l+t.eol)
	}
}

// extend puts more text behind the last part of a logical line, before the white space at its end.
func (t *text) extend(e entry, more string) {
	l := t.lines[e.last]
	bare := strings.TrimRight(l, space)
	t.lines[e.last] = bare + more + l[len(bare):]
}

// replace puts one line in the place of a logical line. Comments between its parts stay.
func (t *text) replace(e entry, line string) {
	for i := e.first; i <= e.last; i++ {
		bare := strings.Trim(t.lines[i], space)
		if bare != "" && bare[0] != '#' {
			t.lines[i] = ""
		}
	}
	t.lines[e.first] = line + t.eol
}

// insert puts a line behind a logical line.
func (t *text) insert(e entry, line string) {
	l := &t.lines[e.last]
	if !strings.HasSuffix(*l, "\n") {
		*l += t.eol
	}
	*l += line + t.eol
}
