package postfix

import "strings"

// maxDepth is how deep parameters may name each other. Postfix has a limit of 100 (mac_expand(3)). maxWork bounds what two that
// name each other twice would grow to.
const (
	maxDepth = 100
	maxWork  = 10_000
)

// expand puts the values of parameters into a text: $name, ${name}, $(name), ${name?text}, ${name:text}, ${name?{a}:{b}} and
// ${{a} == {b} ? {c} : {d}} (postconf(5), "the format of the configuration file"). "$$" is a dollar sign.
func (m *mainCF) expand(s string, depth int) string {
	if m.work++; depth > maxDepth || m.work > maxWork || !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "("):
			inner, after, ok := enclosed(rest)
			if !ok {
				b.WriteString("$" + rest)
				return b.String()
			}
			b.WriteString(m.braces(inner, depth+1))
			s = after
		default:
			n := nameLen(rest)
			b.WriteString(m.expand(m.raw(rest[:n]), depth+1))
			s = rest[n:]
		}
	}
}

// enclosed returns what stands between the bracket that s begins with and the one that belongs to it.
func enclosed(s string) (inner, after string, ok bool) {
	open, shut := s[0], byte('}')
	if open == '(' {
		shut = ')'
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// nameLen is how long the name of a parameter at the beginning of s is.
func nameLen(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z') {
		n++
	}
	return n
}

// braces expands what stands inside "${...}".
func (m *mainCF) braces(s string, depth int) string {
	s = strings.Trim(s, space)
	if strings.HasPrefix(s, "{") {
		return m.compare(s, depth)
	}
	n := nameLen(s)
	value, rest := m.raw(s[:n]), strings.TrimLeft(s[n:], space)
	switch {
	case rest == "":
		return m.expand(value, depth)
	case rest[0] == '?' || rest[0] == ':':
		return m.choose(rest, (value != "") == (rest[0] == '?'), depth)
	}
	return ""
}

// compare expands "{a} == {b} ? {c} : {d}"; == and != compare texts (other operators are not used where it matters here).
func (m *mainCF) compare(s string, depth int) string {
	left, rest, ok := enclosed(s)
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, space)
	at := strings.IndexByte(rest, '{')
	if at < 0 {
		return ""
	}
	op := rest[:at]
	right, rest, ok := enclosed(rest[at:])
	if rest = strings.TrimLeft(rest, space); !ok || rest == "" {
		return ""
	}
	same := m.expand(strings.Trim(left, space), depth) == m.expand(strings.Trim(right, space), depth)
	return m.choose(rest, same == (strings.Trim(op, space) == "=="), depth)
}

// choose expands "?text", ":text", "?{a}" or "?{a}:{b}", of which the first text is for yes.
func (m *mainCF) choose(s string, yes bool, depth int) string {
	s = strings.TrimLeft(s[1:], space)
	if !strings.HasPrefix(s, "{") {
		if yes {
			return m.expand(s, depth)
		}
		return ""
	}
	first, rest, _ := enclosed(s)
	if yes {
		return m.expand(strings.Trim(first, space), depth)
	}
	rest = strings.TrimLeft(rest, space)
	if !strings.HasPrefix(rest, ":") {
		return ""
	}
	return m.choose(rest, true, depth)
}
