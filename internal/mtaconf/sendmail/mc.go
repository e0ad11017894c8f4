package sendmail

import (
	"regexp"
	"strings"
)

// mc is sendmail.mc.
type mc struct {
	name string
	text string
	live string // text without what m4 leaves out: the rest of a line behind dnl
}

func parseMC(name string, text []byte) *mc {
	return &mc{name: name, text: string(text), live: live(string(text))}
}

// live takes out what stands behind dnl. In quotes dnl is a word like any other until the quotes are taken off; cf/README's
// files have none there that would hide a definition.
func live(text string) string {
	var out strings.Builder
	depth := 0
	for i := 0; i < len(text); {
		switch {
		case depth == 0 && strings.HasPrefix(text[i:], "dnl") && !word(text, i-1) && !word(text, i+3):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return out.String()
			}
			i += end + 1
			continue
		case text[i] == '`':
			depth++
		case text[i] == '\'' && depth > 0:
			depth--
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// word tells whether a letter of an m4 name stands at i.
func word(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

var (
	isSource  = regexp.MustCompile(`(?m)\b(OSTYPE|MAILER)\(`)
	smartHost = regexp.MustCompile("define\\(\\s*`?SMART_HOST'?\\s*,\\s*`?([^`'()]*)")
	authTable = regexp.MustCompile("FEATURE\\(\\s*`?authinfo\\b")
)

// source tells whether sendmail.cf can be made from it: one that is empty or all comments is none.
func (m *mc) source() bool { return isSource.MatchString(m.live) }

// smartHost returns the smarthost that is set; empty: none.
func (m *mc) smartHost() string {
	host := ""
	for _, s := range smartHost.FindAllStringSubmatch(m.live, -1) {
		host = strings.TrimSpace(s[1])
	}
	return host
}

func (m *mc) authinfo() bool { return authTable.MatchString(m.live) }

// with returns the file with ukai's lines at its end. Each part names the diversion it belongs to, so the place does not
// matter to m4; behind the MAILER lines nothing of the operator's gets into the wrong one.
func (m *mc) with(l lines) []byte {
	eol := eolOf([]byte(m.text))
	var out strings.Builder
	out.WriteString(m.text)
	if m.text != "" && !strings.HasSuffix(m.text, "\n") {
		out.WriteString(eol)
	}
	put := func(head string, lines []string) {
		for _, line := range append([]string{head}, lines...) {
			out.WriteString(line + eol)
		}
	}
	put("dnl ukai: what follows is from ukai, and in sendmail.cf already. It is taken out by: ukai connect sendmail --remove", l.define)
	if len(l.maps) > 0 {
		put("LOCAL_CONFIG", l.maps)
	}
	put("LOCAL_NET_CONFIG", l.rules)
	put("MAILER_DEFINITIONS", l.mailer)
	return []byte(out.String())
}
