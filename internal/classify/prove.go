package classify

import (
	"fmt"
	"net/netip"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Problem is a rule that does not do what its example says.
type Problem struct {
	Rule string // the rule
	Want string
	Got  string
	By   string // the rule that took the example; empty if none did
}

// String says it in one line.
func (p Problem) String() string {
	by := ""
	if p.By != "" && p.By != p.Rule {
		by = " (taken by " + p.By + ")"
	}
	return fmt.Sprintf("rule %s: its example gives %s, not %s%s", p.Rule, p.Got, p.Want, by)
}

// Check tries each rule on its own example and returns the rules that are dead (never reached, because a rule before them
// takes even what they were written for) or that read something else out of it than they claim.
func (r *Rules) Check() []Problem {
	var out []Problem
	for i := range r.rules {
		x := &r.rules[i]
		v := r.example(x)
		if v.Rule != x.name {
			out = append(out, Problem{Rule: x.name, Want: "this rule", Got: v.Class, By: v.Rule})
			continue
		}
		ip := ""
		if v.IP.IsValid() {
			ip = v.IP.String()
		}
		w := x.rule.Want
		for _, c := range [...]struct{ what, want, got string }{{"ip", w.IP, ip}, {"url", w.URL, v.URL}, {"list", w.List, v.List}, {"code", w.Code, v.Code}} {
			if c.want != "" && c.want != c.got {
				out = append(out, Problem{Rule: x.name, Want: c.what + " " + c.want, Got: c.what + " " + c.got, By: v.Rule})
			}
		}
	}
	return out
}

// example judges the example of a rule, as it would come from a provider of its file.
func (r *Rules) example(x *compiled) Verdict {
	who := ""
	if x.rule.Only {
		who = r.files[x.file].Providers[0]
	}
	if x.rule.Phase == "" {
		return r.Text(who, x.rule.Example)
	}
	var t text
	t.reset(0, mail.Status{}, netip.Addr{})
	t.add(x.rule.Example)
	return r.Classify(&outcome.Outcome{
		Provider: who, Phase: outcome.ParsePhase(x.rule.Phase),
		Reply: mail.Reply{Code: t.code, Status: t.status, Lines: []string{x.rule.Example[min(4, len(x.rule.Example)):]}},
	})
}
