package peersim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is what became of one message for one recipient.
type Record struct {
	// ID is the X-Rehearsal-ID of the message; without one, what stands behind the + in its reverse-path (for a bounce: in its
	// recipient), or else its Message-ID. It is empty where a message without such a reverse-path was refused before its content.
	ID   string `json:"id"`
	Rcpt string `json:"rcpt,omitempty"` // empty: refused at MAIL

	Delivered int        `json:"delivered,omitempty"` // how often; more than one is a duplicate
	First     time.Time  `json:"first,omitzero"`      // when it was delivered first, where, and from which address
	Provider  string     `json:"provider,omitempty"`
	Source    netip.Addr `json:"source,omitzero"`
	Digest    uint64     `json:"digest,omitempty"`  // see Digest
	Changed   bool       `json:"changed,omitempty"` // a later copy had another digest
	Bounce    bool       `json:"bounce,omitempty"`  // its reverse-path was null

	Refused      int        `json:"refused,omitempty"` // how often
	FirstRefused time.Time  `json:"first_refused,omitzero"`
	LastRefused  time.Time  `json:"last_refused,omitzero"`
	RefusedBy    string     `json:"refused_by,omitempty"` // provider, source address and phase of the last refusal
	RefusedFrom  netip.Addr `json:"refused_from,omitzero"`
	Phase        Phase      `json:"phase,omitempty"`
}

// Tally counts what happened to one source at one provider.
type Tally struct {
	Provider string     `json:"provider"`
	Source   netip.Addr `json:"source"`
	Phase    Phase      `json:"phase"` // of the rule; Greeting without a rule: connections; EndOfData without a rule: deliveries
	Rule     string     `json:"rule,omitempty"`
	N        int        `json:"n"`
	First    time.Time  `json:"first"`
	Last     time.Time  `json:"last"`
}

// Sum is the ledger at a glance.
type Sum struct {
	Delivered  int `json:"delivered"`  // different pairs of message and recipient, bounces left out
	Duplicates int `json:"duplicates"` // deliveries above one per pair
	Refusals   int `json:"refusals"`
	Bounces    int `json:"bounces"` // different pairs delivered with a null reverse-path
	Complaints int `json:"complaints"`
}

// Event is one delivery or one refusal.
type Event struct {
	At       time.Time
	Provider string
	Source   netip.Addr
	Phase    Phase
	Rule     string // who refused; empty: delivered
	Code     int    // of the reply; 0: hung up
	ID       string
	From     string
	Rcpt     string
	MailArgs string // what stood behind the addresses in MAIL and RCPT
	RcptArgs string
	TLS      bool
	Account  string
	Content  []byte // at most Options.Keep octets; its owner is the receiver of the event
}

// rec is a Record in little room.
type rec struct {
	key                                string // id NUL rcpt
	first, firstRefused, lastRefused   int64  // Unix nanoseconds
	digest                             uint64
	delivered, refused                 uint32
	provider, source, refBy, refSource uint16
	phase                              Phase
	changed, bounce                    bool
}

type tallyKey struct {
	provider, source uint16
	phase            Phase
	rule             string
}

// maxComplaints bounds how many complaints are kept word for word.
const maxComplaints = 100

// ledger is the memory of the world.
type ledger struct {
	mu         sync.Mutex // guards all of it
	index      map[string]int32
	recs       []rec
	tallies    map[tallyKey]*Tally
	names      []string // providers, by number
	sources    []netip.Addr
	nameOf     map[string]uint16
	sourceOf   map[netip.Addr]uint16
	sum        Sum
	complaints []string
}

func newLedger() *ledger {
	return &ledger{
		index: make(map[string]int32), tallies: make(map[tallyKey]*Tally),
		nameOf: make(map[string]uint16), sourceOf: make(map[netip.Addr]uint16),
	}
}

// entry is what a session hands in: one refusal or delivery.
type entry struct {
	now      time.Time
	provider string
	source   netip.Addr
	phase    Phase
	rule     string
	id, rcpt string
	digest   uint64
	bounce   bool
}

// refuse notes a refusal; without a message (at the greeting) only the tally is kept.
func (l *ledger) refuse(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, s := l.numbers(e)
	l.tallyLocked(p, s, e)
	l.sum.Refusals++
	if e.id == "" && e.rcpt == "" {
		return
	}
	r := l.recLocked(e)
	at := e.now.UnixNano()
	if r.refused == 0 {
		r.firstRefused = at
	}
	r.refused++
	r.lastRefused, r.refBy, r.refSource, r.phase = at, p, s, e.phase
}

// deliver notes a delivery.
func (l *ledger) deliver(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, s := l.numbers(e)
	l.tallyLocked(p, s, e)
	r := l.recLocked(e)
	if r.delivered++; r.delivered > 1 {
		l.sum.Duplicates++
		r.changed = r.changed || r.digest != e.digest
		return
	}
	r.first, r.provider, r.source, r.digest, r.bounce = e.now.UnixNano(), p, s, e.digest, e.bounce
	if e.bounce {
		l.sum.Bounces++
	} else {
		l.sum.Delivered++
	}
}

// connect notes a connection.
func (l *ledger) connect(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, s := l.numbers(e)
	l.tallyLocked(p, s, e)
}

func (l *ledger) numbers(e *entry) (provider, source uint16) {
	p, ok := l.nameOf[e.provider]
	if !ok {
		p = uint16(len(l.names))
		l.nameOf[e.provider] = p
		l.names = append(l.names, e.provider)
	}
	s, ok := l.sourceOf[e.source]
	if !ok {
		s = uint16(len(l.sources))
		l.sourceOf[e.source] = s
		l.sources = append(l.sources, e.source)
	}
	return p, s
}

func (l *ledger) tallyLocked(p, s uint16, e *entry) {
	k := tallyKey{p, s, e.phase, e.rule}
	t := l.tallies[k]
	if t == nil {
		t = &Tally{Provider: e.provider, Source: e.source, Phase: e.phase, Rule: e.rule, First: e.now}
		l.tallies[k] = t
	}
	t.N++
	t.Last = e.now
}

func (l *ledger) recLocked(e *entry) *rec {
	var room [256]byte
	key := append(append(append(room[:0], e.id...), 0), e.rcpt...)
	if i, ok := l.index[string(key)]; ok {
		return &l.recs[i]
	}
	r := rec{key: string(key)}
	l.index[r.key] = int32(len(l.recs))
	l.recs = append(l.recs, r)
	return &l.recs[len(l.recs)-1]
}

func (l *ledger) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Complaints++
	if len(l.complaints) < maxComplaints {
		l.complaints = append(l.complaints, fmt.Sprintf(format, args...))
	}
}

func (l *ledger) recordLocked(r *rec) Record {
	id, rcpt, _ := strings.Cut(r.key, "\x00")
	out := Record{ID: id, Rcpt: rcpt, Delivered: int(r.delivered), Digest: r.digest, Changed: r.changed, Bounce: r.bounce, Refused: int(r.refused), Phase: r.phase}
	if r.delivered > 0 {
		out.First, out.Provider, out.Source = time.Unix(0, r.first), l.names[r.provider], l.sources[r.source]
	}
	if r.refused > 0 {
		out.FirstRefused, out.LastRefused = time.Unix(0, r.firstRefused), time.Unix(0, r.lastRefused)
		out.RefusedBy, out.RefusedFrom = l.names[r.refBy], l.sources[r.refSource]
	}
	return out
}

// Records returns everything that is known of messages, in the order in which they were first seen.
func (w *World) Records() []Record {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Record, len(l.recs))
	for i := range l.recs {
		all[i] = l.recordLocked(&l.recs[i])
	}
	return all
}

// Record returns what is known of one message for one recipient.
func (w *World) Record(id, rcpt string) (Record, bool) {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.index[id+"\x00"+rcpt]
	if !ok {
		return Record{}, false
	}
	return l.recordLocked(&l.recs[i]), true
}

// Tallies returns the counters, sorted by provider, source, phase and rule.
func (w *World) Tallies() []Tally {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Tally, 0, len(l.tallies))
	for _, t := range l.tallies {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Tally) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), a.Source.Compare(b.Source), cmp.Compare(a.Phase, b.Phase), strings.Compare(a.Rule, b.Rule))
	})
	return all
}

// Sum returns the ledger at a glance.
func (w *World) Sum() Sum {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.sum
}

// Complaints returns what clients did against the protocol, the first hundred of it.
func (w *World) Complaints() []string {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return slices.Clone(w.ledger.complaints)
}
