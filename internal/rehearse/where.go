package rehearse

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines knows on which line of a file each key stands: by its path, "step[1].rule[0].reply".
type lines map[string]int

// findLines reads where everything stands. The text is TOML: it was decoded before.
func findLines(text []byte) lines {
	l := lines{}
	counts := map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = l.header(&p, e, counts, false)
		case unstable.ArrayTable:
			table = l.header(&p, e, counts, true)
		case unstable.KeyValue:
			l.value(&p, e, table)
		}
	}
	return l
}

// header returns the path of a table header, counting the elements of arrays of tables.
func (l lines) header(p *unstable.Parser, e *unstable.Node, counts map[string]int, array bool) string {
	path := ""
	for it := e.Key(); it.Next(); {
		path = join(path, string(it.Node().Data))
		if it.IsLast() && array {
			counts[path]++
		}
		if n := counts[path]; n > 0 {
			path += "[" + strconv.Itoa(n-1) + "]"
		}
		if it.IsLast() {
			l[path] = p.Shape(it.Node().Raw).Start.Line
		}
	}
	return path
}

// value enters a key with what lies below it: inline tables and their arrays.
func (l lines) value(p *unstable.Parser, e *unstable.Node, table string) {
	path := table
	for it := e.Key(); it.Next(); {
		path = join(path, string(it.Node().Data))
		l[path] = p.Shape(it.Node().Raw).Start.Line
	}
	l.below(p, e.Value(), path)
}

func (l lines) below(p *unstable.Parser, v *unstable.Node, path string) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			l.value(p, it.Node(), path)
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			at := path + "[" + strconv.Itoa(i) + "]"
			if it.Node().Raw.Length > 0 {
				l[at] = p.Shape(it.Node().Raw).Start.Line
			}
			l.below(p, it.Node(), at)
			i++
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// of returns the line of a path, or of what it lies in.
func (l lines) of(path string) int {
	for {
		if n := l[path]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 1
		}
		path = path[:i]
	}
}
