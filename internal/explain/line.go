package explain

import (
	"bytes"
	"regexp"

	"ukai/internal/classify"
)

// logLike is how lines of logs begin: RFC 3164, RFC 3339, Exim, TAI64N, "[2019-...]"; or what they cannot hide when the stamp was
// cut off.
var logLike = regexp.MustCompile(`^(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|@[0-9a-f]{24} )|^(?:[0-9A-Za-z]{6,20}|NOQUEUE): (?:to=<|reject|host |client=|milter-reject|from=<)|\b(?:relay=\S+, .*(?:status|stat)=|to=<[^>]*>, .*status=|stat=(?:User|Service|Deferred|Host|Sent)|ctladdr=)|postfix/[a-z]+\[\d+\]|sm-mta\[\d+\]|^(?:reject|reject_warning|milter-reject): `)

// maxLines bounds how many lines of a log one text may have; the first ones count.
const maxLines = 100_000

// lines reads a text as lines of a log. It returns nil for a text that is none. Lines that say nothing about a delivery
// are left out as long as there are others.
func (e *Explainer) lines(b []byte) []Finding {
	var found []Finding
	var silent *Finding
	for n := 0; len(b) > 0 && n < maxLines; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || !logLike.Match(line[:min(len(line), maxLine)]) {
			if n == 0 && len(line) > 0 {
				return nil // a log begins with its first line
			}
			continue
		}
		f, ok := e.line(line)
		if ok {
			found = append(found, f)
		} else if silent == nil {
			silent = &f
		}
	}
	if len(found) == 0 && silent != nil {
		found = append(found, *silent)
	}
	return found
}

// Line says what one line of a mail server's log means, without its neighbours.
func (e *Explainer) Line(b []byte) []Finding {
	f, _ := e.line(b)
	return []Finding{f}
}

// line judges a line; ok is false when it tells nothing of a delivery or a refusal.
func (e *Explainer) line(b []byte) (f Finding, ok bool) {
	s := oneLine(string(b[:min(len(b), 4*maxLine)]))
	c := cluesOf(s)
	f = Finding{
		Kind: LogLine, Inbound: c.inbound, Text: s, Host: c.host, Recipient: c.recipient, Sender: c.sender,
		Code: c.code, Status: c.status,
	}
	if c.inbound {
		f.Verdict = e.Rules.Text("", s)
	} else if f.Provider = e.speaker("", &f); c.taken {
		f.Verdict = kindVerdict(classify.Delivered)
	} else {
		f.Verdict = e.Rules.Text(f.Provider, s)
	}
	e.finish(&f)
	return f, c.taken || c.code >= 400 || f.Verdict.Class != classify.Unclassified
}
