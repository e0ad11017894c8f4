package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ukai/internal/i18n"
)

// Problem is one mistake in the settings.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Col  int    `json:"col,omitempty"`  // in characters, from 1
	Key  string `json:"key,omitempty"`  // "egress.host"
	// Source is the line of the file.
	Source string `json:"source,omitempty"`

	what *i18n.Error
}

// Text says what is wrong and what is allowed.
func (p *Problem) Text(l i18n.Lang) string { return p.what.Text(l) }

// Where returns "ukai.toml:12:5".
func (p *Problem) Where() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Error returns the place and the English text.
func (p *Problem) Error() string { return p.Where() + ": " + p.Text(i18n.EN) }

// problems collects what is wrong, with the places of all keys at hand.
type problems struct {
	file  string
	lines []string
	at    map[string]place // by path: "egress", "egress[0]", "egress[0].host", "egress[0].source[1]"
	all   []Problem
}

func newProblems(file string, doc []byte) *problems {
	return &problems{file: file, lines: strings.Split(string(doc), "\n"), at: make(map[string]place)}
}

// add notes a mistake in the setting at path; where the file does not have it, at what is nearest above it.
func (p *problems) add(path string, what *i18n.Error) {
	at, ok := p.at[path]
	for up := path; !ok && up != ""; at, ok = p.at[up] {
		up = up[:max(strings.LastIndexAny(up, ".["), 0)]
	}
	p.addAt(at, path, what)
}

// password finds one in a line, or another secret, however broken the line is: what is shown of the file ends up in logs and in questions to others.
var password = regexp.MustCompile(`(?i)((?:password|token|url)["']?\s*=\s*)("[^"]*"?|'[^']*'?|[^\s,}#]+)`)

func (p *problems) addAt(at place, path string, what *i18n.Error) {
	problem := Problem{File: p.file, Line: at.line, Col: at.col, Key: withoutIndexes(path), what: what}
	if at.line > 0 && at.line <= len(p.lines) {
		problem.Source = password.ReplaceAllString(strings.TrimRight(p.lines[at.line-1], "\r"), "$1********")
	}
	p.all = append(p.all, problem)
}

// sorted returns the mistakes in the order of the file.
func (p *problems) sorted() []Problem {
	slices.SortStableFunc(p.all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return p.all
}

// withoutIndexes turns "egress[0].host" into "egress.host": the line says which one.
func withoutIndexes(path string) string {
	var b strings.Builder
	skip := false
	for _, r := range path {
		switch {
		case r == '[':
			skip = true
		case r == ']':
			skip = false
		case !skip:
			b.WriteRune(r)
		}
	}
	return b.String()
}
