package classify

import (
	"fmt"
	"strconv"
	"strings"

	"ukai/internal/mail"
)

// Rule says what some replies mean. All its conditions must hold; the first rule that fits wins, those of the provider that
// speaks before all others, then by the order of the files, then by the order in the file.
type Rule struct {
	Name  string `toml:"name" json:"name,omitempty"`   // FILE.NAME is what a verdict shows; unique in its file
	Class string `toml:"class" json:"class,omitempty"` // one of Classes

	Phrases
	Reply

	Override
	Proof
}

// Phrases are the words of the text: each of All, one of Any, none of None. See phrase for how they are written.
type Phrases struct {
	All  []string `toml:"all" json:"all,omitempty"`
	Any  []string `toml:"any" json:"any,omitempty"`
	None []string `toml:"none" json:"none,omitempty"`
	// Lists asks for a blocklist that lists.toml knows, anywhere in the text: "ip", "domain" or "any".
	Lists string `toml:"lists" json:"lists,omitempty"`
}

// Reply is what else is known of a reply. Empty fields ask for nothing.
type Reply struct {
	// Codes are reply codes or their beginnings: "550", "4".
	Codes []string `toml:"codes" json:"codes,omitempty"`
	// Statuses are enhanced codes; x stands for 4 or 5, a detail may be a range: "x.7.1", "5.7.606-649", "x.1.x".
	Statuses []string `toml:"statuses" json:"statuses,omitempty"`
	Phases   []string `toml:"phases" json:"phases,omitempty"` // "greeting", ...: see outcome.Phase
	// Only asks that the provider of the file is known to speak: by the outcome, or by a mark in the text.
	Only bool `toml:"only" json:"only,omitempty"`
}

// Override is what differs from the class, and what the text always tells.
type Override struct {
	Blame      Blame  `toml:"blame" json:"blame,omitempty"`
	Scope      Scope  `toml:"scope" json:"scope,omitempty"`
	Detour     *bool  `toml:"detour" json:"detour,omitempty"`
	Reputation *bool  `toml:"reputation" json:"reputation,omitempty"`
	List       string `toml:"list" json:"list,omitempty"` // the blocklist or vendor, where the text does not name it in a way that lists.toml knows
	// Code is a regular expression for the provider's own code (its first group, or all of it). It sees the text in lower case;
	// the verdict shows the code in upper case.
	Code string `toml:"code" json:"code,omitempty"`
}

// Proof is what a rule is tested with.
type Proof struct {
	Example string `toml:"example" json:"example,omitempty"`
	// Phase is the phase of the example, where the rule needs one.
	Phase  string `toml:"phase" json:"phase,omitempty"`
	Want   Want   `toml:"want" json:"want,omitzero"`
	Source string `toml:"source" json:"source,omitempty"` // where the reply is documented, or was seen
	// Also names rules of another class whose examples this one fits too, so that it matters which of them is asked first;
	// "*" is for rules that are asked last and fit what others explain better. See Rules.Conflicts.
	Also []string `toml:"also" json:"also,omitempty"`
}

// Want is what the verdict on the example has to say.
type Want struct {
	IP   string `toml:"ip" json:"ip,omitempty"`
	URL  string `toml:"url" json:"url,omitempty"`
	List string `toml:"list" json:"list,omitempty"`
	Code string `toml:"code" json:"code,omitempty"`
}

// statuses is one condition on the enhanced status; class 0 stands for 4 and 5, subject and from -1 for any.
type statuses struct{ class, subject, from, to int }

func (s statuses) fits(st mail.Status) bool {
	return st.Class != 0 && (s.class == 0 || s.class == st.Class) && (s.subject < 0 || s.subject == st.Subject) &&
		(s.from < 0 || st.Detail >= s.from && st.Detail <= s.to)
}

func parseStatuses(s string) (statuses, error) {
	bad := fmt.Errorf("not an enhanced status: %q", s)
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return statuses{}, bad
	}
	out := statuses{subject: -1, from: -1, to: -1}
	var err error
	if parts[0] != "x" {
		if out.class, err = strconv.Atoi(parts[0]); err != nil || out.class != 4 && out.class != 5 {
			return statuses{}, bad
		}
	}
	if parts[1] != "x" {
		if out.subject, err = strconv.Atoi(parts[1]); err != nil || out.subject < 0 {
			return statuses{}, bad
		}
	}
	if parts[2] == "x" {
		return out, nil
	}
	from, to, isRange := strings.Cut(parts[2], "-")
	if !isRange {
		to = from
	}
	if out.from, err = strconv.Atoi(from); err != nil || out.from < 0 {
		return statuses{}, bad
	}
	if out.to, err = strconv.Atoi(to); err != nil || out.to < out.from {
		return statuses{}, bad
	}
	return out, nil
}

// codes is one condition on the reply code: the code divided by div is value.
type codes struct{ value, div int }

func (c codes) fits(code int) bool { return code/c.div == c.value }

func parseCodes(s string) (codes, error) {
	n, err := strconv.Atoi(s)
	div := [4]int{0, 100, 10, 1}
	if err != nil || n < 0 || len(s) > 3 || s[0] != '4' && s[0] != '5' {
		return codes{}, fmt.Errorf("not a reply code: %q", s)
	}
	return codes{n, div[len(s)]}, nil
}
