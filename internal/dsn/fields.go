package dsn

import (
	"bytes"
	"fmt"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Field names of RFC 3464 by which a text betrays that it is a delivery status.
var statusNames = []string{"reporting-mta", "final-recipient", "original-recipient", "original-envelope-id", "diagnostic-code", "received-from-mta", "dsn-gateway", "x-postfix-queue-id"}

// looksLikeStatus tells whether a text begins as the fields of a delivery status do.
func looksLikeStatus(b []byte) bool {
	b = bytes.TrimLeft(b, "\n \t")
	return isStatusLine(firstLine(b[:min(len(b), 200)]))
}

func isStatusLine(line []byte) bool {
	if len(line) < 12 {
		return false
	}
	for _, name := range statusNames {
		if foldedAt(line, 0, name) && len(line) > len(name) && line[len(name)] == ':' {
			return true
		}
	}
	return false
}

// statusInside returns where the fields of a delivery status begin in a text for people, at the start of a line; -1 if there
// are none.
func statusInside(b []byte) int {
	for i := 0; i < len(b); {
		line, _ := cutLine(b[i:])
		if len(line) > 11 && line[0]|0x20 >= 'd' && isStatusLine(line) && !foldedAt(line, 0, "diagnostic-code") {
			return i
		}
		i += len(line) + 1
	}
	return -1
}

// looksLikeHeader tells whether a text begins as the header of a message does.
func looksLikeHeader(b []byte) bool {
	b = bytes.TrimLeft(b, "\n")
	for range 6 {
		line, rest := cutLine(b)
		if foldedAt(line, 0, "received: ") || foldedAt(line, 0, "return-path:") || foldedAt(line, 0, "message-id:") {
			return true
		}
		if _, _, ok := cutField(line); !ok {
			return false
		}
		_, b = folded(nil, rest)
	}
	return false
}

// group is what has been read of one recipient.
type group struct {
	Result
	diagType string
	any      bool
	final    bool
}

// status reads the fields of a delivery status (RFC 3464, section 2.1; RFC 6533, section 3): groups of fields, blank lines
// between them. Missing blank lines, lines that are not folded as they should be, and repeated fields are put up with.
func (rd *reader) status(b []byte) {
	var g group
	for len(b) > 0 {
		line, rest := cutLine(b)
		b = rest
		if blank(line) {
			rd.flush(&g)
			continue
		}
		name, value, ok := cutField(bytes.TrimLeft(line, " \t>"))
		if !ok {
			if len(line) > 3 && line[0] == '-' && line[1] == '-' { // a boundary that nobody announced
				break
			}
			continue
		}
		value, b = folded(value, b)
		for len(b) > 0 && !blank(firstLine(b)) && !endsField(firstLine(b)) { // continued, but not indented
			line, b = cutLine(b)
			if len(value) < 2*MaxReason {
				value = append(append(append(make([]byte, 0, len(value)+len(line)+1), value...), '\n'), line...)
			}
		}
		rd.field(&g, name, value)
	}
	rd.flush(&g)
}

// endsField tells whether a line does not continue the field before it.
func endsField(line []byte) bool {
	_, _, ok := cutField(line)
	return ok || line[0] == '-' && len(line) > 1 && line[1] == '-'
}

// field takes one field.
func (rd *reader) field(g *group, name, value []byte) {
	var buf [24]byte
	if len(name) > len(buf) {
		return
	}
	n := copy(buf[:], name)
	lowerASCII(buf[:n])
	switch string(buf[:n]) {
	case "reporting-mta":
		if rd.out.Reporter == "" {
			_, host := typed(value)
			rd.out.Reporter = strings.ToLower(firstWord(host))
		}
	case "original-envelope-id":
		rd.out.Original.EnvID = clone(unfolded(value), 500)
	case "arrival-date":
		rd.out.Original.Arrival = parseDate(value)
	case "x-postfix-sender", "x-original-sender":
		_, a := typed(value)
		rd.out.Original.ReturnPath = bareAddr(a)
		rd.sentTo(rd.out.Original.ReturnPath)
	case "x-original-message-id":
		rd.out.Original.MessageID = messageID(value)
	default:
		rd.recipientField(g, string(buf[:n]), value)
	}
}

// recipientField takes a field of one recipient (RFC 3464, section 2.3).
func (rd *reader) recipientField(g *group, name string, value []byte) {
	switch name {
	case "final-recipient":
		if g.final {
			rd.flush(g)
		}
		g.final, g.any = true, true
		g.Recipient = recipientOf(value)
	case "original-recipient":
		if g.final && g.Given != "" {
			rd.flush(g)
		}
		g.any = true
		g.Given = recipientOf(value)
	case "x-actual-recipient", "x-failed-recipient", "x-failed-recipients":
		if g.Recipient == "" && !g.any {
			g.any, g.Recipient = true, recipientOf(value)
		}
	case "action":
		g.Action = actionOf(value)
		g.any = true
	case "status":
		g.Status = findStatus(unfolded(value))
	case "remote-mta":
		_, host := typed(value)
		g.Host = strings.ToLower(strings.Trim(firstWord(host), "[]()<>,;."))
	case "diagnostic-code":
		if g.Text == "" {
			g.diagType, g.Text = typed(value)
		}
	}
}

// flush ends a group: it becomes a result if it is about a recipient.
func (rd *reader) flush(g *group) {
	if !g.any {
		*g = group{}
		return
	}
	r := g.Result
	if r.Recipient == "" {
		r.Recipient, r.Given = r.Given, ""
	}
	if strings.EqualFold(r.Given, r.Recipient) {
		r.Given = ""
	}
	*g = group{}
	rd.finish(&r)
	rd.result(r)
}

// result adds a result.
func (rd *reader) result(r Result) {
	if len(rd.out.Results) >= MaxResults {
		rd.skip(fmt.Sprintf("recipient %d and those after it: too many", MaxResults+1))
		return
	}
	rd.out.Results = append(rd.out.Results, r)
}

// finish reads out of the text of a result what its fields do not say.
func (rd *reader) finish(r *Result) {
	if r.Reply.Code == 0 && r.Text != "" {
		r.Reply = parseReply(r.Text)
	}
	rd.phraseIn(r, r.Text)
	if r.Status.Class == 0 || r.Status.Subject == 0 && r.Status.Detail == 0 {
		if st := r.Reply.Status; st.Class != 0 {
			r.Status = st
		} else if st := findStatus(r.Text); st.Class != 0 {
			r.Status = st
		}
	}
	if r.Action == "" {
		r.Action = actionBy(r.Status, r.Reply)
	}
}

// actionBy is the action where none is told.
func actionBy(st mail.Status, reply mail.Reply) Action {
	switch {
	case st.Class == 4 || st.Class == 0 && reply.Temporary():
		return Delayed
	case st.Class == 2:
		return Delivered
	}
	return Failed
}

// phraseIn finds host and phase in a text.
func (rd *reader) phraseIn(r *Result, s string) {
	v := known()
	v.find.run([]byte(s), func(id int32, end int) {
		p := v.phrases[id]
		switch {
		case p.role == rolePhase && !r.PhaseKnown:
			r.Phase, r.PhaseKnown = outcome.Phase(p.n), true
		case p.role == roleHost && r.Host == "" && ofServer(s[:end-p.size]):
			r.Host = hostAt([]byte(s[end:min(len(s), end+300)]))
		}
	})
}

// ofServer tells whether a word for a host, before which the text stands, is about the server that refused, and not about us.
func ofServer[T string | []byte](before T) bool {
	n := len(before)
	if n > 0 && isWord(before[n-1]) {
		return false
	}
	tail := []byte(before[max(0, n-9):])
	return !hasFold(tail, "client ") && !hasFold(tail, "sending ") && !hasFold(tail, "your ")
}
