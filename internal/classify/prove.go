package classify

import (
	"fmt"
	"net/netip"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Problem is a rule that does not do what its example says, or that gets in the way of another.
type Problem struct {
	Rule string `json:"rule"`
	Kind Kind   `json:"kind"`
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
	By   string `json:"by,omitempty"` // the rule that took the example, or the other rule; empty if there is none
}

// Kind is what is the matter with a rule.
type Kind string

// The kinds of Problem. Check finds the first two, Conflicts the others.
const (
	Dead     Kind = "dead"     // its own example does not reach it
	Misread  Kind = "misread"  // it reads something else out of its example than it claims
	Overlap  Kind = "overlap"  // it fits the example of a rule of another class (By) and does not state so
	Shadowed Kind = "shadowed" // everything it fits is taken by a rule before it (By)
	Idle     Kind = "idle"     // one of its phrases (Want) can never matter: a rule before it (By) has a part of it (Got)
	Stale    Kind = "stale"    // it states to fit the example of a rule (By), and does not
)

// Key is the key of the message catalogue for a Problem; its text takes {rule}, {by}, {want} and {got}.
func (p Problem) Key() string { return "classify.problem." + string(p.Kind) }

// String says it in one line.
func (p Problem) String() string {
	switch p.Kind {
	case Overlap:
		return fmt.Sprintf("rule %s fits the example of %s, which is of another class, and does not state it in also", p.Rule, p.By)
	case Shadowed:
		return fmt.Sprintf("rule %s never decides: %s before it takes everything", p.Rule, p.By)
	case Idle:
		return fmt.Sprintf("rule %s: the phrase %q never decides: %s before it looks for %q", p.Rule, p.Want, p.By, p.Got)
	case Stale:
		return fmt.Sprintf("rule %s states to fit the example of %s, and does not", p.Rule, p.By)
	}
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
			out = append(out, Problem{Rule: x.name, Kind: Dead, Want: "this rule", Got: v.Class, By: v.Rule})
			continue
		}
		ip := ""
		if v.IP.IsValid() {
			ip = v.IP.String()
		}
		w := x.rule.Want
		for _, c := range [...]struct{ what, want, got string }{{"ip", w.IP, ip}, {"url", w.URL, v.URL}, {"list", w.List, v.List}, {"code", w.Code, v.Code}} {
			if c.want != "" && c.want != c.got {
				out = append(out, Problem{Rule: x.name, Kind: Misread, Want: c.what + " " + c.want, Got: c.what + " " + c.got, By: v.Rule})
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
