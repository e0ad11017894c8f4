package dsn

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// fieldID names a header field that is of interest.
type fieldID uint8

const (
	fieldNone fieldID = iota
	fieldFrom
	fieldSubject
	fieldDate
	fieldMessageID
	fieldReturnPath
	fieldType
	fieldEncoding
	fieldDisposition
	fieldAuto       // Auto-Submitted (RFC 3834, section 5)
	fieldPrecedence // Precedence
	fieldReplier    // fields by which automatic answers betray themselves
	fieldFailed     // X-Failed-Recipients (Exim, Gmail)
	fieldInReplyTo
	fieldSpoken // fields by which reports betray themselves
	fieldPersonal
	fieldComplaint
	fieldTo // any that says to whom it was sent: all of them are kept, in header.to
	fieldRecipient
	numFields
)

// fieldNames are the fields, in lower case.
var fieldNames = map[string]fieldID{
	"from": fieldFrom, "subject": fieldSubject, "date": fieldDate, "message-id": fieldMessageID, "return-path": fieldReturnPath,
	"content-type": fieldType, "content-transfer-encoding": fieldEncoding, "content-disposition": fieldDisposition,
	"auto-submitted": fieldAuto, "precedence": fieldPrecedence, "x-failed-recipients": fieldFailed, "in-reply-to": fieldInReplyTo,
	"x-autoreply": fieldReplier, "x-autorespond": fieldReplier, "x-auto-reply": fieldReplier, "x-autoresponse": fieldReplier, "x-autoreply-from": fieldReplier,
	"x-mail-autoreply": fieldReplier, "x-ms-exchange-inbox-rules-loop": fieldReplier, "x-vacation": fieldReplier, "x-autoresponder": fieldReplier,
	"x-ms-exchange-message-is-ndr": fieldSpoken, "x-delivery-status": fieldSpoken,
	"x-hmxmroriginalrecipient": fieldComplaint, "x-apple-unsubscribe": fieldComplaint,
	"to": fieldTo, "delivered-to": fieldTo, "x-original-to": fieldTo, "envelope-to": fieldTo, "x-envelope-to": fieldTo,
	"x-delivered-to": fieldTo, "resent-to": fieldTo, "apparently-to": fieldTo, "x-rcpt-to": fieldTo, "x-forwarded-to": fieldTo, "cc": fieldTo,
}

// header is what is of interest in the header of an entity: the first field of each name, folded as it came.
type header struct {
	values [numFields][]byte
	to     [][]byte
}

func (h *header) get(id fieldID) []byte { return h.values[id] }

func (h *header) has(id fieldID) bool { return h.values[id] != nil }

// maxTo bounds the fields that say to whom a mail was sent.
const maxTo = 32

func (h *header) add(name, value []byte) {
	var buf [40]byte
	if len(name) > len(buf) {
		return
	}
	n := copy(buf[:], name)
	lowerASCII(buf[:n])
	id := fieldNames[string(buf[:n])]
	switch {
	case id == fieldNone:
	case id == fieldTo:
		if len(h.to) < maxTo {
			h.to = append(h.to, value)
		}
		if h.values[id] == nil && n == len("to") {
			h.values[id] = value
		}
	case h.values[id] == nil:
		if value == nil {
			value = []byte{}
		}
		h.values[id] = value
	}
}

// splitHeader reads the header at the start of an entity. It is tolerant (RFC 5322, section 2.2, is often broken here): it passes
// over the lines by which mailbox files divide messages and over single lines that are no field, and takes the header to end
// where a text without blank line follows it.
func (rd *reader) splitHeader(b []byte) (h header, body []byte) {
	limit := len(b)
	if limit > MaxHeader {
		limit = MaxHeader
	}
	start, seen := b, false
	for len(b) > 0 {
		if len(start)-len(b) >= limit {
			rd.skip(fmt.Sprintf("octet %d of a header and those after it: it is too long", MaxHeader+1))
			return h, afterBlank(b)
		}
		line, rest := cutLine(b)
		if len(line) == 0 {
			return h, rest
		}
		name, value, ok := cutField(line)
		switch {
		case ok:
			value, rest = folded(value, rest)
			h.add(name, value)
			seen = true
		case !seen && mailboxLine(line):
		case blank(line) && seen, line[0] == '-' && len(line) > 1 && line[1] == '-', !fieldFollows(rest): // a delimiter is no part of a header
			return h, b
		}
		b = rest
	}
	return h, nil
}

// afterBlank returns what follows the first blank line.
func afterBlank(b []byte) []byte {
	if i := bytes.Index(b, []byte("\n\n")); i >= 0 {
		return b[i+2:]
	}
	return nil
}

func mailboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")) || bytes.HasPrefix(line, []byte("#!"))
}

// fieldFollows tells whether the header goes on behind a line that is no field: a field that is known stands in the next lines,
// before any blank one. Somebody has broken the lines anew.
func fieldFollows(rest []byte) bool {
	for range 8 {
		line, next := cutLine(rest)
		if blank(line) {
			return false
		}
		name, _, ok := cutField(line)
		if ok && (isKnown(name) || len(name) > 2 && (foldedAt(name, 0, "x-") || foldedAt(name, 0, "received"))) {
			return true
		}
		rest = next
	}
	return false
}

// isKnown tells whether a field is of interest.
func isKnown(name []byte) bool {
	var buf [40]byte
	n := copy(buf[:], name)
	lowerASCII(buf[:n])
	return fieldNames[string(buf[:n])] != fieldNone
}

// cutField splits a line at the colon behind a field name (RFC 5322, section 2.2; blanks before the colon are obsolete).
func cutField(line []byte) (name, value []byte, ok bool) {
	for i, c := range line {
		switch {
		case c == ':':
			name = bytes.TrimRight(line[:i], " \t")
			return name, bytes.TrimLeft(line[i+1:], " \t"), len(name) > 0 && !bytes.HasPrefix(line[i+1:], []byte("//")) // a URL
		case c == ' ' || c == '\t':
			if i == 0 || i+1 == len(line) || line[i+1] != ':' {
				return nil, nil, false
			}
		case c < '!' || c > '~' || i > 80:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// folded adds the lines that continue a value (RFC 5322, section 2.2.3).
func folded(value, rest []byte) (all, after []byte) {
	if len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
		return value, rest
	}
	n := len(value)
	all = value[:n:n]
	from := rest
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		line, next := cutLine(rest)
		if blank(line) {
			break
		}
		rest = next
	}
	cont := from[:len(from)-len(rest)]
	if cap(value) > n+1+len(cont) { // the value and what continues it stand side by side
		return bytes.TrimRight(value[:n+1+len(cont)], "\n"), rest
	}
	return append(append(all, '\n'), cont...), rest
}

func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

func lowerASCII(b []byte) {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// unfolded returns a value on one line, its runs of blanks as one.
func unfolded(v []byte) string {
	if len(v) > MaxLine {
		v = v[:MaxLine]
	}
	return strings.Join(strings.Fields(string(v)), " ")
}

// dateForms are the forms of a date in the wild: RFC 5322, section 3.3, with and without its obsolete parts.
var dateForms = []string{
	"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04 -0700",
	"Mon Jan 2 15:04:05 2006", "2006-01-02T15:04:05Z07:00", "Mon, 2 Jan 2006 15:04:05",
}

// parseDate reads a date; the zero time stands for one that cannot be read.
func parseDate(v []byte) time.Time {
	if len(v) == 0 || len(v) > 200 {
		return time.Time{}
	}
	s := unfolded(v)
	if i := strings.IndexByte(s, '('); i > 0 { // a comment with the zone's name
		s = strings.TrimSpace(s[:i])
	}
	for _, f := range dateForms {
		if t, err := time.Parse(f, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
