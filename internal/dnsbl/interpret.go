package dnsbl

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/dns"
)

// gravity orders states when one reply means several things: what makes the whole reply doubtful comes first, since an error
// among codes that look like listings means that none of them is one.
var gravity = map[State]int{Broken: 5, ResolverUnfit: 4, Refused: 3, Timeout: 2, Listed: 1, Clean: 0}

// Interpret says what a reply of a list means. It knows nothing of the list's health or the resolver's: a Listed or Clean of
// it is to be believed only from a list that has passed its test.
func (c *Catalogue) Interpret(l *List, t Target, r dns.Reply, err error) Answer {
	a := Answer{Target: t, List: l, State: Clean, Scope: l.scope(t), Severity: l.Entries.Severity, TTL: r.TTL}
	if err != nil {
		a.State, a.Why = unreached(err)
		return a
	}
	if c.byRcode(&a, r) {
		return a
	}
	if len(r.Addrs) == 0 {
		// The name is there, or is an alias, and has no address: an alias that leads nowhere is neither "listed" nor "not listed"; a
		// server that points elsewhere is lame; one that has nothing of this type says "not listed" in its own way.
		switch {
		case r.Alias:
			a.State, a.Why = Broken, WhyAlias
		case r.Referral:
			a.State, a.Why = Broken, WhyLame
		case r.Truncated:
			a.State, a.Why = Broken, WhyProtocol
		}
		return a
	}
	a.Codes = slices.Clone(r.Addrs)
	var meanings []string
	for i, addr := range r.Addrs {
		one := c.code(l, t, addr)
		if i == 0 || graver(&one, &a) {
			a.State, a.Why, a.Code, a.Scope, a.Severity = one.State, one.Why, addr, one.Scope, one.Severity
		}
		if one.Meaning != "" && !slices.Contains(meanings, one.Meaning) {
			meanings = append(meanings, one.Meaning)
		}
	}
	a.Meaning = strings.Join(meanings, "; ")
	return a
}

// scope of an entry that does not say.
func (l *List) scope(t Target) Scope {
	if t.Kind() == Domain {
		return ScopeDomain
	}
	if l.Entries.Scope == ScopeDomain || l.Entries.Scope == "" {
		return ScopeIP
	}
	return l.Entries.Scope
}

// unreached is a question that got no reply.
func unreached(err error) (State, Why) {
	var de *dns.Error
	if errors.As(err, &de) && de.Reason == "no name server can be reached" {
		return ResolverUnfit, WhyUnreachable
	}
	return Timeout, WhyTimeout
}

// byRcode deals with everything but NOERROR.
func (c *Catalogue) byRcode(a *Answer, r dns.Reply) bool {
	if r.Rcode == dns.NoError {
		return false
	}
	if r.Rcode == dns.NXDomain {
		if r.Alias || len(r.Addrs) > 0 {
			a.State, a.Why = Broken, WhyAlias // the alias is there, and what it names is not
		}
		return true
	}
	if p := a.List.codes.rcodes[r.Rcode]; p != nil && p.State != "" && p.State != Clean {
		a.State, a.Why, a.Meaning = p.State, p.why(), p.Meaning
		return true
	}
	switch r.Rcode {
	case dns.ServFail:
		a.State, a.Why = Broken, WhyServfail
	case dns.Refused, dns.NotAuth:
		a.State, a.Why = Refused, WhyRefused
	default:
		a.State, a.Why = Broken, WhyProtocol
	}
	return true
}

func (p *pattern) why() Why {
	if p.Why == "" {
		return WhyError
	}
	return p.Why
}

// graver tells whether what b says gives way to a.
func graver(a, b *Answer) bool {
	if ga, gb := gravity[a.State], gravity[b.State]; ga != gb {
		return ga > gb
	}
	sev := func(s Severity) int { return slices.Index([]Severity{Allow, Info, Policy, Block}, s) }
	if sa, sb := sev(a.Severity), sev(b.Severity); sa != sb {
		return sa > sb
	}
	// Of two accusations the wider one explains the other: Spamhaus lists DROP networks as SBL, too.
	return a.Scope != b.Scope && a.Scope == ScopeRange
}

// code says what one address means.
func (c *Catalogue) code(l *List, t Target, addr netip.Addr) Answer {
	a := Answer{State: Listed, Scope: l.scope(t), Severity: l.Entries.Severity, Code: addr}
	if !loopback.Contains(addr) {
		a.State, a.Why = Broken, WhyOutside // RFC 5782, section 2.1: a resolver, a parked domain or a bug made this up
		return a
	}
	found := l.codes.find(addr)
	if len(found) == 0 {
		found = c.common.find(addr)
	}
	if len(found) == 0 {
		l.unknown(&a, addr)
		return a
	}
	var meanings []string
	for i, p := range found {
		one := p.answer(l, t)
		if i == 0 || graver(&one, &a) {
			a.State, a.Why, a.Scope, a.Severity = one.State, one.Why, one.Scope, one.Severity
		}
		meanings = append(meanings, p.Meaning)
	}
	a.Meaning = strings.Join(meanings, "; ")
	return a
}

// unknown judges a code that stands in no table. 127.0.0.1 is never a listing (RFC 5782, section 5); anything else is one
// (section 2.1), unless the operator's codes are known well enough to say that this is none of them.
func (l *List) unknown(a *Answer, addr netip.Addr) {
	b := addr.As4()
	if l.Entries.Unknown == "error" || b[1] != 0 || b[3] == 1 && b[2] == 0 || b[3] == 0 && b[2] == 0 {
		a.State, a.Why = Broken, WhyUndocumented
	}
}

func (p *pattern) answer(l *List, t Target) Answer {
	a := Answer{State: Listed, Scope: l.scope(t), Severity: l.Entries.Severity}
	if p.State != "" {
		if a.State = p.State; a.State != Clean {
			a.Why = p.why()
		}
	}
	if p.Scope != "" && a.Scope != ScopeDomain {
		a.Scope = p.Scope
	}
	if p.Severity != "" {
		a.Severity = p.Severity
	}
	return a
}

// Who says who may ask for the removal of what was found: owner, network, wait, or "" where it is not known. Entries for a
// range are the business of the network's owner unless the catalogue says otherwise.
func (a *Answer) Who() string {
	if !a.Code.Is4() {
		return a.List.Delist.Who
	}
	if found := a.List.codes.find(a.Code); len(found) > 0 && found[0].Who != "" {
		return found[0].Who
	}
	return a.List.Delist.Who
}
