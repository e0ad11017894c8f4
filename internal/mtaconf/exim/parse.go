package exim

import (
	"regexp"
	"strings"
)

// position is a line of a file, counted from 0.
type position struct {
	src  *source
	line int
}

// stmt is a logical line: physical lines that a backslash holds together, with the comments between them (specification,
// section 6.2). text has macros put in, and the lines joined.
type stmt struct {
	src      *source
	from, to int // physical lines [from, to)
	text     string
	raw      string
	kind     kind
}

type kind uint8

const (
	blank kind = iota // empty, or a comment
	directive
	definition // of a macro
	begin
	name   // of a driver
	option // or an entry of a section that has no drivers
	off    // left out by .ifdef
)

// macro is a name that stands for a text wherever it occurs (section 6.4).
type macro struct{ name, value string }

// cond is an open .ifdef.
type cond struct {
	on    bool // this branch is read
	taken bool // this or an earlier branch is read, or the whole is left out
	head  stmt
	other bool // behind an .else
}

// include is a place where another file is read.
type include struct {
	section string
	path    string
	at      position
}

// driver is a router, a transport or an authenticator.
type driver struct {
	section string
	name    string
	at      stmt // the line with the name
	stmts   []stmt
	conds   []cond // what is open where it begins
	options map[string]string
}

// conf is a configuration as it was read.
type conf struct {
	sources  []*source
	section  string // where the reader is; "" is the main section
	begins   map[string]position
	includes []include
	options  map[string]string // main section
	drivers  []*driver         // that are not left out by .ifdef
	defined  map[*source][]string
	current  *driver
	// generated: the file is made by a panel from others, and may have our lines in it.
	generated bool
}

func newConf() *conf {
	return &conf{begins: make(map[string]position), options: make(map[string]string), defined: make(map[*source][]string)}
}

// source returns a file that was read.
func (c *conf) source(name string) *source {
	for _, s := range c.sources {
		if s.path == name {
			return s
		}
	}
	return nil
}

var (
	defineLine = regexp.MustCompile(`^([A-Z][A-Za-z0-9_]*)[ \t]*==?[ \t]*(.*)$`)
	nameLine   = regexp.MustCompile(`^([A-Za-z0-9_]+)[ \t]*:$`)
	beginLine  = regexp.MustCompile(`^begin[ \t]+([a-z_]+)`)
)

// sections are what may follow "begin"; Exim takes a beginning of the word for it.
var sections = []string{"acl", "authenticators", "local_scan", "retry", "rewrite", "routers", "transports"}

// statement reads the logical line that begins at a physical one.
func (r *reader) statement(src *source, i int) stmt {
	st := stmt{src: src, from: i}
	if !r.active() && !isDirective(strings.TrimSpace(src.lines[i])) { // it is not looked at, so nothing is joined to it either
		st.to, st.raw, st.kind = i+1, src.lines[i], off
		return st
	}
	var b strings.Builder
	for more := true; more && i < len(src.lines); i++ {
		line := strings.TrimSpace(src.lines[i])
		first := b.Len() == 0 && i == st.from
		switch {
		case strings.HasPrefix(line, "#"): // also between lines that belong together
			more = !first
			continue
		case strings.HasPrefix(line, ".") && !first && isDirective(line):
			r.directive(stmt{src: src, from: i, to: i + 1, text: line})
			continue
		case !first && !r.active():
			continue
		}
		line = r.expand(line, b.Len() == 0)
		more = strings.HasSuffix(line, `\`)
		b.WriteString(strings.TrimSuffix(line, `\`))
	}
	st.to = i
	st.text = strings.TrimSpace(b.String())
	st.raw = strings.Join(src.lines[st.from:st.to], "")
	st.kind = r.kindOf(st.text)
	return st
}

// kindOf tells what a logical line is, in the section where the reader is.
func (r *reader) kindOf(text string) kind {
	switch {
	case text == "":
		return blank
	case isDirective(text):
		return directive
	case !r.active():
		return off
	case defineLine.MatchString(text):
		return definition
	case beginLine.MatchString(text):
		return begin
	case r.conf.inDrivers() && nameLine.MatchString(text):
		return name
	}
	return option
}

func isDirective(line string) bool {
	return strings.HasPrefix(line, ".if") || strings.HasPrefix(line, ".el") || strings.HasPrefix(line, ".endif") || strings.HasPrefix(line, ".include")
}

// inDrivers tells whether the present section consists of drivers.
func (c *conf) inDrivers() bool {
	return c.section == "routers" || c.section == "transports" || c.section == "authenticators"
}

// active tells whether what is read counts.
func (r *reader) active() bool {
	for _, c := range r.conds {
		if !c.on {
			return false
		}
	}
	return true
}

// expand puts macros in, except into the name of one that is being defined.
func (r *reader) expand(line string, start bool) string {
	head := ""
	if start {
		if m := defineLine.FindStringSubmatchIndex(line); m != nil {
			head, line = line[:m[4]], line[m[4]:]
		}
	}
	for _, m := range r.macros {
		if strings.Contains(line, m.name) {
			line = strings.ReplaceAll(line, m.name, m.value)
		}
		if len(line) > maxLogical {
			return head + line[:maxLogical]
		}
	}
	return head + line
}

// maxLogical bounds what macros in macros can grow to.
const maxLogical = 1 << 20
