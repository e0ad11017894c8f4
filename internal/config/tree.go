package config

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"ukai/internal/i18n"
)

// place is where something stands in the file, counted from 1; the column counts characters.
type place struct{ line, col int }

// nodeKind is what a value is in TOML. A key of the catalogue ("config.kind." and its text) names it for people.
type nodeKind string

const (
	tableNode  nodeKind = "table"
	arrayNode  nodeKind = "array"
	stringNode nodeKind = "string"
	intNode    nodeKind = "int"
	boolNode   nodeKind = "bool"
	floatNode  nodeKind = "float"
	dateNode   nodeKind = "date"
)

// node is a value with its place.
type node struct {
	kind   nodeKind
	at     place  // of the value; of the key for tables and arrays
	raw    string // as it is written, for messages; empty for tables and arrays
	text   string // of a string, without quotes
	num    int64  // of an int
	fields []*field
	items  []*node
}

// field is a key of a table.
type field struct {
	name  string
	at    place
	value *node
}

func (n *node) get(name string) *field {
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// syntaxError is one place where the file is not TOML.
type syntaxError struct {
	at   place
	text string
}

// what puts the usual mistakes into the reader's language, and leaves the others in the library's.
func (e *syntaxError) what() *i18n.Error {
	switch {
	case strings.Contains(e.text, "at start of value"), strings.Contains(e.text, "expected value"):
		return i18n.Errorf("config.syntax.value")
	case strings.Contains(e.text, "cannot have new lines"), strings.Contains(e.text, "not terminated"):
		return i18n.Errorf("config.syntax.unclosed")
	case strings.Contains(e.text, "already"):
		return i18n.Errorf("config.syntax.twice", "message", e.text)
	case strings.Contains(e.text, "expected newline"):
		return i18n.Errorf("config.syntax.behind")
	}
	return i18n.Errorf("config.syntax.other", "message", e.text)
}

// maxSyntaxErrors bounds what is told of a file that is no TOML at all.
const maxSyntaxErrors = 10

// parse makes a tree of a document. Without syntax errors the tree is whole; with them it is nil: what hangs together with
// a line that cannot be read is not judged.
func parse(doc []byte) (*node, []syntaxError) {
	doc = bytes.ReplaceAll(doc, []byte("\r\n"), []byte("\n"))
	if !utf8.Valid(doc) {
		return nil, []syntaxError{{invalidUTF8(doc), "invalid UTF-8"}}
	}
	if errs := syntax(bytes.Clone(doc)); len(errs) > 0 {
		return nil, errs
	}
	t := &treeMaker{doc: doc, root: &node{kind: tableNode, at: place{1, 1}}}
	t.lines = lineStarts(doc)
	t.make()
	return t.root, nil
}

// syntax returns all errors of the form. The library stops at the first, so its line is blanked and the rest read again; a
// broken header takes its table with it. Errors in lines that follow each other are mostly one: the first is told.
func syntax(doc []byte) []syntaxError {
	var all []syntaxError
	last := -1
	for len(all) < maxSyntaxErrors {
		var whole map[string]any
		var de *toml.DecodeError
		if err := toml.Unmarshal(doc, &whole); !errors.As(err, &de) {
			if err != nil && len(all) == 0 {
				return []syntaxError{{place{1, 1}, strings.TrimPrefix(err.Error(), "toml: ")}}
			}
			return all
		}
		row, col := de.Position()
		if row <= last {
			return all
		}
		lines := bytes.SplitAfter(doc, []byte("\n"))
		if row != last+1 || last < 0 {
			at := place{row, 1}
			if row <= len(lines) {
				at.col = characters(lines[row-1], col)
			}
			all = append(all, syntaxError{at, strings.TrimPrefix(de.Error(), "toml: ")})
		}
		last = blank(lines, row)
	}
	return all
}

// blank overwrites a line, and behind a header its whole table, with spaces; it returns the last line it took.
func blank(lines [][]byte, row int) int {
	header := false
	for i := row - 1; i < len(lines); i++ {
		trimmed := bytes.TrimLeft(lines[i], " \t")
		starts := bytes.HasPrefix(trimmed, []byte("["))
		if i > row-1 && (!header || starts) {
			return i
		}
		header = header || starts
		for j, c := range lines[i] {
			if c != '\n' {
				lines[i][j] = ' '
			}
		}
	}
	return len(lines)
}

func invalidUTF8(doc []byte) place {
	n := 0
	for n < len(doc) {
		r, size := utf8.DecodeRune(doc[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	start := bytes.LastIndexByte(doc[:n], '\n') + 1
	return place{bytes.Count(doc[:n], []byte("\n")) + 1, utf8.RuneCount(doc[start:n]) + 1}
}

// characters turns a column counted in octets into one counted in characters.
func characters(line []byte, col int) int {
	return utf8.RuneCount(line[:min(max(col-1, 0), len(line))]) + 1
}

func lineStarts(doc []byte) []int {
	starts := []int{0}
	for i, c := range doc {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// treeMaker puts the expressions of a document, which is known to be valid, together.
type treeMaker struct {
	parser unstable.Parser
	doc    []byte
	lines  []int
	root   *node
}

func (t *treeMaker) make() {
	t.parser.Reset(t.doc)
	table := t.root
	for t.parser.NextExpression() {
		e := t.parser.Expression()
		switch e.Kind {
		case unstable.Table:
			keys := t.keys(e)
			table = t.child(t.descend(t.root, keys[:len(keys)-1]), keys[len(keys)-1], tableNode)
		case unstable.ArrayTable:
			keys := t.keys(e)
			last := keys[len(keys)-1]
			array := t.child(t.descend(t.root, keys[:len(keys)-1]), last, arrayNode)
			table = &node{kind: tableNode, at: last.at}
			array.items = append(array.items, table)
		case unstable.KeyValue:
			t.keyValue(table, e)
		}
	}
}

// key is one part of a dotted key.
type key struct {
	name string
	at   place
}

func (t *treeMaker) keys(e *unstable.Node) []key {
	var all []key
	for it := e.Key(); it.Next(); {
		n := it.Node()
		all = append(all, key{string(n.Data), t.place(n.Raw)})
	}
	return all
}

func (t *treeMaker) place(r unstable.Range) place {
	line := 1
	for line < len(t.lines) && t.lines[line] <= int(r.Offset) {
		line++
	}
	start := t.lines[line-1]
	return place{line, utf8.RuneCount(t.doc[start:r.Offset]) + 1}
}

func (t *treeMaker) descend(n *node, keys []key) *node {
	for _, k := range keys {
		n = t.child(n, k, tableNode)
		if n.kind == arrayNode && len(n.items) > 0 {
			n = n.items[len(n.items)-1]
		}
	}
	return n
}

// child returns the value of a key, made if it is not there.
func (t *treeMaker) child(n *node, k key, kind nodeKind) *node {
	if f := n.get(k.name); f != nil {
		return f.value
	}
	v := &node{kind: kind, at: k.at}
	n.fields = append(n.fields, &field{k.name, k.at, v})
	return v
}

func (t *treeMaker) keyValue(table *node, e *unstable.Node) {
	keys := t.keys(e)
	last := keys[len(keys)-1]
	v := t.value(e.Value(), last.at)
	owner := t.descend(table, keys[:len(keys)-1])
	owner.fields = append(owner.fields, &field{last.name, last.at, v})
}

func (t *treeMaker) value(e *unstable.Node, keyAt place) *node {
	n := &node{at: keyAt}
	switch e.Kind {
	case unstable.Array:
		n.kind = arrayNode
		for it := e.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				n.items = append(n.items, t.value(it.Node(), keyAt))
			}
		}
		return n
	case unstable.InlineTable:
		n.kind, n.at = tableNode, t.place(e.Raw)
		for it := e.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				t.keyValue(n, it.Node())
			}
		}
		return n
	}
	n.at, n.raw = t.place(e.Raw), string(t.parser.Raw(e.Raw))
	switch e.Kind {
	case unstable.String:
		n.kind, n.text = stringNode, string(e.Data)
	case unstable.Bool:
		n.kind = boolNode
	case unstable.Float:
		n.kind = floatNode
	case unstable.Integer:
		n.kind = intNode
		n.num, _ = strconv.ParseInt(strings.ReplaceAll(n.raw, "_", ""), 0, 64) // the library has read it already
	default:
		n.kind = dateNode
	}
	return n
}
