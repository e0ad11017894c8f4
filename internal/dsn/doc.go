package dsn

import (
	"bytes"
	"unicode/utf8"
)

// The texts for people are brought into one form: each line without the blanks at its ends and the marks of quotation, runs of
// blanks as one. There are as many lines as in the text that was read, so that the n-th is the n-th there.

// noise stands where a phrase was taken out.
const noise = 0x01

// source is a text for people, with the place of its form in reader.doc.
type source struct {
	raw        []byte
	start, end int
}

// mark is a phrase that stands in the document.
type mark struct {
	phrase
	start, end int
}

// maxMarks bounds what is remembered of a text: nobody says so many things in a report.
const maxMarks = 4096

// addDoc appends a text.
func (rd *reader) addDoc(b []byte) {
	if i := statusInside(b); i >= 0 {
		rd.fields = append(rd.fields, b[i:])
		b = b[:i]
	}
	if len(rd.sources) >= 16 || len(rd.doc) > 2*MaxText {
		rd.skip("texts after the first sixteen")
		return
	}
	s := source{raw: b, start: len(rd.doc)}
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		before := len(rd.doc)
		rd.addLine(line)
		if len(line) > 9 && headerBegins(line) && !bare(rd.doc[:min(before, 512)]) {
			break // nothing behind it is the reporter's
		}
	}
	s.end = len(rd.doc)
	rd.sources = append(rd.sources, s)
}

// headerBegins tells whether a line is the first of the header of a message that was on its way.
func headerBegins(line []byte) bool {
	c := line[0] | 0x20
	return c == 'r' && (foldedAt(line, 0, "received: from ") || foldedAt(line, 0, "received: by ") || foldedAt(line, 0, "return-path: <"))
}

// addLine appends a line in the form of the document.
func (rd *reader) addLine(line []byte) {
	if len(line) > MaxLine {
		rd.skip("the ends of very long lines")
		line = line[:MaxLine]
	}
	rd.indents = append(rd.indents, len(line) > 0 && (line[0] == ' ' || line[0] == '\t'))
	line = bytes.TrimLeft(line, " \t")
	for len(line) > 1 && line[0] == '>' && line[1] == ' ' || len(line) == 1 && line[0] == '>' {
		line = bytes.TrimLeft(line[1:], " \t")
	}
	doc := rd.doc
	gap, first := false, len(doc)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c <= ' ' || c == 0x7f:
			gap = true
			continue
		case c >= utf8.RuneSelf:
			if n := wideBlank(line[i:]); n > 0 {
				gap = true
				i += n - 1
				continue
			}
		}
		if gap && len(doc) > first {
			doc = append(doc, ' ')
		}
		gap = false
		doc = append(doc, c)
	}
	doc = append(doc, '\n')
	rd.doc = doc
}

// wideBlank returns the length of the ideographic or no-break space that b begins with; 0 if it begins with none.
func wideBlank(b []byte) int {
	switch {
	case len(b) >= 2 && b[0] == 0xc2 && b[1] == 0xa0:
		return 2
	case len(b) >= 3 && b[0] == 0xe3 && b[1] == 0x80 && b[2] == 0x80, len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf:
		return 3
	}
	return 0
}

// mark finds the phrases, cuts the document where the original begins, and takes the noise out.
func (rd *reader) mark() {
	v := known()
	end := len(rd.doc)
	v.find.run(rd.doc, func(id int32, at int) {
		p := v.phrases[id]
		switch {
		case at > end || len(rd.marks) >= maxMarks:
		case p.role >= roleSubjectReport:
		case p.role == roleEnds:
			if start := lineStart(rd.doc, at-p.size); at < end && bare(rd.doc[start:at-p.size]) && !rd.first(start) {
				end = start
			}
		default:
			rd.marks = append(rd.marks, mark{phrase: p, start: at - p.size, end: at})
		}
	})
	rd.cutDoc(end)
	for _, m := range rd.marks {
		if m.role == roleNoise && m.end <= len(rd.doc) {
			rd.erase(m.start, m.end)
		}
	}
	kept := rd.marks[:0]
	for _, m := range rd.marks {
		if m.end > len(rd.doc) || m.role == roleNoise || m.role == roleHost && rd.doc[m.start] == noise {
			continue
		}
		kept = append(kept, m)
	}
	rd.marks = kept
}

// first tells whether only marks and blanks stand in the document before at: a text that begins as an original does is not cut.
func (rd *reader) first(at int) bool { return bare(rd.doc[:min(at, 512)]) }

// erase puts noise in the place of a phrase; line ends stay.
func (rd *reader) erase(start, end int) {
	for i := start; i < end; i++ {
		if rd.doc[i] != '\n' {
			rd.doc[i] = noise
		}
	}
}

// cutDoc cuts the document at end and reads what stands there in the text it was made from, as the original's header.
func (rd *reader) cutDoc(end int) {
	if end >= len(rd.doc) {
		return
	}
	for i := range rd.sources {
		s := &rd.sources[i]
		if end < s.start || end >= s.end {
			continue
		}
		raw := s.raw
		for range bytes.Count(rd.doc[s.start:end], []byte("\n")) {
			_, raw = cutLine(raw)
		}
		rd.inlineOriginal(raw)
		rd.sources = rd.sources[:i+1]
		s.end = end
		break
	}
	rd.doc = rd.doc[:end]
}

// inlineOriginal reads a message that follows the report in its own text: behind a line of marks, blank lines and a boundary.
func (rd *reader) inlineOriginal(raw []byte) {
	for range 12 {
		line, rest := cutLine(raw)
		if _, _, ok := cutField(bytes.TrimSpace(line)); ok {
			break
		}
		raw = rest
	}
	line, _ := cutLine(raw)
	if indent := len(line) - len(bytes.TrimLeft(line, " \t>")); indent > 0 && len(raw) < MaxText {
		raw = bytes.ReplaceAll(raw, append([]byte("\n"), line[:indent]...), []byte("\n"))[indent:]
	}
	if len(raw) == 0 {
		return
	}
	rd.inner = append(rd.inner, raw)
	h, _ := rd.splitHeader(raw)
	rd.about(&h)
}

func lineStart(b []byte, at int) int { return bytes.LastIndexByte(b[:at], '\n') + 1 }

// bare tells whether no letter and no digit stands in b.
func bare(b []byte) bool {
	for _, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 {
			return false
		}
	}
	return true
}
