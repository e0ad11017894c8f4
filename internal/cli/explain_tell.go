package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/explain"
)

// tell writes an answer for people: the verdict, then the four parts, then what it was judged by.
func (e *env) tell(w io.Writer, x *explain.Explainer, a *answer, f *explainFlags) {
	groups := alike(a.found)
	if len(groups) > 1 {
		e.tellGroups(w, groups, f.all)
	}
	for i, g := range groups {
		if i > 0 && !f.all {
			break
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		words := x.Say(e.lang, g.first)
		e.tellWords(w, &words)
		e.tellSource(w, g)
	}
	if a.cut {
		paragraph(w, "", "", e.text("cli.explain.cut", "size", octets(maxExplain)))
	}
	for _, s := range a.found[0].Skipped {
		paragraph(w, "", "", e.text("cli.explain.skipped", "what", s))
	}
	if f.suggest {
		e.tellNearest(w, a.near)
	}
}

// tellWords writes the verdict and the four parts.
func (e *env) tellWords(w io.Writer, s *explain.Words) {
	paragraph(w, "", "", s.Head)
	for _, part := range []struct{ key, text string }{
		{"cli.explain.what", s.What}, {"cli.explain.fault", s.Fault}, {"cli.explain.ukai", s.Ukai},
	} {
		fmt.Fprintf(w, "\n%s\n", e.text(part.key))
		paragraph(w, "  ", "  ", part.text)
	}
	fmt.Fprintf(w, "\n%s\n", e.text("cli.explain.you"))
	for i, step := range s.You {
		mark := strconv.Itoa(i+1) + ". "
		if len(s.You) == 1 {
			mark = ""
		}
		paragraph(w, "  "+mark, "  "+strings.Repeat(" ", len(mark)), step)
	}
}

// tellSource writes what was judged and by what rule.
func (e *env) tellSource(w io.Writer, g *group) {
	f := g.first
	fmt.Fprintf(w, "\n%s\n", e.text("cli.explain.source"))
	text := []rune(f.Text)
	if len(text) > maxQuote {
		text = append(text[:maxQuote], []rune(" ...")...)
	}
	paragraph(w, "  ", "  ", string(text))
	switch {
	case f.Verdict.Rule != "":
		paragraph(w, "  ", "  ", e.text("cli.explain.rule", "rule", f.Verdict.Rule, "source", or(f.Source, "-")))
	case f.Verdict.Class == classify.Unclassified:
		paragraph(w, "  ", "  ", e.text("cli.explain.no_rule"))
	}
}

// maxQuote is how much of the text is shown, in characters.
const maxQuote = 400

// group is what means the same.
type group struct {
	first      *explain.Finding
	count      int
	recipients []string
}

// alike puts together what means the same of the same provider. What matters most comes first.
func alike(found []explain.Finding) []*group {
	var out []*group
	at := make(map[string]*group)
	for i := range found {
		f := &found[i]
		key := f.Verdict.Class + "\x00" + f.Provider + "\x00" + f.Verdict.List + "\x00" + strconv.FormatBool(f.Inbound)
		g, ok := at[key]
		if !ok {
			g = &group{first: f}
			at[key] = g
			out = append(out, g)
		}
		g.count++
		if f.Recipient != "" && len(g.recipients) < 3 {
			g.recipients = append(g.recipients, f.Recipient)
		}
	}
	return out
}

// tellGroups writes an overview of what was found.
func (e *env) tellGroups(w io.Writer, groups []*group, all bool) {
	t := newTable(e.text("cli.explain.column.count"), e.text("cli.explain.column.what"), e.text("cli.explain.column.provider"), e.text("cli.explain.column.recipients"))
	for _, g := range groups {
		to := join(g.recipients)
		if g.count > len(g.recipients) && len(g.recipients) == 3 {
			to += ", ..."
		}
		name := e.text(classify.NameKey(g.first.Verdict.Class))
		if g.first.Inbound {
			name = e.text("cli.explain.inbound", "name", name)
		}
		t.row(strconv.Itoa(g.count), name, or(g.first.Provider, "-"), to)
	}
	t.write(w)
	if !all {
		paragraph(w, "", "", e.text("cli.explain.first"))
	}
	fmt.Fprintln(w)
}

// tellNearest writes the rules that come closest.
func (e *env) tellNearest(w io.Writer, near []classify.Near) {
	fmt.Fprintf(w, "\n%s\n", e.text("cli.explain.nearest"))
	if len(near) == 0 {
		fmt.Fprintf(w, "  %s\n", e.text("cli.explain.nearest.none"))
		return
	}
	for i := range near {
		n := &near[i]
		paragraph(w, "  ", "    ", e.text("cli.explain.near", "percent", strconv.Itoa(int(100*n.Score+0.5)), "rule", n.Rule,
			"class", e.text(classify.NameKey(n.Class)), "shared", strings.Join(n.Shared, " / ")))
		for _, l := range n.Lacks {
			paragraph(w, "    ", "    ", e.text(l.Key(), "words", few(l.Words)))
		}
	}
}

// few joins the first words of a list that may be long.
func few(all []string) string {
	const most = 6
	if len(all) > most {
		return strings.Join(all[:most], " / ") + " / ..."
	}
	return strings.Join(all, " / ")
}
