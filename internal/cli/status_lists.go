package cli

import (
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/watch"
)

// lists tells of the monitor of the blocklists: what is watched, what is listed, which lists cannot be asked and why.
func (e *env) lists(s *watch.ListsStatus) []string {
	switch {
	case s == nil || len(s.Targets) == 0 && len(s.Listed) == 0:
		return nil
	case s.Unfit != "":
		return []string{e.text("cli.status.lists.unfit", "resolver", s.Resolver, "why", e.text("dnsbl.why."+s.Unfit))}
	}
	lines := []string{e.text("cli.status.lists.targets", "count", len(s.Targets), "listed", len(s.Listed))}
	for i := range s.Listed {
		l := &s.Listed[i]
		line := e.text("cli.status.lists.listed", "target", l.Target, "list", l.Name, "since", i18n.Duration(e.lang, e.now().Sub(l.Since)))
		if l.Verdict != "" {
			line += "  " + e.text("dnsbl.verdict."+l.Verdict)
		}
		lines = append(lines, line)
	}
	const most = 5
	var names []string
	for i := range s.Unasked {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, s.Unasked[i].List+" ("+e.text("dnsbl.why."+s.Unasked[i].Why)+")")
	}
	if len(names) > 0 {
		lines = append(lines, e.text("cli.status.lists.unasked", "count", len(s.Unasked), "names", strings.Join(names, ", ")))
	}
	return lines
}
