package watch

import (
	"sync/atomic"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
)

// see takes what a source saw. It waits for nothing: an observation whose provider has to be asked for goes to the askers.
func (h *Hub) see(o Observation, r *runner) {
	if h.setup.get().ours(o.Outcome.Host) {
		return // it came to ukai, which tells what became of it
	}
	r.count(func(c *Counts) { c.Seen++ })
	if o.Outcome.Provider == "" && !h.provider(&o) {
		o.from = r
		select {
		case h.lookups <- o:
			return
		default: // so many unknown domains: what can be said without asking has to do
			o.Outcome.Provider = h.registrable(&o)
		}
	}
	h.take(&o, r)
}

// take places an observation whose provider is known, and lets it bear on the path.
func (h *Hub) take(o *Observation, r *runner) {
	now := time.Now()
	s := h.setup.get()
	o.place(s, now)
	if h.repeats.seen(o, now) {
		r.count(func(c *Counts) { c.Repeated++ })
		return
	}
	if o.Verdict.Reputation {
		r.count(func(c *Counts) { c.Refused++ })
	}
	if o.Late {
		r.count(func(c *Counts) { c.Late++ })
	}
	h.write(o)
	if h.Seen != nil {
		h.Seen(o)
	}
	if !o.Late && (!o.Hearsay || h.listed(o.Outcome.Provider)) {
		h.weigh(o)
	}
}

// place fills in which egress it was, when, and whether that is news.
func (o *Observation) place(s *setup, now time.Time) {
	if o.Outcome.At.IsZero() || o.Outcome.At.After(now) { // a clock that goes ahead must not freeze a path until then
		o.Outcome.At = now
	}
	if now.Sub(o.Outcome.At) > s.late {
		o.Late = true
	}
	if o.Hearsay && o.Verdict.Scope == classify.ScopeRange {
		o.Verdict.Scope = classify.ScopeIP // its neighbours may be egresses of ours
	}
	if o.Outcome.Egress == "" {
		o.Outcome.Egress = s.egress(o)
	}
}

// weigh gives an observation to package health. Over a path that is shut, what a server sends all the same is a probe, as soon
// as one is due: for the paths of a server that ukai does not relay for there is no other.
func (h *Hub) weigh(o *Observation) {
	key := health.Key{Egress: o.Outcome.Egress, Provider: o.Outcome.Provider}
	taken := o.Verdict.Action == classify.Deliver
	ev := health.Evidence{At: o.Outcome.At, Key: key, Verdict: o.Verdict}
	if taken || o.Verdict.Reputation {
		if p := h.Health.Path(key.Egress, key.Provider); p.Shut() {
			ev.Probe = h.Health.BeginProbe(key, ev.At)
		}
	}
	if !taken || ev.Probe { // evidence that may be kept; what went well is only counted
		ev.Outcome, ev.MsgID = o.Outcome, o.id()
	}
	h.Health.Observe(ev)
}

// id is the name by which refusals of several recipients of one message are known to be one.
func (o *Observation) id() string {
	if o.Msg != 0 {
		return o.Msg.String()
	}
	return o.MessageID
}

// write keeps in the journal what came back for a message of ours.
func (h *Hub) write(o *Observation) {
	if o.Msg == 0 {
		return
	}
	e := journal.Event{
		At: o.Outcome.At, Msg: o.Msg, Kind: journal.Reported, Domain: mail.Domain(o.Recipient),
		Egress: o.Outcome.Egress, Provider: o.Outcome.Provider, Host: o.Outcome.Host, Phase: o.Outcome.Phase.String(),
		Code: o.Outcome.Reply.Code, Text: o.Outcome.Text(), Class: o.Verdict.Class, Blame: string(o.Verdict.Blame), Rule: o.Verdict.Rule,
		Source: o.Source,
	}
	if o.Recipient != "" {
		e.Recipients = []string{o.Recipient}
	}
	h.Journal.Record(e)
}

// setupBox holds the options in the form in which they are asked.
type setupBox struct{ p atomic.Pointer[setup] }

func (b *setupBox) get() *setup { return b.p.Load() }

func (b *setupBox) set(o Options) { b.p.Store(newSetup(o)) }
