package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"ukai/internal/dnsbl"
)

// tell writes a finding for people: what it means, which lists say so, what they say, and what to do.
func (o *listedOutput) tell(f *dnsbl.Finding) {
	w := o.out
	verdict := o.text("dnsbl.verdict." + string(f.Verdict))
	if f.Target.Range.IsValid() && f.Verdict == dnsbl.Neighbour {
		verdict = o.text("dnsbl.verdict.part")
	}
	fmt.Fprintln(w, o.text("cli.listed.head", "target", f.Target.String(), "verdict", verdict))
	o.table(w, f)
	o.draw(w, f)
	for i := range f.Evidence {
		fmt.Fprintln(w, "  "+o.evidence(&f.Evidence[i]))
	}
	told := make(map[string]bool)
	for i := range f.Answers {
		if a := &f.Answers[i]; a.Accuses() && !told[a.List.ID] {
			told[a.List.ID] = true
			o.delist(w, a)
		}
	}
	fmt.Fprintln(w)
}

// table shows the answers that say something; with --all every one.
func (o *listedOutput) table(w io.Writer, f *dnsbl.Finding) {
	t := newTable(o.text("cli.listed.column.list"), o.text("cli.listed.column.zone"), o.text("cli.listed.column.state"),
		o.text("cli.listed.column.code"), o.text("cli.listed.column.scope"), o.text("cli.listed.column.meaning"))
	t.indent = "  "
	for i := range f.Answers {
		a := &f.Answers[i]
		if a.State == dnsbl.Clean && !o.all {
			continue
		}
		code, scope, meaning := "", "", a.Meaning
		if a.Code.IsValid() {
			code = a.Code.String()
		}
		if a.State == dnsbl.Listed {
			scope = o.text("cli.listed.scope." + string(a.Scope))
		}
		if a.Why != "" {
			meaning = o.text("dnsbl.why." + string(a.Why))
		}
		state := o.text("cli.listed.state." + string(a.State))
		if a.Asked > 0 {
			state += " (" + o.text("cli.listed.count", "listed", a.Hits, "asked", a.Asked) + ")"
		}
		t.row(a.List.Name, a.List.Shown(), state, code, scope, meaning)
	}
	if len(t.rows) > 0 {
		t.write(w)
	}
}

func (o *listedOutput) evidence(e *dnsbl.Evidence) string {
	args := []any{"zone", e.Zone, "listed", e.Listed, "asked", e.Asked, "range", e.Range, "text", e.Text, "why", ""}
	if e.Why != "" {
		args[len(args)-1] = o.text("dnsbl.why." + string(e.Why))
	}
	return o.text("dnsbl.evidence."+string(e.Fact), args...)
}

// draw shows a range as a map: 16 cells a line.
func (o *listedOutput) draw(w io.Writer, f *dnsbl.Finding) {
	if len(f.Cells) == 0 {
		return
	}
	cell := o.text("cli.listed.cell.address")
	free := f.Within.Addr().BitLen() - f.Within.Bits()
	switch n := len(f.Cells); {
	case free > 62:
		cell = o.text("cli.listed.cell.part", "n", n)
	case 1<<free/n > 1:
		cell = o.text("cli.listed.cell.addresses", "n", 1<<free/n)
	}
	fmt.Fprintln(w, "  "+o.text("cli.listed.map", "range", f.Within.String(), "cell", cell))
	for from := 0; from < len(f.Cells); from += 16 {
		var b strings.Builder
		for _, c := range f.Cells[from:min(from+16, len(f.Cells))] {
			b.WriteByte(' ')
			b.WriteByte(cellMark(c))
		}
		fmt.Fprintln(w, "   "+strings.TrimRight(b.String(), " "))
	}
}

func cellMark(c dnsbl.Cell) byte {
	switch {
	case c.Asked == 0:
		return ' '
	case c.Listed == 0:
		return '.'
	case c.Listed < c.Asked:
		return '%'
	}
	return '#'
}

// delist says how to get off a list.
func (o *listedOutput) delist(w io.Writer, a *dnsbl.Answer) {
	if a.Reason != "" {
		fmt.Fprintln(w, "  "+o.text("cli.listed.reason", "list", a.List.Name, "reason", a.Reason))
	}
	d := &a.List.Delist
	var lines []string
	if who := a.Who(); who != "" {
		lines = append(lines, o.text("cli.listed.delist.who."+who))
	}
	for _, l := range []struct{ key, value, name string }{
		{"cli.listed.delist.where", d.URL, "url"}, {"cli.listed.delist.how", d.Method, "method"},
		{"cli.listed.delist.expiry", d.Expiry, "expiry"}, {"cli.listed.delist.used_by", strings.Join(a.List.Use.UsedBy, "; "), "who"},
	} {
		if l.value != "" {
			lines = append(lines, o.text(l.key, l.name, l.value))
		}
	}
	if d.Pay != "" {
		lines = append(lines, o.text("cli.listed.delist.pay"))
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "  "+o.text("cli.listed.delist", "list", a.List.Name))
	for _, l := range lines {
		fmt.Fprintln(w, "    - "+l)
	}
}

func (o *listedOutput) foot(c closing) {
	fmt.Fprintln(o.out, o.text("cli.listed.foot", "queries", c.Queries, "tests", c.Tests, "server", o.pipe.Server()))
}

// healthLine is what --self-test says about one list.
type healthLine struct {
	List    string      `json:"list"`
	Zone    string      `json:"zone"`
	Kind    dnsbl.Kind  `json:"kind"`
	State   dnsbl.State `json:"state"`
	Why     dnsbl.Why   `json:"why,omitempty"`
	Meaning string      `json:"meaning,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

// test is "ukai listed --self-test".
func (l *listedCommand) test(ctx context.Context) error {
	l.engine = dnsbl.New(l.cat, l.pipe, dnsbl.Options{Now: l.now})
	s := l.engine.SelfTest(ctx, l.pipe.Server(), l.all)
	if l.json {
		return l.testJSON(&s)
	}
	fmt.Fprintln(l.out, l.text("cli.listed.test.resolver", "server", l.pipe.Server(), "what", l.fitness(&s.Resolver)))
	t := newTable(l.text("cli.listed.column.list"), l.text("cli.listed.column.zone"), "", l.text("cli.listed.column.state"), l.text("cli.listed.column.meaning"))
	t.indent = "  "
	cure := !s.Resolver.OK()
	for i := range s.Lists {
		h := &s.Lists[i]
		state, what := l.text("cli.listed.state."+string(h.State)), ""
		switch {
		case !h.OK():
			what = l.text("dnsbl.why." + string(h.Why))
			cure = cure || h.State == dnsbl.ResolverUnfit
		case h.Untested:
			state = l.text("cli.listed.test.list_untested")
		default:
			state = l.text("cli.listed.test.list_ok")
		}
		t.row(h.List.Name, h.List.Shown(), string(h.Kind), state, what)
	}
	t.write(l.out)
	if cure {
		fmt.Fprintln(l.out, l.text("cli.listed.test.cure"))
	}
	return testResult(&s)
}

// testResult is the exit code: 0 when everything is to be believed, 2 when the resolver or a list that matters is not.
func testResult(s *dnsbl.SelfTest) error {
	bad := !s.Resolver.OK()
	for i := range s.Lists {
		bad = bad || !s.Lists[i].OK() && s.Lists[i].List.Use.Profile == dnsbl.Core
	}
	if bad {
		return unknownListing
	}
	return nil
}

func (l *listedCommand) testJSON(s *dnsbl.SelfTest) error {
	enc := json.NewEncoder(l.out)
	enc.SetEscapeHTML(false)
	for i := range s.Lists {
		h := &s.Lists[i]
		line := healthLine{h.List.ID, h.List.Shown(), h.Kind, h.State, h.Why, h.Meaning, h.Reason}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	r := &s.Resolver
	if err := enc.Encode(map[string]any{"resolver": l.pipe.Server(), "state": r.State, "why": r.Why, "public": r.Public, "rewrites": r.Rewrites}); err != nil {
		return err
	}
	return testResult(s)
}

func (l *listedCommand) fitness(f *dnsbl.Fitness) string {
	switch {
	case f.Rewrites:
		return l.text("cli.listed.test.rewrites", "with", f.With.String())
	case f.Public:
		return l.text("cli.listed.test.public")
	case f.Why == dnsbl.WhyRefused || f.Why == dnsbl.WhyLame:
		return l.text("cli.listed.test.bad", "why", l.text("cli.listed.test.refused"))
	case !f.OK():
		return l.text("cli.listed.test.bad", "why", l.text("dnsbl.why."+string(f.Why)))
	}
	return l.text("cli.listed.test.ok")
}
