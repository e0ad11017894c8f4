package exim

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// source is a file of the configuration. Its lines keep their ends, so that they are written back as they were.
type source struct {
	path  string
	lines []string
}

// maxDepth is how deep files may include one another.
const maxDepth = 20

// maxSource is the longest file that is taken for a configuration.
const maxSource = 16 << 20

// split cuts a text into lines with their ends.
func split(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// end returns how the lines of the file end.
func (s *source) end() string {
	if len(s.lines) > 0 && strings.HasSuffix(s.lines[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// insert returns the text of the file with blocks put before lines. Blocks behind the last line come in the order of their numbers.
func (s *source) insert(blocks map[int]string) []byte {
	var b strings.Builder
	put := func(i int) { b.WriteString(strings.ReplaceAll(blocks[i], "\n", s.end())) }
	for i, line := range s.lines {
		put(i)
		b.WriteString(line)
	}
	n := len(s.lines)
	if n > 0 && !strings.HasSuffix(s.lines[n-1], "\n") {
		b.WriteString(s.end())
	}
	for _, i := range slices.Sorted(maps.Keys(blocks)) {
		if i >= n {
			put(i)
		}
	}
	return []byte(b.String())
}

// open reads a file as a source.
func open(sys *mtaconf.System, name string) (*source, error) {
	text, err := sys.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if len(text) > maxSource || strings.ContainsRune(string(text), 0) {
		return nil, i18n.Errorf("mtaconf.exim.error.strange", "path", name)
	}
	return &source{path: name, lines: split(string(text))}, nil
}

// reader goes through the files as Exim does: include after include, with the conditions of .ifdef.
type reader struct {
	sys    *mtaconf.System
	conf   *conf
	macros []macro
	conds  []cond
	depth  int
}

// file reads a file and what it includes.
func (r *reader) file(name string) error {
	if r.depth++; r.depth > maxDepth {
		return i18n.Errorf("mtaconf.exim.error.circle", "path", name)
	}
	defer func() { r.depth-- }()
	src := r.conf.source(name)
	if src == nil {
		var err error
		if src, err = open(r.sys, name); err != nil {
			return err
		}
		r.conf.sources = append(r.conf.sources, src)
	}
	for i := 0; i < len(src.lines); {
		st := r.statement(src, i)
		i = st.to
		if err := r.take(st); err != nil {
			return err
		}
	}
	return nil
}

// include follows ".include FILE" and ".include_if_exists FILE" (specification, section 6.3).
func (r *reader) include(st stmt) error {
	word, name, _ := strings.Cut(st.text, " ")
	name = strings.Trim(strings.TrimSpace(name), `"`)
	optional := word == ".include_if_exists"
	if !path.IsAbs(name) {
		if name == "" || st.src == nil {
			return i18n.Errorf("mtaconf.exim.error.include", "path", st.src.path, "line", st.from+1, "name", name)
		}
		name = path.Join(path.Dir(st.src.path), name) // since 4.83, relative to the including file
	}
	r.conf.includes = append(r.conf.includes, include{section: r.conf.section, path: name, at: position{st.src, st.from}})
	err := r.file(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return i18n.Errorf("mtaconf.exim.error.include", "path", st.src.path, "line", st.from+1, "name", name)
	}
	return err
}
