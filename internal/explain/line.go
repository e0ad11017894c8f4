package explain

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"time"

	"ukai/internal/classify"
	"ukai/internal/maillog"
)

// logLike is how lines of logs begin: RFC 3164, RFC 3339, Exim, TAI64N, an entry of a journal; or what they cannot hide when the
// stamp was cut off.
var logLike = regexp.MustCompile(`^(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|@[0-9a-f]{24} |\d{10}[. ]|\{".*"MESSAGE")` +
	`|^(?:[0-9A-Za-z]{6,20}|NOQUEUE): (?:to=<|reject|host |client=|milter-reject|from=<)` +
	`|\b(?:relay=\S+, .*(?:status|stat)=|to=<[^>]*>, .*status=|stat=(?:User|Service|Deferred|Host|Sent)|ctladdr=)|postfix/[a-z]+\[\d+\]|sm-mta\[\d+\]` +
	`|^(?:reject|reject_warning|milter-reject): `)

// maxLines bounds how many lines of a log one text may have; the first ones count. For whole logs there is package survey.
const maxLines = 3_000

// lines reads a text as lines of a log, refusals first. It returns nil for a text that is none. Lines that say nothing about a
// delivery are left out as long as there are others.
func (e *Explainer) lines(b []byte) []Finding {
	var found []Finding
	var silent *Finding
	p := newParser(maxLines)
	for n := 0; len(b) > 0 && n < maxLines; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || !logLike.Match(line[:min(len(line), maxLine)]) {
			if len(found) == 0 && silent == nil && len(line) > 0 {
				return nil // a log begins with its first line
			}
			continue
		}
		more, told := e.line(p, line)
		if told {
			found = append(found, more...)
		} else if silent == nil {
			silent = &more[0]
		}
	}
	if len(found) == 0 && silent != nil {
		found = append(found, *silent)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return a.rank() - b.rank() })
	if len(b) > 0 && len(found) > 0 {
		found[0].Skipped = append(found[0].Skipped, "the lines after the first "+strconv.Itoa(maxLines))
	}
	return found
}

// rank sorts by what matters: refusals for good, those for the time being, inbound ones, what went well.
func (f *Finding) rank() int {
	switch {
	case f.Verdict.Action == classify.Deliver:
		return 3
	case f.Inbound:
		return 2
	case f.Verdict.Action == classify.Retry:
		return 1
	}
	return 0
}

// newParser makes a parser that remembers so many messages. The time of a line does not matter here, so any zone is right.
func newParser(remember int) *maillog.Parser {
	return maillog.NewParser(maillog.Options{Location: time.UTC, Remember: remember})
}

// Line says what one line of a mail server's log means, without its neighbours.
func (e *Explainer) Line(b []byte) []Finding {
	found, _ := e.line(newParser(1), bytes.TrimSpace(b))
	return found
}

// line judges a line; told is false when it tells nothing of a delivery or a refusal. There is always a Finding.
func (e *Explainer) line(p *maillog.Parser, b []byte) (found []Finding, told bool) {
	s := oneLine(string(b[:min(len(b), 4*maxLine)]))
	// An error of the parser can only be one of the function that it is given, which has none.
	_ = p.Line(b, func(ev *maillog.Event) error {
		found = append(found, e.event(ev, s))
		return nil
	})
	if len(found) > 0 {
		return found, true
	}
	f := e.unread(s)
	told = f.Code >= 400 || f.Verdict.Class != classify.Unclassified
	return []Finding{f}, told
}

// event makes a Finding of what the parser read in the line s.
func (e *Explainer) event(ev *maillog.Event, s string) Finding {
	f := Finding{
		Kind: LogLine, Inbound: ev.Kind == maillog.Rejected, Text: s, Sender: ev.From, Recipient: ev.To,
		Host: ev.Relay, Code: ev.Reply.Code, Status: ev.Reply.Status,
	}
	if f.Inbound {
		f.Host = ev.ClientName
		if f.Host == "" && ev.Client.IsValid() {
			f.Host = ev.Client.String()
		}
	}
	if f.Code == 0 {
		f.Code, f.Status = codeOf(s)
	}
	if !f.Inbound {
		if f.Host == "" {
			f.Host = refuser(s)
		}
		f.Provider = e.speaker("", &f)
	}
	if ev.Phase != 0 && f.Code != 0 {
		f.Phase = ev.Phase.String()
	}
	switch ev.Kind {
	case maillog.Delivered, maillog.Accepted:
		f.Verdict = kindVerdict(classify.Delivered)
	default:
		f.Verdict = e.judge(&f, ev.Text, s)
	}
	if f.Inbound && !f.Verdict.IP.IsValid() {
		f.Verdict.IP = ev.Client
	}
	if f.Inbound && f.Verdict.List == "" {
		f.Verdict.List = ev.List
	}
	e.finish(&f)
	return f
}

// judge asks the words that a log quotes, and all of its line only if they name no cause.
func (e *Explainer) judge(f *Finding, quoted, line string) classify.Verdict {
	v := e.Rules.Text(f.Provider, or(quoted, line))
	if telling(&v) == named || quoted == "" {
		return v
	}
	if w := e.Rules.Text(f.Provider, line); telling(&w) > telling(&v) {
		return w
	}
	return v
}

// unread judges a line that no parser knows, by what can be seen in any text.
func (e *Explainer) unread(s string) Finding {
	c := cluesOf(s)
	f := Finding{
		Kind: LogLine, Inbound: c.inbound, Text: s, Host: c.host, Recipient: c.recipient, Sender: c.sender, Code: c.code, Status: c.status,
	}
	if !c.inbound {
		f.Provider = e.speaker("", &f)
	}
	f.Verdict = e.Rules.Text(f.Provider, s)
	if c.taken {
		f.Verdict = kindVerdict(classify.Delivered)
	}
	e.finish(&f)
	return f
}
