package peersim

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// attempt is what rules are asked about.
type attempt struct {
	phase   Phase
	source  netip.Addr // as it is
	shown   netip.Addr // as the provider sees it
	from    string
	rcpts   []rcpt // at RcptTo the one in question is the last
	content []byte // at EndOfData, if the script wants it
	now     time.Duration
}

// decision is what the rules say.
type decision struct {
	rule  *rule         // who decided; nil: nobody objects
	reply *reply        // nil: go on
	drop  bool          // hang up
	delay time.Duration // first, in the time of the story
}

// judge asks the rules in their order.
func (s *script) judge(a *attempt) (d decision) {
	for _, r := range s.at[a.phase] {
		if !r.matches(a) {
			continue
		}
		switch r.Action {
		case Accept:
			return d
		case Tarpit:
			d.delay += r.Delay
		case Drop:
			d.rule, d.drop = r, true
			return d
		case Refuse:
			d.rule, d.reply = r, r.reply
			return d
		case Greylist:
			if !r.state.pass(a, r.Delay) {
				d.rule, d.reply = r, r.reply
				return d
			}
		}
	}
	return d
}

func (r *rule) matches(a *attempt) bool {
	if a.now < r.After || r.Until != 0 && a.now >= r.Until {
		return false
	}
	if len(r.Sources) > 0 && !within(r.Sources, a.source) && !within(r.Sources, a.shown) {
		return false
	}
	if len(r.From) > 0 && !matchAddr(r.From, a.from) {
		return false
	}
	if len(r.To) > 0 && !r.matchesTo(a) {
		return false
	}
	if r.Contains != "" && !bytes.Contains(a.content, []byte(r.Contains)) {
		return false
	}
	return r.state.counts(r, a)
}

func (r *rule) matchesTo(a *attempt) bool {
	if len(a.rcpts) == 0 {
		return false
	}
	if a.phase == RcptTo {
		return matchAddr(r.To, a.rcpts[len(a.rcpts)-1].addr)
	}
	for i := range a.rcpts {
		if matchAddr(r.To, a.rcpts[i].addr) {
			return true
		}
	}
	return false
}

func within(prefixes []netip.Prefix, ip netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// ruleState is what a rule remembers.
type ruleState struct {
	seed uint64
	n    atomic.Uint64 // how many got as far as being counted

	mu      sync.Mutex // guards what follows
	buckets map[netip.Addr]*bucket
	seen    map[triplet]time.Duration
}

// bucket holds what one source may still send.
type bucket struct {
	tokens float64
	at     time.Duration
}

// triplet is what greylisting goes by (RFC 6647, section 2.4).
type triplet struct {
	source     netip.Addr
	from, rcpt string
}

// maxSeen bounds the memory of greylisting.
const maxSeen = 1 << 20

func newRuleState(seed uint64) *ruleState { return &ruleState{seed: seed} }

// counts decides the conditions that depend on what came before, and by chance.
func (st *ruleState) counts(r *rule, a *attempt) bool {
	if r.Over > 0 && !st.over(a, r.Over) {
		return false
	}
	if r.Every == 0 && r.First == 0 && r.Chance == 0 {
		return true
	}
	n := st.n.Add(1)
	if r.Every > 0 && n%uint64(r.Every) != 0 || r.First > 0 && n > uint64(r.First) {
		return false
	}
	return r.Chance == 0 || chance(st.seed+n) < r.Chance
}

// over tells whether the source is above its rate: a bucket that holds one second's worth.
func (st *ruleState) over(a *attempt, perSecond float64) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.buckets[a.source]
	if b == nil {
		if st.buckets == nil {
			st.buckets = make(map[netip.Addr]*bucket)
		}
		b = &bucket{tokens: perSecond, at: a.now}
		st.buckets[a.source] = b
	}
	b.tokens = min(perSecond, b.tokens+(a.now-b.at).Seconds()*perSecond)
	b.at = a.now
	if b.tokens < 1 {
		return true
	}
	b.tokens--
	return false
}

// pass tells whether a triplet has waited long enough.
func (st *ruleState) pass(a *attempt, delay time.Duration) bool {
	t := triplet{source: a.source, from: a.from}
	if len(a.rcpts) > 0 {
		t.rcpt = a.rcpts[len(a.rcpts)-1].addr
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	first, ok := st.seen[t]
	if ok {
		return a.now-first >= delay
	}
	if st.seen == nil || len(st.seen) >= maxSeen {
		st.seen = make(map[triplet]time.Duration)
	}
	st.seen[t] = a.now
	return false
}

// chance returns a number from 0 to 1 that is well mixed: splitmix64 (Steele, Lea, Flood 2014).
func chance(x uint64) float64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}
