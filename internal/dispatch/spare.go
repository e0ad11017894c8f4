package dispatch

import (
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/suppress"
)

// spare fails the recipients that were suppressed after the message was taken: their server is not asked once more. Where the book
// cannot be read, they are sent to as if nothing were known.
func (j *job) spare() {
	if j.d.Suppress == nil {
		return
	}
	for n := 0; n < len(j.open); n++ {
		rcpt := j.open[n]
		e, err := j.d.Suppress.Barred(j.ctx, j.q.Envelope.Recipients[rcpt].Addr, j.started)
		if err != nil {
			j.d.Log.Warn("suppressed recipients not known", "msg_id", j.q.ID.String(), "error", err)
			return
		}
		if e == nil {
			continue
		}
		j.failed = append(j.failed, spared(rcpt, e, j.started))
		rest := make([]int, 0, len(j.open)-1) // the queue's own list stays as it is
		j.open = append(append(rest, j.open[:n]...), j.open[n+1:]...)
		n--
	}
}

// spared says of a suppressed recipient what its server had said.
func spared(rcpt int, e *suppress.Entry, now time.Time) failure {
	o := &outcome.Outcome{At: now, Phase: outcome.Lookup, Err: "not tried: " + e.English()}
	o.Reply.Status = mail.Status{Class: 5, Subject: 1, Detail: 1}
	return failure{rcpt, o, classify.Verdict{Class: "suppressed", Blame: classify.BlameRecipient, Scope: classify.ScopeRecipient, Action: classify.Fail}}
}

// remember tells the book of suppressed recipients what a server said of ours. A reply that came before RCPT speaks of nobody in
// particular; nor does one to the content when there were several recipients, and one of them may be meant.
func (j *job) remember(o *outcome.Outcome, v *classify.Verdict, rcpts []int) {
	if j.d.Suppress == nil || v.Action != classify.Deliver && (o.Phase < outcome.RcptTo || o.Phase > outcome.RcptTo && len(rcpts) > 1) {
		return
	}
	for _, r := range rcpts {
		n := suppress.Notice{At: o.At, Recipient: j.q.Envelope.Recipients[r].Addr, Msg: j.q.ID, Verdict: *v, Text: o.Text(), Host: o.Host}
		if err := j.d.Suppress.Note(j.ctx, &n); err != nil {
			j.d.Log.Warn("refused recipient not remembered", "msg_id", j.q.ID.String(), "error", err)
			return
		}
	}
}

// envelope returns the envelope of the next transaction: the message's own, or one with a reverse-path that leads reports back
// to us. An egress that takes only some sender domains gets the sender's own: it would refuse ours.
func (j *job) envelope() *mail.Envelope {
	env := j.q.Envelope
	if j.d.opts.ReturnPath == nil || env.From == "" || len(j.ways.Table.Egresses[j.egress].SenderDomains) > 0 {
		return env
	}
	from := j.d.opts.ReturnPath(env, j.q.N)
	if from == env.From {
		return env
	}
	e := *env
	e.From = from
	return &e
}
