package dsn

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// How much of a mail is looked at. A report is short, and what it says stands at its beginning; whatever is longer carries the
// original message, or is an attack.
const (
	MaxBytes   = 2 << 20   // octets of a mail that are looked at
	MaxDepth   = 8         // entities within entities (RFC 2046)
	MaxParts   = 256       // entities in all
	MaxHeader  = 128 << 10 // octets of the header of one entity
	MaxLine    = 16 << 10  // octets of one line of text
	MaxText    = 64 << 10  // octets of one part's text, decoded
	MaxDecoded = 1 << 20   // octets of text in all, decoded
	MaxResults = 512       // recipients of one report
	MaxReason  = 2 << 10   // octets of Text, Words and Reply of one result
)

// Read says what a mail is and what it reports. It takes anything, never fails, and looks at no more than the limits above.
func Read(b []byte) *Reading {
	rd := &reader{out: &Reading{Kind: Ordinary}}
	if len(b) > MaxBytes {
		rd.skip(fmt.Sprintf("octet %d and those after it: the mail is too long", MaxBytes+1))
		b = b[:MaxBytes]
	}
	rd.read(plainEnds(b))
	return rd.out
}

// ReadFrom reads a mail from r and says what it is, as Read does. At most limit octets are read, MaxBytes if limit is not
// positive or above that; what follows stays in r. The error is that of r, with a reading of what came before it.
func ReadFrom(r io.Reader, limit int64) (*Reading, error) {
	if limit <= 0 || limit > MaxBytes {
		limit = MaxBytes
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(b)) <= limit || limit == MaxBytes {
		return Read(b), err
	}
	out := Read(b[:limit])
	out.Skipped = append(out.Skipped, fmt.Sprintf("octet %d and those after it: the mail is too long", limit+1))
	return out, err
}

// reader is one reading under way.
type reader struct {
	out     *Reading
	top     header // of the mail itself
	parts   int
	decoded int
	doc     []byte   // texts for people, in the form of doc.go
	sources []source // what the document was made from
	indents []bool   // by line of the document: it was indented
	marks   []mark   // phrases in it
	html    []byte   // the first HTML text, for want of another
	fields  [][]byte // texts with fields for programs: delivery status
	inner   [][]byte // messages that stand inside
	tells   string   // the reason that the subject gives
	// What the structure says.
	feedback []byte // message/feedback-report
	receipt  bool   // message/disposition-notification
	nested   bool   // this is a message that stood in another one
}

// skip notes what is not looked at, once.
func (rd *reader) skip(what string) {
	if !slices.Contains(rd.out.Skipped, what) && len(rd.out.Skipped) < 16 {
		rd.out.Skipped = append(rd.out.Skipped, what)
	}
}

func (rd *reader) read(b []byte) {
	b = bytes.TrimLeft(b, "\n\x00 \t\ufeff")
	head, body := rd.splitHeader(b)
	rd.top = head
	rd.describe(&head)
	rd.entity(&head, body, 0)
	rd.judge()
	if o := rd.out; !rd.nested && (o.Kind == Ordinary || o.Kind == Bounce && o.Format == "") {
		rd.forwarded()
	}
}

// describe takes over what the header of the mail says.
func (rd *reader) describe(h *header) {
	o := rd.out
	o.From = firstAddr(h.get(fieldFrom))
	o.Subject = headerText(h.get(fieldSubject))
	o.Date = parseDate(h.get(fieldDate))
	for _, v := range h.to {
		o.To = appendAddrs(o.To, v)
	}
}

// forwarded looks whether the mail carries a report that somebody has sent on (RFC 2046, section 5.2.1). Then that one counts,
// and the addresses of both.
func (rd *reader) forwarded() {
	for _, b := range rd.inner {
		in := &reader{out: &Reading{Kind: Ordinary}, nested: true, parts: rd.parts, decoded: rd.decoded}
		in.read(b)
		if in.out.Format == "" || in.out.Kind == Ordinary || in.out.Kind == AutoReply {
			continue
		}
		for _, a := range rd.out.To {
			if !slices.Contains(in.out.To, a) {
				in.out.To = append(in.out.To, a)
			}
		}
		in.out.Skipped = append(rd.out.Skipped, in.out.Skipped...)
		rd.out = in.out
		return
	}
}

// plainEnds returns b with each line end (CRLF, LF, CR, and CR CR LF, which some gateways make) as one LF, and without a copy
// where there is nothing to do.
func plainEnds(b []byte) []byte {
	i := bytes.IndexByte(b, '\r')
	if i < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i >= 0 {
		out = append(append(out, b[:i]...), '\n')
		b = b[i:]
		n := 1
		for n < len(b) && n < 4 && b[n] == '\r' {
			n++
		}
		if n < len(b) && b[n] == '\n' {
			b = b[n+1:]
		} else {
			b = b[1:]
		}
		i = bytes.IndexByte(b, '\r')
	}
	return append(out, b...)
}

// cutLine returns the first line of b without its end, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// clone returns a string that owns its memory, at most n octets long.
func clone(s string, n int) string {
	if len(s) > n {
		s = s[:cut(s, n)]
	}
	return strings.Clone(s)
}
