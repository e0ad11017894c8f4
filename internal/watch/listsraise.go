package watch

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dnsbl"
	"ukai/internal/health"
)

// The place of what stands, among those of the sources: no source can have this name.
const (
	listsPlace = "[lists]"
	listsStand = "standing"
)

// recall reads what stood when an earlier run ended.
func (l *Lists) recall(ctx context.Context) error {
	var all []Listed
	if _, err := l.parts.Places.load(ctx, listsPlace, listsStand, &all); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, st := range all {
		l.stands[listKey{st.Target, st.List}] = st
	}
	return nil
}

// teachLocked shows a listing that stands to the detector twice, far enough apart to count: it shall know it as if it had seen it
// itself, so that it finds its end.
func (l *Lists) teachLocked(st *Listed) {
	t, err := dnsbl.ParseTarget(st.Target)
	if err != nil || l.opts.Catalogue == nil {
		return
	}
	list := l.opts.Catalogue.List(st.List)
	if list == nil {
		return
	}
	seen := []dnsbl.Answer{{Target: t, List: list, State: dnsbl.Listed}}
	l.detector.Observe(time.Time{}.Add(time.Hour), seen)
	l.detector.Observe(time.Time{}.Add(2*time.Hour), seen)
}

// take takes in a change that is certain.
func (l *Lists) take(ctx context.Context, t *listTarget, c *dnsbl.Change) {
	a := &c.Answer
	key := listKey{t.String(), a.List.ID}
	l.mu.Lock()
	st, stood := l.stands[key]
	on := c.To == dnsbl.Listed
	if on == stood { // an earlier run has said it
		l.mu.Unlock()
		return
	}
	if on {
		st = Listed{
			Target: key.Target, List: a.List.ID, Name: a.List.Name, Since: time.Now(), Meaning: a.Meaning, Reason: a.Reason,
			Scope: string(a.Scope), URL: a.List.Delist.URL, Who: a.Who(), Egresses: slices.Clone(t.egresses),
		}
		if a.Code.IsValid() {
			st.Code = a.Code.String()
		}
		l.stands[key] = st
	} else {
		delete(l.stands, key)
	}
	l.mu.Unlock()
	l.raise(ctx, &st, on)
	if on && t.IP.IsValid() {
		l.judge(ctx, t)
	}
}

// raise tells of the beginning or the end of a listing, and keeps what stands.
func (l *Lists) raise(ctx context.Context, st *Listed, on bool) {
	l.save(ctx)
	said := "listing has ended"
	if on {
		said = "listed"
	}
	l.parts.Log.Warn(said, "target", st.Target, "list", st.List, "code", st.Code, "reason", st.Reason, "egresses", strings.Join(st.Egresses, " "))
	l.mu.Lock()
	var users []string
	if l.opts.Catalogue != nil {
		if list := l.opts.Catalogue.List(st.List); list != nil {
			users = list.Use.Providers
		}
	}
	l.mu.Unlock()
	s := health.Standing{At: time.Now(), Listing: st.Name, Providers: users, On: on, Evidence: health.Evidence{At: time.Now(), Verdict: verdictOf(st)}}
	ip, err := netip.ParseAddr(st.Target)
	if err != nil {
		l.parts.Incidents.DomainListed(st.Target, &s)
		return
	}
	if !on {
		s.Evidence.Verdict = classify.Verdict{}
	}
	egresses := st.Egresses
	if len(egresses) == 0 {
		egresses = []string{st.Target} // an address of ours that no egress is known to send from
	}
	for _, name := range egresses {
		s.Egress, s.Net = name, netip.Prefix{}
		if len(st.Egresses) > 0 && (on || !l.elsewhere(name, st.List)) {
			s.Providers = l.known(name, users)
			l.parts.Health.SetStanding(s)
		}
		s.Net = netip.PrefixFrom(ip, ip.BitLen())
		l.parts.Incidents.Listed(name, &s)
	}
}

// known returns those of the providers that an egress has sent to. A path that no mail goes over must not be shut: nothing
// would ever probe it. Should it be used one day, the first refusal shuts it, and that message takes the detour.
func (l *Lists) known(egress string, providers []string) (known []string) {
	now := time.Now()
	for _, id := range providers {
		if _, ok := l.parts.Health.Get(health.Key{Egress: egress, Provider: id}, now); ok {
			known = append(known, id)
		}
	}
	return known
}

// elsewhere tells whether an egress stands on a list with another of its addresses.
func (l *Lists) elsewhere(egress, list string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, st := range l.stands {
		if key.List == list && slices.Contains(st.Egresses, egress) {
			return true
		}
	}
	return false
}

// verdictOf is a listing as evidence of a path.
func verdictOf(st *Listed) classify.Verdict {
	v := classify.Verdict{Class: "dnsbl_listed", Reputation: true, Blame: classify.BlameIP, URL: st.URL}
	if st.Scope == string(dnsbl.ScopeRange) || st.Scope == string(dnsbl.ScopeASN) {
		v.Blame = classify.BlameRange
	}
	v.IP, _ = netip.ParseAddr(st.Target) // none for a domain
	return v
}

func (l *Lists) save(ctx context.Context) {
	l.mu.Lock()
	all := make([]Listed, 0, len(l.stands))
	for _, st := range l.stands {
		all = append(all, st)
	}
	l.mu.Unlock()
	slices.SortFunc(all, func(a, b Listed) int { return compareListed(&a, &b) })
	if err := l.parts.Places.save(context.WithoutCancel(ctx), listsPlace, listsStand, all); err != nil {
		l.parts.Log.Error("listings not saved", "error", err)
	}
}

// lookAt looks at the addresses of an egress.
func (l *Lists) lookAt(ctx context.Context, egress string) {
	if !l.able(ctx) {
		return
	}
	var mine []*listTarget
	l.mu.Lock()
	for _, t := range l.targets {
		if t.IP.IsValid() && slices.Contains(t.egresses, egress) {
			mine = append(mine, t)
		}
	}
	l.mu.Unlock()
	for _, t := range mine {
		l.judge(ctx, t)
	}
}

// judge finds out whether an address is the culprit, a neighbour of one, or listed with its range, and tells the incidents of
// its egresses.
func (l *Lists) judge(ctx context.Context, t *listTarget) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	l.mu.Lock()
	e, q := l.engine, dnsbl.Question{Target: t.Target}
	for _, r := range l.opts.Ranges {
		if r.Contains(t.IP) && (!q.Within.IsValid() || r.Bits() > q.Within.Bits()) {
			q.Within = r
		}
	}
	egresses := t.egresses
	l.mu.Unlock()
	f := e.Look(ctx, q)
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	for key, st := range l.stands {
		if key.Target == t.String() {
			st.Verdict = string(f.Verdict)
			l.stands[key] = st
		}
	}
	l.mu.Unlock()
	l.save(ctx)
	if len(egresses) == 0 {
		egresses = []string{t.String()}
	}
	for _, name := range egresses {
		l.parts.Incidents.Judged(name, string(f.Verdict), factsOf(&f), time.Now())
	}
}

// factsOf writes the evidence of a verdict in figures, which need no language.
func factsOf(f *dnsbl.Finding) []string {
	const most = 8
	var facts []string
	for i := range f.Evidence {
		e := &f.Evidence[i]
		if e.Zone == "" || e.Fact == dnsbl.FactUnasked || e.Fact == dnsbl.FactContext || len(facts) == most {
			continue
		}
		fact := fmt.Sprintf("%s: %d/%d", e.Zone, e.Listed, e.Asked)
		if e.Range != "" {
			fact += " " + e.Range
		}
		if e.Text != "" {
			fact += " (" + e.Text + ")"
		}
		facts = append(facts, fact)
	}
	return facts
}
