package classify

import (
	"math/bits"
	"sync"

	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// look is one judgement under way.
type look struct {
	*Rules
	text   text
	seen   []uint32 // by part: the round in which it was met last
	round  uint32
	sets   lookSets
	later  []uint32      // phrases with gaps whose trigger was met
	named  []uint64      // lists that the text names, as bits
	speaks uint64        // files of the provider that speaks, as bits
	phase  outcome.Phase // if phased
	phased bool
}

// lookSets are the sets of rules, as bits, that one text has made.
type lookSets struct{ awake, any, listed, none []uint64 }

// looks keeps the memory of judgements. A look that was made for other rules is thrown away.
var looks = sync.Pool{New: func() any { return new(look) }}

func (r *Rules) newLook(who provider.ID) *look {
	l := looks.Get().(*look)
	if l.Rules != r {
		n := r.sets.size
		bits := make([]uint64, 4*n)
		*l = look{Rules: r, seen: make([]uint32, len(r.parts)), sets: lookSets{bits[:n], bits[n : 2*n], bits[2*n : 3*n], bits[3*n:]}, named: make([]uint64, (len(r.lists)+63)/64)}
	}
	l.again()
	l.speaks, l.phased = r.speakers[who], false
	return l
}

// again forgets what was met, to look at another text of the same reply.
func (l *look) again() {
	if l.round++; l.round == 0 { // after four thousand million texts
		clear(l.seen)
		l.round = 1
	}
	copy(l.sets.awake, l.Rules.sets.bare)
	clear(l.sets.any)
	clear(l.sets.listed)
	clear(l.sets.none)
	clear(l.named)
	l.later = l.later[:0]
}

func (l *look) done() { looks.Put(l) }

// judge finds the rule and makes its verdict. Where local is given, only rules of those classes count.
//
// In the words of somebody who reports a reply, the reply itself is asked first: "Unknown address error 550 5.7.1 spam" is about
// spam. The rest is asked only if the reply says nothing.
func (l *look) judge(local func(*Class) bool) Verdict {
	l.text.finish()
	whole, said := l.text.norm, l.text.said
	if said > 0 {
		l.text.norm = whole[:said+1]
		l.find.run(l.text.norm, l.metMark)
		l.text.norm = whole[said:]
		x := l.search(local)
		l.text.norm = whole
		if x != nil {
			return l.verdict(x)
		}
		l.again()
	}
	if x := l.search(local); x != nil {
		return l.verdict(x)
	}
	return l.unclassified()
}

// search returns the rule that fits the text: of the provider that speaks, else of any.
func (l *look) search(local func(*Class) bool) *compiled {
	l.find.run(l.text.norm, l.met)
	l.sift()
	if l.speaks != 0 {
		if x := l.first(local, true); x != nil {
			return x
		}
	}
	return l.first(local, false)
}

// metMark takes note of who speaks and in which phase, and of nothing else.
func (l *look) metMark(part uint32, end int) {
	if p := &l.parts[part]; (p.left || p.right) && !p.fits(l.text.norm, end) {
		return
	}
	for _, e := range l.effects[part] {
		if e.role == marksFile || e.role == marksPhase {
			l.effect(e)
		}
	}
}

// met takes note of a part that stands in the text before end.
func (l *look) met(part uint32, end int) {
	if l.seen[part] == l.round {
		return
	}
	if p := &l.parts[part]; (p.left || p.right) && !p.fits(l.text.norm, end) {
		return
	}
	l.seen[part] = l.round
	for _, e := range l.effects[part] {
		l.effect(e)
	}
	l.later = append(l.later, l.gapped[part]...)
}

// effect lets a phrase that stands in the text have its effect.
func (l *look) effect(e effect) {
	w, bit := e.n/64, uint64(1)<<(e.n%64)
	switch e.role {
	case wakes:
		l.sets.awake[w] |= bit
	case isAny:
		l.sets.awake[w] |= bit
		l.sets.any[w] |= bit
	case isListed:
		l.sets.awake[w] |= bit
		l.sets.listed[w] |= bit
	case isNone:
		l.sets.none[w] |= bit
	case namesList:
		l.named[w] |= bit
	case marksFile:
		l.speaks |= bit
	case marksPhase:
		if !l.phased {
			l.phase, l.phased = e.mark, true
		}
	}
}

// sift leaves awake only the rules whose phrases stand in the text as they ask for.
func (l *look) sift() {
	for _, id := range l.later {
		if l.has(id) {
			for _, e := range l.phrases[id].effects {
				l.effect(e)
			}
		}
	}
	for s := l.speaks; s != 0; s &= s - 1 {
		for i, b := range l.Rules.sets.bareOf[bits.TrailingZeros64(s)] {
			l.sets.awake[i] |= b
		}
	}
	all := &l.Rules.sets
	for i := range l.sets.awake {
		l.sets.awake[i] &= (l.sets.any[i] | ^all.any[i]) & (l.sets.listed[i] | ^all.lists[i]) &^ l.sets.none[i]
	}
}

// first returns the first rule that is awake and fits; with speaker, of the provider that speaks.
func (l *look) first(local func(*Class) bool, speaker bool) *compiled {
	for i, b := range l.sets.awake {
		for ; b != 0; b &= b - 1 {
			x := &l.rules[i*64+bits.TrailingZeros64(b)]
			of := l.speaks>>x.file&1 == 1
			if speaker && !of || x.rule.Only && !of || local != nil && !local(x.class) {
				continue
			}
			if l.fits(x) {
				return x
			}
		}
	}
	return nil
}

// fits tells whether the conditions hold that sift has not looked at.
func (l *look) fits(x *compiled) bool {
	if x.phases != 0 && (!l.phased || x.phases>>l.phase&1 == 0) {
		return false
	}
	if len(x.codes) > 0 && !l.hasCode(x.codes) || len(x.statuses) > 0 && !l.hasStatus(x.statuses) {
		return false
	}
	for _, id := range x.all {
		if !l.has(id) {
			return false
		}
	}
	return true
}

func (l *look) hasCode(list []codes) bool {
	code := l.text.code
	if code == 0 {
		code = l.text.status.Class * 100
	}
	for _, c := range list {
		if c.fits(code) {
			return true
		}
	}
	return false
}

func (l *look) hasStatus(list []statuses) bool {
	for _, s := range list {
		if s.fits(l.text.status) {
			return true
		}
	}
	return false
}

// has tells whether a phrase stands in the text.
func (l *look) has(id uint32) bool {
	p := &l.phrases[id]
	for _, part := range p.ids {
		if l.seen[part] != l.round {
			return false
		}
	}
	return len(p.parts) == 1 || p.in(l.text.norm)
}
