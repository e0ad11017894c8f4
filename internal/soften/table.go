package soften

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/outcome"
)

// kind is what a table sees.
type kind int

const (
	reply  kind = iota // a line of a reply
	status             // a whole reply, and what was answered with it
)

// inText is put before a pattern, so that it is looked for in the reply and not in the name of the host that gave it.
var inText = map[kind]string{reply: "^5[0-9][0-9].*", status: ": 5.*"}

// atCode is put before a pattern for the reply code or the status behind it.
var atCode = map[kind]string{reply: "^", status: ": "}

// The two answers: one digit changed, or all as it was.
const (
	unchanged   = "/^(.*)$/ $1"
	softReply   = "/^5([0-9][0-9] +)5(\\.[0-9]+\\.[0-9]+.*)$/ 4${1}4$2\n/^5(.*)$/ 4$1"
	softOutcome = "/^5(.*)$/ 4$1"
)

// table is a table that is being written.
type table struct {
	rules *classify.Rules
	kind  kind
	out   bytes.Buffer
}

// open begins a block for texts that fit a pattern.
func (t *table) open(pattern string) { fmt.Fprintf(&t.out, "if /%s/\n", pattern) }

// openNot begins a block for texts that do not fit a pattern.
func (t *table) openNot(pattern string) { fmt.Fprintf(&t.out, "if !/%s/\n", pattern) }

func (t *table) close() { t.out.WriteString("endif\n") }

// answer ends the search.
func (t *table) answer(soft bool) {
	switch {
	case !soft:
		t.out.WriteString(unchanged)
	case t.kind == reply:
		t.out.WriteString(softReply)
	default:
		t.out.WriteString(softOutcome)
	}
	t.out.WriteByte('\n')
}

// all writes the rules in the order in which package classify asks them.
//
// There, the rules of the one who speaks go before all others. Here they do not: all of them would stand in the table twice, for
// the few texts that fit the rules of two providers.
func (t *table) all() {
	all := t.rules.All()
	last := len(all)
	for last > 0 && !t.softens(&all[last-1]) {
		last-- // nothing behind it could be softened
	}
	for i := range all[:last] {
		if t.softens(&all[i]) || t.guards(all, i) {
			t.rule(&all[i])
		}
	}
}

// guards tells whether a rule keeps a reply from one behind it that would soften it. The others are left out, for each costs
// every process that delivers some 50 KB.
func (t *table) guards(all []classify.Described, i int) bool {
	if t.rules.Means(all[i].Name).Blame == classify.BlameDomain {
		return true // "low reputation of the sending domain": one word apart
	}
	rivals := t.rules.Rivals(all[i].Name)
	for j := range all[i:] {
		d := &all[i+j]
		if t.softens(d) && slices.Contains(rivals, d.Name) {
			return true
		}
	}
	return false
}

// softens tells whether a rule is a reason to try another way.
func (t *table) softens(d *classify.Described) bool {
	v := t.rules.Means(d.Name)
	return v.Detour && v.Reputation && (v.Blame == classify.BlameIP || v.Blame == classify.BlameRange)
}

// rule writes a rule: a block for each of its conditions, within one another.
func (t *table) rule(d *classify.Described) {
	r, soft := &d.Rule, t.softens(d)
	marks := t.rules.Marks(d.File)
	if t.never(r, soft) || r.Only && len(marks) == 0 {
		return
	}
	fmt.Fprintf(&t.out, "# %s\n", d.Name)
	blocks := 0
	open := func(pattern string) {
		if !soft {
			pattern = wide(pattern)
		}
		t.open(pattern)
		blocks++
	}
	if r.Only {
		open(either(marks, nothing))
	}
	if len(r.Codes) > 0 {
		open(atCode[t.kind] + codes(r.Codes))
	}
	if len(r.Statuses) > 0 {
		open(t.status(r.Statuses, soft))
	}
	if len(r.Phases) > 0 && t.kind == status {
		open(phases(r.Phases))
	}
	for _, p := range r.All {
		open(t.text([]string{p}))
	}
	if len(r.Any) > 0 {
		open(t.text(r.Any))
	}
	if r.Lists != "" {
		open(t.text(t.rules.Listed(r.Lists)))
	}
	if len(r.None) > 0 {
		t.openNot(wide(t.text(r.None)))
		blocks++
	}
	t.answer(soft)
	for range blocks {
		t.close()
	}
}

// wide lets any number of characters stand where package classify allows some: in what keeps a refusal as it is that errs on the
// safe side, and regcomp(3) writes a bounded number out, copy by copy.
func wide(pattern string) string { return strings.ReplaceAll(pattern, gap, ".*") }

// trailer is what smtp(8) puts behind a reply, for each command.
const trailer = " (in reply to ehlo command) (in reply to helo command) (in reply to starttls command) (in reply to auth command) " +
	"(in reply to mail from command) (in reply to rcpt to command) (in reply to data command) (in reply to end of data command) "

// text returns the expression for one of some phrases in the text of the reply. What could be found in the words behind the reply
// has to stand before them.
func (t *table) text(phrases []string) string {
	return inText[t.kind] + either(phrases, func(p string) string {
		last := p[strings.LastIndex(p, " * ")+1:]
		if t.kind == status && strings.Contains(trailer, strings.Trim(last, "*| ")) {
			return `.*\(in reply to `
		}
		return ""
	})
}

// status returns the expression for a status. It stands behind the code; where there is none, one further on in the text counts as
// well, but not as a reason to soften.
func (t *table) status(list []string, soft bool) string {
	one := statuses(list) + "([^.0-9]|$)"
	if !soft {
		one = "(" + one + "|[^45].*[^.0-9]" + one + ")"
	}
	return atCode[t.kind] + "5[0-9][0-9][- ] *" + one
}

// never tells whether a rule cannot decide here: it is about temporary refusals, or it is to soften in a phase that a line does
// not tell. A rule that is not to soften stands without its phase: in doubt, a refusal is left as it is.
func (t *table) never(r *classify.Rule, soft bool) bool {
	if soft && t.kind == reply && len(r.Phases) > 0 {
		return true
	}
	for _, c := range r.Codes {
		if c[0] == '5' {
			return false
		}
	}
	return len(r.Codes) > 0
}

// phases returns the expression for the words by which smtp(8) tells the phase.
func phases(names []string) string {
	words := map[outcome.Phase]string{
		outcome.Greeting:  "refused to talk to me: ",
		outcome.Ehlo:      `\(in reply to (EHLO|HELO) command\)$`,
		outcome.StartTLS:  `\(in reply to STARTTLS command\)$`,
		outcome.Auth:      `\(in reply to AUTH command\)$`,
		outcome.MailFrom:  `\(in reply to MAIL FROM command\)$`,
		outcome.RcptTo:    `\(in reply to RCPT TO command\)$`,
		outcome.Data:      `\(in reply to DATA command\)$`,
		outcome.EndOfData: `\(in reply to end of DATA command\)$`,
	}
	var list []byte
	for _, n := range names {
		if w, ok := words[outcome.ParsePhase(n)]; ok {
			list = append(append(list, '|'), w...)
		}
	}
	if list == nil { // a phase without a reply: nothing is said there
		return "^$"
	}
	return "(" + string(list[1:]) + ")"
}
