package dsn

import (
	"bytes"
	"fmt"
)

// entity looks at one entity of MIME (RFC 2045, section 2.4) with its header and body, and at those within.
func (rd *reader) entity(h *header, body []byte, depth int) {
	if rd.parts++; rd.parts > MaxParts {
		rd.skip(fmt.Sprintf("part %d and those after it: too many parts", MaxParts+1))
		return
	}
	m := parseMedia(h.get(fieldType))
	if m.is("multipart") {
		rd.multipart(&m, body, depth)
		return
	}
	rd.leaf(h, &m, body, depth)
}

// leaf looks at an entity that has no others within, or a whole message.
func (rd *reader) leaf(h *header, m *media, body []byte, depth int) {
	switch {
	case m.kind == "message/delivery-status", m.kind == "message/global-delivery-status":
		rd.fields = append(rd.fields, rd.decode(h, body))
	case m.kind == "message/feedback-report":
		rd.feedback = rd.decode(h, body)
	case m.kind == "message/disposition-notification", m.kind == "message/global-disposition-notification":
		rd.receipt = true
	case m.kind == "message/rfc822", m.kind == "message/global", m.kind == "message/rfc822-headers", m.kind == "text/rfc822-headers",
		m.kind == "text/rfc822-header", m.kind == "message/global-headers", m.kind == "text/rfc822", m.kind == "message/partial":
		rd.message(rd.decode(h, body), depth)
	case depth > 0 && attached(h, m):
		rd.attachment(h, m, body, depth)
	case m.kind == "text/html", m.kind == "text/x-html":
		if rd.html == nil {
			rd.html = rd.textOf(h, m, body)
		}
	case m.is("text"), m.kind == "", m.kind == "message/delivery-report", m.kind == "message", depth == 0 && !m.is("image"):
		rd.text(rd.textOf(h, m, body), depth)
	}
}

// attached tells whether an entity is a file that somebody attached.
func attached(h *header, m *media) bool {
	if !m.is("text") {
		return m.kind != "" && m.kind != "message" && m.kind != "message/delivery-report"
	}
	d := h.get(fieldDisposition)
	return hasFold(d, "attachment") && !hasFold(d, "status") && !hasFold(d, "detail") && !hasFold(d, "report") && !hasFold(d, "error")
}

// attachment passes over a file, unless it is the header of the original.
func (rd *reader) attachment(h *header, m *media, body []byte, depth int) {
	if !m.is("text") {
		return
	}
	if b := rd.decode(h, body); looksLikeHeader(b) {
		rd.message(b, depth)
		return
	}
	rd.skip("an attached file of text")
}

// message takes a message, or the header of one, that stands inside: most often the one that a report is about.
func (rd *reader) message(b []byte, depth int) {
	b = bytes.TrimLeft(b, "\n \t")
	if len(b) == 0 {
		return
	}
	if depth >= MaxDepth {
		rd.skip(fmt.Sprintf("what lies deeper than %d entities", MaxDepth))
		return
	}
	if len(rd.inner) < 8 {
		rd.inner = append(rd.inner, b)
	}
	h, _ := rd.splitHeader(b)
	rd.about(&h)
}

// text takes a text for people, or what only says that it is one.
func (rd *reader) text(b []byte, depth int) {
	switch {
	case looksLikeStatus(b):
		rd.fields = append(rd.fields, b)
	case depth > 0 && len(rd.doc) > 0 && looksLikeHeader(b):
		rd.message(b, depth)
	case rd.multipartUnsaid(b, depth):
	default:
		rd.addDoc(b)
	}
}

// multipartUnsaid takes a text that consists of parts although nobody said so: its header was lost or is broken.
func (rd *reader) multipartUnsaid(b []byte, depth int) bool {
	if depth >= MaxDepth {
		return false
	}
	boundary := guessBoundary(b)
	if boundary == nil {
		return false
	}
	at, _, _ := nextDelimiter(b, 0, boundary)
	if before := b[:at]; !bare(before) && (at > 300 || !hasFold(before, "mime")) { // the original's parts, behind words that count
		return false
	}
	rd.split(b, boundary, depth)
	return true
}

// multipart looks at each part (RFC 2046, section 5.1.1). A boundary that is not told, or told wrongly, is guessed.
func (rd *reader) multipart(m *media, body []byte, depth int) {
	if depth >= MaxDepth {
		rd.skip(fmt.Sprintf("what lies deeper than %d entities", MaxDepth))
		return
	}
	boundary := m.boundary
	if len(boundary) == 0 || !hasDelimiter(body, boundary) {
		boundary = guessBoundary(body)
	}
	if boundary == nil {
		h := header{}
		rd.leaf(&h, &media{}, body, depth)
		return
	}
	rd.split(body, boundary, depth)
}

// split cuts body at the lines that begin with -- and the boundary. What stands before the first is for programs that know
// no MIME and seldom says anything; it is taken if it looks like a report.
func (rd *reader) split(body, boundary []byte, depth int) {
	var part []byte
	in := false
	from := 0
	for from < len(body) {
		at, next, last := nextDelimiter(body, from, boundary)
		part = body[from:at]
		if in {
			rd.part(part, depth)
		} else if len(part) > 40 && looksLikeStatus(part) {
			rd.fields = append(rd.fields, part)
		}
		if rd.parts > MaxParts {
			return
		}
		in, from = true, next
		if last && !hasDelimiter(body[next:], boundary) {
			// What stands behind the end is the original with some servers that know no better.
			return
		}
	}
}

func (rd *reader) part(b []byte, depth int) {
	b = bytes.TrimSuffix(b, []byte("\n"))
	var h header
	if len(b) > 0 && b[0] == '\n' { // no header: text (RFC 2045, section 5.2)
		b = b[1:]
	} else {
		h, b = rd.splitHeader(b)
	}
	rd.entity(&h, b, depth+1)
}

// nextDelimiter finds the next delimiter line at or behind from: where it begins, where the line after it begins, and whether
// it is the last one. Without any, all of them are the end.
func nextDelimiter(b []byte, from int, boundary []byte) (at, next int, last bool) {
	for i := from; i < len(b); {
		n := bytes.Index(b[i:], boundary)
		if n < 0 {
			break
		}
		at = i + n
		if at < from+2 || b[at-1] != '-' || b[at-2] != '-' || at > 2 && b[at-3] != '\n' {
			i = at + 1
			continue
		}
		tail, _ := cutLine(b[at+len(boundary):])
		end := min(len(b), at+len(boundary)+len(tail)+1)
		switch t := bytes.TrimRight(tail, " \t"); {
		case len(t) == 0:
			return at - 2, end, false
		case string(t) == "--":
			return at - 2, end, true
		}
		i = at + 1
	}
	return len(b), len(b), true
}

func hasDelimiter(b, boundary []byte) bool {
	at, _, _ := nextDelimiter(b, 0, boundary)
	return at < len(b)
}

// guessBoundary returns the boundary of a body whose first line with -- is followed by a field of MIME; nil if there is none.
func guessBoundary(b []byte) []byte {
	if len(b) > 1<<14 {
		b = b[:1<<14]
	}
	for len(b) > 0 {
		line, rest := cutLine(b)
		b = rest
		if len(line) < 4 || line[0] != '-' || line[1] != '-' {
			continue
		}
		name, _, ok := cutField(firstLine(rest))
		if ok && len(name) > 8 && hasFold(name[:8], "content-") {
			return bytes.TrimRight(line[2:], " \t")
		}
	}
	return nil
}

func firstLine(b []byte) []byte {
	line, _ := cutLine(b)
	return line
}
