package peersim

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"ukai/internal/mail"
)

// Phase is a step of the dialogue at which rules are asked.
type Phase uint8

// The phases, in the order in which a dialogue passes them.
const (
	AnyPhase  Phase = iota
	Greeting        // a connection came in
	Ehlo            // EHLO or HELO
	MailFrom        // MAIL
	RcptTo          // RCPT
	Data            // DATA or the first BDAT
	EndOfData       // the content is here
	phases
)

var phaseNames = [phases]string{"any", "greeting", "ehlo", "mail", "rcpt", "data", "end-of-data"}

// String returns the phase's name.
func (p Phase) String() string {
	if p < phases {
		return phaseNames[p]
	}
	return "unknown"
}

// MarshalText makes a Phase its name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a phase's name.
func (p *Phase) UnmarshalText(b []byte) error {
	for i, n := range phaseNames {
		if n == string(b) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no phase: %s", b, strings.Join(phaseNames[1:], ", "))
}

// Action is what a rule does.
type Action string

// The actions. Tarpit lets the rules behind it decide; the others are the last word when they act.
const (
	Accept   Action = "accept"   // go on, whatever the rules behind it say
	Refuse   Action = "reply"    // answer with Rule.Reply
	Greylist Action = "greylist" // refuse a (source, sender, recipient) until Rule.Delay after it first came (RFC 6647)
	Tarpit   Action = "tarpit"   // wait Rule.Delay before the answer
	Drop     Action = "drop"     // close the connection without a word
)

// Rule is one line of a provider's script. The first that matches acts.
type Rule struct {
	Name string // for the ledger; must not be empty
	Match
	Action Action // empty: Refuse
	// Reply is a whole reply ("550 5.7.1 no", several lines allowed) or the name of a canned one ("google-ip"). {ip}, {rcpt},
	// {from}, {domain} (of the sender), {host} and {id} are put in.
	Reply string
	Delay time.Duration // in the time of the story
}

// Match says when a rule acts: when everything that is set holds.
type Match struct {
	Phase    Phase          // AnyPhase: what fits the other conditions
	Sources  []netip.Prefix // source address of the connection, as Options.Shown shows it or as it is
	From, To []string       // "example.org", "*.example.org", "user*@example.org", "<>" (From); at the end of data one recipient is enough
	Contains string         // text in the content
	// After and Until bound the time of the story; Until 0: no end.
	After, Until time.Duration
	Chance       float64 // 0: always; 0.1: one in ten
	Over         float64 // only what one source sends above so many per second of the story
	Every        int     // each nth that gets this far
	First        int     // the first n that get this far
}

// rule is a Rule ready to be asked.
type rule struct {
	Rule
	reply *reply
	state *ruleState
}

// script is the rules of a provider by phase.
type script struct {
	at      [phases][]*rule
	content bool // some rule wants to see the content
}

// compile checks rules and makes a script of them. All mistakes are reported at once.
func compile(rules []Rule, seed uint64) (*script, error) {
	s := &script{}
	var errs []error
	for i := range rules {
		r := &rule{Rule: rules[i], state: newRuleState(seed + uint64(i)<<32)}
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("rule %d %q: %w", i+1, r.Name, err))
			continue
		}
		s.content = s.content || r.Contains != ""
		first, last := r.Phase, r.Phase
		if r.Phase == AnyPhase {
			first, last = Greeting, EndOfData
		}
		for p := first; p <= last; p++ {
			s.at[p] = append(s.at[p], r)
		}
	}
	return s, errors.Join(errs...)
}

// check fills in what follows from the rest of the rule.
func (r *rule) check() error {
	if r.Name == "" {
		return errors.New("it has no name")
	}
	if r.Action == "" {
		r.Action = Refuse
	}
	if r.Action == Greylist && r.Reply == "" {
		r.Reply = "greylisted"
	}
	switch r.Action {
	case Refuse, Greylist:
		var err error
		if r.reply, err = parseReply(r.Reply); err != nil {
			return err
		}
	case Accept, Tarpit, Drop:
	default:
		return fmt.Errorf("%q is no action: accept, reply, greylist, tarpit, drop", r.Action)
	}
	if r.Until != 0 && r.Until <= r.After {
		return fmt.Errorf("it ends (%v) before it begins (%v)", r.Until, r.After)
	}
	for _, p := range append(append([]string(nil), r.From...), r.To...) {
		if _, err := path.Match(mail.Local(p), ""); err != nil || p == "" {
			return fmt.Errorf("%q is no pattern of addresses", p)
		}
	}
	return r.choosePhase()
}

// choosePhase finds the phase of a rule that names none.
func (r *rule) choosePhase() error {
	switch {
	case r.Contains != "" && r.Phase != EndOfData && r.Phase != AnyPhase:
		return errors.New("the content is known at end-of-data only")
	case r.Phase != AnyPhase:
	case r.Contains != "":
		r.Phase = EndOfData
	case len(r.To) > 0 || r.Action == Greylist:
		r.Phase = RcptTo
	case len(r.From) > 0:
		r.Phase = MailFrom
	case r.Action != Tarpit:
		return errors.New("it names no phase")
	}
	if len(r.To) > 0 && r.Phase < RcptTo && r.Phase != AnyPhase || len(r.From) > 0 && r.Phase < MailFrom && r.Phase != AnyPhase {
		return fmt.Errorf("at %s its addresses are not known yet", r.Phase)
	}
	return nil
}

// matchAddr tells whether an address fits one of the patterns.
func matchAddr(patterns []string, addr string) bool {
	for _, p := range patterns {
		if matchPattern(p, addr) {
			return true
		}
	}
	return false
}

func matchPattern(p, addr string) bool {
	switch {
	case p == "*":
		return true
	case p == "<>" || addr == "":
		return p == "<>" && addr == ""
	case strings.Contains(p, "@"):
		ok, err := path.Match(strings.ToLower(mail.Local(p)), strings.ToLower(mail.Local(addr)))
		return err == nil && ok && matchDomain(mail.Domain(p), mail.Domain(addr))
	}
	return matchDomain(strings.ToLower(p), mail.Domain(addr))
}

func matchDomain(p, domain string) bool {
	if sub, ok := strings.CutPrefix(p, "*."); ok {
		return strings.HasSuffix(domain, "."+sub)
	}
	return p == domain || p == "*"
}
