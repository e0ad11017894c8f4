package dsn

import (
	"bytes"
	"net/url"
	"strings"
)

// media is a Content-Type (RFC 2045, section 5.1), as far as it is of interest.
type media struct {
	kind     string // in lower case: "text/plain"; empty where none was given, or none that can be read
	boundary []byte
	charset  string
	report   string // report-type
}

func (m *media) is(top string) bool {
	return strings.HasPrefix(m.kind, top) && len(m.kind) > len(top) && m.kind[len(top)] == '/'
}

// maxParams bounds the parameters of a field.
const maxParams = 32

// parseMedia reads a Content-Type. It takes what it can.
func parseMedia(v []byte) (m media) {
	if len(v) == 0 {
		return m
	}
	if len(v) > MaxLine {
		v = v[:MaxLine]
	}
	kind, rest := v, []byte(nil)
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		kind, rest = v[:i], v[i+1:]
	}
	m.kind = strings.ToLower(string(bytes.TrimSpace(kind)))
	if i := strings.IndexAny(m.kind, " \t\n"); i >= 0 { // "text/plain charset=..."
		rest = append([]byte(m.kind[i:]+";"), rest...)
		m.kind = m.kind[:i]
	}
	p := params{rest: rest}
	for range maxParams {
		if !p.next() {
			break
		}
		switch p.name {
		case "boundary":
			m.boundary = append(m.boundary, p.value...)
		case "charset":
			m.charset += strings.ToLower(string(p.value))
		case "report-type":
			m.report = strings.ToLower(string(p.value))
		}
	}
	return m
}

// params walks over the parameters of a field, with their continuations and charsets (RFC 2231): name*0, name*1*, name*.
type params struct {
	rest  []byte
	name  string // in lower case, without what RFC 2231 adds
	value []byte
}

func (p *params) next() bool {
	for {
		p.rest = bytes.TrimLeft(p.rest, " \t\n;")
		i := bytes.IndexByte(p.rest, '=')
		if i <= 0 {
			return false
		}
		name := strings.ToLower(string(bytes.TrimSpace(p.rest[:i])))
		p.rest = bytes.TrimLeft(p.rest[i+1:], " \t\n")
		p.value = p.take()
		base, ext, star := strings.Cut(name, "*")
		p.name = base
		if star && (ext == "" || strings.HasSuffix(ext, "*")) {
			p.value = percent(p.value, ext == "" || ext == "0*")
		}
		if p.name != "" {
			return true
		}
	}
}

// take takes a value off the rest: a quoted string, or all up to the next semicolon or blank.
func (p *params) take() []byte {
	if len(p.rest) == 0 || p.rest[0] != '"' {
		n := bytes.IndexAny(p.rest, "; \t\n")
		if n < 0 {
			n = len(p.rest)
		}
		v := p.rest[:n]
		p.rest = p.rest[n:]
		return v
	}
	var v []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '\\':
			if i+1 < len(p.rest) {
				i++
				v = append(v, p.rest[i])
			}
		case '"':
			p.rest = p.rest[i+1:]
			return v
		case '\n':
		default:
			v = append(v, c)
		}
	}
	p.rest = nil
	return v
}

// percent decodes a value of RFC 2231; the first one begins with charset and language.
func percent(v []byte, first bool) []byte {
	s := string(v)
	if first {
		if parts := strings.SplitN(s, "'", 3); len(parts) == 3 {
			s = parts[2]
		}
	}
	if d, err := url.PathUnescape(s); err == nil {
		return []byte(d)
	}
	return []byte(s)
}

// hasFold tells whether b has the word, which is in lower case, in any case of ASCII.
func hasFold(b []byte, word string) bool {
	for i := 0; i+len(word) <= len(b); i++ {
		if foldedAt(b, i, word) {
			return true
		}
	}
	return false
}

// foldedAt tells whether the word, which is in lower case, stands at b[i:] in any case of ASCII.
func foldedAt(b []byte, i int, word string) bool {
	if i < 0 || i+len(word) > len(b) {
		return false
	}
	for k := 0; k < len(word); k++ {
		c := b[i+k]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[k] {
			return false
		}
	}
	return true
}
