package dispatch

import (
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/queue"
)

// settle ends the attempt: reports are queued first, then the delivery is settled, so that a crash in between sends a report
// twice rather than never.
func (j *job) settle(now time.Time) {
	defer j.d.end(j)
	if len(j.later) > 0 {
		j.expire(now)
	}
	st := queue.Settlement{Key: j.q.Key, Next: j.q.State}
	counts := Settled{At: now, Domain: j.q.Domain, Sender: mail.Domain(j.q.Envelope.From), Preferred: j.preferred,
		Detour: j.detour, Delivered: len(j.done), Bounced: len(j.failed)}
	if j.dest != nil {
		counts.Provider = j.dest.Provider
	}
	if len(j.later) > 0 {
		j.postpone(&st.Next, now)
		if j.next.held {
			counts.Held = len(j.later)
		} else {
			counts.Deferred = len(j.later)
		}
		if !st.Next.Warned && j.d.opts.Schedule.WarnDue(j.q.Envelope.Accepted, now) {
			st.Next.Warned = j.warn(now)
		}
	}
	if !j.report(now) {
		// The report could not be stored: keep the recipients, they will fail again and be reported then.
		st.Next.Due = now.Add(time.Minute)
		st.Next.Last = j.failed[0].o.Text()
		j.failed, counts.Bounced = nil, 0
	}
	for _, f := range j.failed {
		j.done = append(j.done, f.rcpt)
	}
	st.Done = j.done
	if err := j.d.Store.Settle(st); err != nil {
		j.d.Log.Error("delivery not settled", "msg_id", j.q.ID.String(), "error", err)
	}
	if j.d.opts.OnSettled != nil {
		j.d.opts.OnSettled(counts)
	}
}

// postpone says when and why the rest is tried again.
func (j *job) postpone(s *queue.DeliveryState, now time.Time) {
	n := &j.next
	s.Tag, s.Last = n.tag, ""
	kind := journal.Deferred
	if n.held {
		kind = journal.Held
	} else {
		s.Attempts++
	}
	s.Due = n.until
	if s.Due.IsZero() {
		s.Due = j.d.opts.Schedule.Next(now, s.Attempts, random())
	}
	e := journal.Event{At: now, Msg: j.q.ID, Kind: kind, Recipients: j.addresses(j.later), Domain: j.q.Domain, Why: n.why,
		Preferred: n.preferred, Until: s.Due}
	if j.dest != nil {
		e.Provider = j.dest.Provider
	}
	if n.last != nil {
		s.Last = n.last.Text()
		e.Text, e.Class = s.Last, n.verdict.Class
	} else {
		s.Last = j.q.State.Last
	}
	j.d.Journal.Record(e)
}

// expire fails what is older than the queue's lifetime.
func (j *job) expire(now time.Time) {
	if !j.d.opts.Schedule.Expired(j.q.Envelope.Accepted, now) {
		return
	}
	o, v := j.next.last, j.next.verdict
	if o == nil {
		o = &outcome.Outcome{At: now, Phase: outcome.Lookup, Err: j.q.State.Last, ErrTemporary: true}
		v = classify.Verdict{Class: "delivery_expired", Blame: classify.BlameNetwork, Scope: classify.ScopeMessage, Action: classify.Fail}
	}
	v.Action = classify.Fail
	for _, r := range j.later {
		j.failed = append(j.failed, failure{r, o, v})
	}
	j.later = nil
}

// unreadable ends an attempt whose content could not be read. The queue has set the message aside or is broken; either way
// nothing is known to be wrong with the recipients, so they are kept.
func (j *job) unreadable(err error) {
	j.d.Log.Error("message not readable", "msg_id", j.q.ID.String(), "error", err)
	now := time.Now()
	j.later = append(j.later, j.open...)
	j.open = nil
	j.next.last = &outcome.Outcome{At: now, Phase: outcome.Lookup, Err: "content not readable: " + err.Error(), ErrTemporary: true}
	j.next.verdict = classify.Verdict{Class: "system_error", Blame: classify.BlameConfiguration, Scope: classify.ScopeMessage, Action: classify.Retry}
	j.settle(now)
}

func moved(c *health.Change) journal.Event {
	e := journal.Event{At: c.At, Kind: journal.Moved, Egress: c.Key.Egress, Provider: c.Key.Provider, Before: c.From.String(), After: c.To.String(), Why: c.Why}
	if n := len(c.Evidence); n > 0 {
		last := &c.Evidence[n-1]
		e.Text, e.Class, e.Code = last.Outcome.Text(), last.Verdict.Class, last.Outcome.Reply.Code
		e.Data = evidenceJSON(c.Evidence)
	}
	return e
}

// wantsReport tells whether anybody is to be told about a failure of a recipient.
func wantsReport(env *mail.Envelope, rcpt int) bool {
	return env.From != "" && env.Recipients[rcpt].Notify.WantsFailure()
}
