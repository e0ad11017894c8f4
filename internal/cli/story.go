package cli

import (
	"strings"
	"time"

	"ukai/internal/api"
	"ukai/internal/i18n"
	"ukai/internal/journal"
)

// story tells what happened to a message, a line per event, in a language.
func story(l i18n.Lang, s *api.Story) []string {
	lines := []string{i18n.Text(l, "trace.head", "id", s.ID)}
	for i := range s.Events {
		e := &s.Events[i]
		for n, text := range tell(l, e) {
			stamp := e.At.Local().Format("2006-01-02 15:04:05.000")
			if n > 0 {
				stamp = strings.Repeat(" ", len(stamp))
			}
			lines = append(lines, stamp+"  "+text)
		}
	}
	return append(lines, remaining(l, s)...)
}

// remaining tells what is left to do.
func remaining(l i18n.Lang, s *api.Story) []string {
	indent := strings.Repeat(" ", 25)
	if s.Queued == nil {
		return []string{indent + i18n.Text(l, "trace.done")}
	}
	var lines []string
	for _, d := range s.Queued.Deliveries {
		key := "trace.queued"
		if d.Held {
			key = "trace.queued.held"
		}
		lines = append(lines, indent+i18n.Text(l, key, "recipients", join(d.Recipients), "attempts", d.Attempts, "due", d.Due))
	}
	return lines
}

// tell puts one event into words, the second and later lines explaining the first.
func tell(l i18n.Lang, e *journal.Event) []string {
	args := []any{
		"recipients", join(e.Recipients), "egress", e.Egress, "provider", e.Provider, "host", e.Host, "text", e.Text, "took", e.Took,
		"until", e.Until, "from", e.From, "client", e.Client, "account", e.Account, "message_id", e.MessageID, "size", e.Size, "would", e.Would,
		"phase", i18n.Text(l, "trace.phase."+e.Phase), "source", e.Source, "why", why(l, e), "about", e.Text,
	}
	switch e.Kind {
	case journal.Accepted:
		return accepted(l, e, args)
	case journal.Attempt:
		return attempt(l, e, args)
	case journal.Decided:
		if e.Would != "" {
			return explained(l, e, i18n.Text(l, "trace.decided.would", args...))
		}
		return explained(l, e, i18n.Text(l, "trace.decided", args...))
	case journal.Reported:
		return reported(l, e, args)
	case journal.Ordered: // its reason is what was ordered
		return []string{i18n.Text(l, "trace.ordered", args...)}
	}
	return explained(l, e, i18n.Text(l, "trace."+string(e.Kind), args...))
}

// explained puts the reason of an event, where there is one, below it.
func explained(l i18n.Lang, e *journal.Event, text string) []string {
	if e.Why == "" {
		return []string{text}
	}
	return []string{text, why(l, e)}
}

// accepted tells how a message came in. What ukai wrote itself has no client.
func accepted(l i18n.Lang, e *journal.Event, args []any) []string {
	key := "trace.accepted"
	switch {
	case e.Client == "":
		return []string{i18n.Text(l, "trace.accepted.report", args...)}
	case e.Account != "":
		key = "trace.accepted.account"
	}
	text := []string{i18n.Text(l, key, args...)}
	if e.MessageID != "" {
		text = append(text, i18n.Text(l, "trace.accepted.message_id", args...))
	}
	return text
}

func attempt(l i18n.Lang, e *journal.Event, args []any) []string {
	if e.Code >= 200 && e.Code < 300 {
		key := "trace.delivered"
		switch {
		case e.Probe:
			key = "trace.delivered.probe"
		case e.Detour:
			key = "trace.delivered.detour"
		}
		return []string{i18n.Text(l, key, args...)}
	}
	key := "trace.refused"
	switch {
	case e.Egress == "":
		key = "trace.lookup.failed"
	case e.Code == 0:
		key = "trace.failed"
	}
	return append([]string{i18n.Text(l, key, args...)}, judged(l, e)...)
}

// reported tells what came back for a message after it was handed over.
func reported(l i18n.Lang, e *journal.Event, args []any) []string {
	if e.Code >= 200 && e.Code < 300 {
		return []string{i18n.Text(l, "trace.reported.delivered", args...)}
	}
	return append([]string{i18n.Text(l, "trace.reported", args...)}, judged(l, e)...)
}

// judged says what a refusal means, where that is known.
func judged(l i18n.Lang, e *journal.Event) []string {
	if e.Class == "" {
		return nil
	}
	verdict := "trace.verdict"
	if e.Rule != "" {
		verdict = "trace.verdict.rule"
	}
	return []string{i18n.Text(l, verdict, "class", i18n.Text(l, "classify.class."+e.Class), "what", i18n.Text(l, "classify.what."+e.Class), "rule", e.Rule)}
}

// why puts the reason of an event into words.
func why(l i18n.Lang, e *journal.Event) string {
	if e.Why == "" {
		return ""
	}
	return i18n.Text(l, e.Why, "egress", e.Egress, "preferred", e.Preferred, "provider", e.Provider, "until", clock(e.Until))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func join(list []string) string { return strings.Join(list, ", ") }
