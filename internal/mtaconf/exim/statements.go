package exim

import (
	"strings"
)

// take lets a logical line count.
func (r *reader) take(st stmt) error {
	c := r.conf
	if c.current != nil && st.kind != begin && st.kind != name {
		c.current.stmts = append(c.current.stmts, st)
	}
	switch st.kind {
	case directive:
		if strings.HasPrefix(st.text, ".include") {
			if !r.active() {
				return nil
			}
			return r.include(st)
		}
		r.directive(st)
	case definition:
		r.define(st)
	case begin:
		c.current = nil
		c.section = sectionNamed(beginLine.FindStringSubmatch(st.text)[1])
		if _, again := c.begins[c.section]; !again {
			c.begins[c.section] = position{st.src, st.to}
		}
	case name:
		c.current = &driver{section: c.section, name: nameLine.FindStringSubmatch(st.text)[1], at: st,
			conds: append([]cond(nil), r.conds...), options: make(map[string]string)}
		c.drivers = append(c.drivers, c.current)
	case option:
		r.option(st)
	case blank, off:
	}
	return nil
}

// option notes a setting of the main section or of a driver.
func (r *reader) option(st stmt) {
	key, value := keyValue(st.text)
	switch {
	case r.conf.section == "":
		r.conf.options[key] = value
	case r.conf.current != nil:
		r.conf.current.options[key] = value
	}
}

// keyValue reads "key = value", "hide key = value", "key", "no_key" and "not_key". What is on without a value is "true".
func keyValue(text string) (key, value string) {
	text = strings.TrimPrefix(text, "hide ")
	key, value, ok := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	if ok {
		value = strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return key, value
	}
	for _, no := range []string{"no_", "not_"} {
		if rest, is := strings.CutPrefix(key, no); is {
			return rest, "false"
		}
	}
	return key, "true"
}

// isOn tells whether an option that is true or false is set to true.
func isOn(value string) bool { return value == "true" || value == "yes" }

// sectionNamed completes the name of a section.
func sectionNamed(word string) string {
	for _, s := range sections {
		if strings.HasPrefix(s, word) {
			return s
		}
	}
	return word
}

// define notes a macro. One that is defined twice keeps its first value, unless "==" says otherwise (section 6.4).
func (r *reader) define(st stmt) {
	m := defineLine.FindStringSubmatch(st.text)
	again := strings.HasPrefix(strings.TrimLeft(st.text[len(m[1]):], " \t"), "==")
	r.conf.defined[st.src] = append(r.conf.defined[st.src], m[1])
	for i := range r.macros {
		if r.macros[i].name == m[1] {
			if again {
				r.macros[i].value = m[2]
			}
			return
		}
	}
	r.macros = append(r.macros, macro{name: m[1], value: m[2]})
}

// directive follows .ifdef, .ifndef, .elifdef, .elifndef, .else and .endif (section 6.6).
func (r *reader) directive(st stmt) {
	word, rest, _ := strings.Cut(st.text, " ")
	n := len(r.conds)
	switch word {
	case ".ifdef", ".ifndef":
		on := r.anyMacro(st, rest) == (word == ".ifdef")
		r.conds = append(r.conds, cond{on: on, taken: on || !r.active(), head: st})
	case ".elifdef", ".elifndef":
		if n > 0 {
			c := &r.conds[n-1]
			c.on = !c.taken && r.anyMacro(st, rest) == (word == ".elifdef")
			c.taken, c.other = c.taken || c.on, true
		}
	case ".else":
		if n > 0 {
			c := &r.conds[n-1]
			c.on, c.taken, c.other = !c.taken, true, true
		}
	case ".endif":
		if n > 0 {
			r.conds = r.conds[:n-1]
		}
	}
}

// anyMacro tells whether a macro is defined that stands behind an .ifdef: Exim looks whether one was put in, wherever it stands.
// What begins with an underscore tells what Exim was built with, and is taken to be there.
func (r *reader) anyMacro(st stmt, rest string) bool {
	raw := strings.TrimSpace(st.src.lines[st.from])
	if _, args, ok := strings.Cut(raw, " "); ok {
		rest = args
	}
	if strings.HasPrefix(strings.TrimSpace(rest), "_") {
		return true
	}
	for _, m := range r.macros {
		if strings.Contains(rest, m.name) {
			return true
		}
	}
	return false
}
