package sendmail

import (
	"slices"
	"strings"

	"ukai/internal/i18n"
)

// cf is sendmail.cf, line by line, with the places that matter to ukai.
type cf struct {
	name  string
	text  []string // lines with their ends
	eol   string
	maps  int // index of the line before which K lines go
	rules int // of the line before which the rules go; -1: not found
	tail  int // behind the last mailer
	auth  [2]int
	smtp  []string // the definition of the mailer esmtp
}

// parseCF reads sendmail.cf. The first letter of a line says what it is; a line that begins with a blank or a tab continues
// the one before (op.me, "THE WHOLE SCOOP ON THE CONFIGURATION FILE").
func parseCF(name string, text []byte) *cf {
	c := &cf{name: name, text: strings.SplitAfter(string(text), "\n"), eol: eolOf(text), maps: -1, rules: -1}
	if n := len(c.text); c.text[n-1] == "" {
		c.text = c.text[:n-1]
	}
	for i, line := range c.text {
		switch {
		case strings.HasPrefix(line, "# Configuration version number"): // what LOCAL_CONFIG has comes before it (proto.m4)
			c.maps = c.above(i)
		case strings.HasPrefix(line, "O ") && c.maps < 0:
			c.maps = c.above(i)
		case strings.HasPrefix(line, "R") && strings.Contains(line, "< $S >") && c.rules < 0: // "glue on smarthost name"
			c.rules = c.above(i)
		case strings.HasPrefix(line, "M"):
			c.tail = c.end(i)
			if strings.HasPrefix(line, "Mesmtp,") {
				c.smtp = c.text[i:c.tail]
			}
		case strings.TrimRight(line, "\r\n") == "Sauthinfo":
			c.auth = [2]int{i + 1, i + 1}
			for c.auth[1] < len(c.text) && strings.HasPrefix(c.text[c.auth[1]], "R") {
				c.auth[1]++
			}
		}
	}
	return c
}

func eolOf(text []byte) string {
	if strings.Contains(string(text), "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// above returns the first of the comments and empty lines directly above line i.
func (c *cf) above(i int) int {
	for i > 0 && (strings.HasPrefix(c.text[i-1], "#") || strings.TrimSpace(c.text[i-1]) == "") {
		i--
		if strings.TrimSpace(c.text[i]) == "" {
			break
		}
	}
	return i
}

// end returns the line behind the definition that begins at line i.
func (c *cf) end(i int) int {
	for i++; i < len(c.text) && (c.text[i][0] == ' ' || c.text[i][0] == '\t'); i++ {
	}
	return i
}

// macro returns the value of a macro with a name of one letter, the last where there are several: "DSsmart.example" is S.
func (c *cf) macro(letter byte) string {
	value := ""
	for _, line := range c.text {
		if len(line) > 2 && line[0] == 'D' && line[1] == letter {
			value = strings.TrimSpace(line[2:])
		}
	}
	return value
}

// defined tells whether a map or a mailer of that name is there: "K" and "ukai".
func (c *cf) defined(kind, name string) bool { return c.definition(kind, name) != "" }

func (c *cf) definition(kind, name string) string {
	for _, line := range c.text {
		rest, ok := strings.CutPrefix(line, kind)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, " \t")
		if head := strings.IndexAny(rest, " \t,\r\n"); head > 0 && strings.EqualFold(rest[:head], name) {
			return strings.TrimSpace(rest[head:])
		}
	}
	return ""
}

// options returns the values of an option: "O PidFile=/run/sendmail.pid".
func (c *cf) options(name string) []string {
	var values []string
	for _, line := range c.text {
		rest, ok := strings.CutPrefix(line, "O ")
		if !ok {
			continue
		}
		key, value, ok := strings.Cut(rest, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// with returns the file with ukai's lines in it.
func (c *cf) with(l lines) ([]byte, error) {
	if c.maps < 0 {
		return nil, i18n.Errorf("sendmail.error.unknown", "file", c.name)
	}
	type piece struct {
		from, to int // the lines that are left out
		put      []string
	}
	pieces := []piece{{c.maps, c.maps, l.maps}, {c.rules, c.rules, l.rules}, {c.tail, c.tail, l.mailer}}
	if len(l.auth) > 0 {
		pieces = append(pieces, piece{c.auth[0], c.auth[1], l.auth})
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return a.from - b.from })
	var out strings.Builder
	at := 0
	for _, p := range pieces {
		for ; at < p.from; at++ {
			out.WriteString(c.text[at])
		}
		if len(p.put) > 0 && at > 0 && !strings.HasSuffix(c.text[at-1], "\n") {
			out.WriteString(c.eol)
		}
		for _, line := range p.put {
			out.WriteString(line + c.eol)
		}
		at = p.to
	}
	for ; at < len(c.text); at++ {
		out.WriteString(c.text[at])
	}
	return []byte(out.String()), nil
}
