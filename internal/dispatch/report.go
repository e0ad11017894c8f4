package dispatch

import (
	"context"
	"encoding/json"
	"time"

	"ukai/internal/dsn"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// report tells the sender about recipients that failed, and those handed on to servers that give no success reports. It returns
// false when the report could not be stored; then nothing of it was told, and the recipients must not be settled as failed.
func (j *job) report(now time.Time) bool {
	var rcpts []dsn.Recipient
	var failed []int
	for _, f := range j.failed {
		failed = append(failed, f.rcpt)
		if wantsReport(j.q.Envelope, f.rcpt) {
			rcpts = append(rcpts, j.reported(dsn.Failed, f))
		}
	}
	for _, f := range j.relayed {
		if j.q.Envelope.From != "" {
			rcpts = append(rcpts, j.reported(dsn.Relayed, f))
		}
	}
	if len(rcpts) > 0 {
		if err := j.send(now, rcpts); err != nil {
			j.d.Log.Error("delivery report not stored", "msg_id", j.q.ID.String(), "error", err)
			return len(failed) == 0
		}
	}
	if len(failed) > 0 {
		f := j.failed[0]
		e := journal.Event{At: now, Msg: j.q.ID, Kind: journal.Bounced, Recipients: j.addresses(failed), Domain: j.q.Domain,
			Text: f.o.Text(), Class: f.v.Class, Blame: string(f.v.Blame), Why: "dispatch.bounced.reported"}
		if len(rcpts) == 0 {
			e.Why = "dispatch.bounced.silent" // nobody to tell: a report itself, or the sender asked for silence
		}
		j.d.Journal.Record(e)
	}
	return true
}

// warn tells the sender of a delay; it returns true when there is nothing more to warn of.
func (j *job) warn(now time.Time) bool {
	var rcpts []dsn.Recipient
	for _, r := range j.later {
		if j.q.Envelope.From == "" || !j.q.Envelope.Recipients[r].Notify.WantsDelay() {
			continue
		}
		o := j.next.last
		if o == nil {
			o = &outcome.Outcome{At: now, Err: j.q.State.Last}
		}
		rcpts = append(rcpts, j.reported(dsn.Delayed, failure{r, o, j.next.verdict}))
	}
	if len(rcpts) == 0 {
		return true
	}
	if err := j.send(now, rcpts); err != nil {
		j.d.Log.Error("delay warning not stored", "msg_id", j.q.ID.String(), "error", err)
		return false
	}
	j.d.Journal.Record(journal.Event{At: now, Msg: j.q.ID, Kind: journal.Warned, Recipients: j.addresses(j.later), Domain: j.q.Domain})
	return true
}

func (j *job) reported(action dsn.Action, f failure) dsn.Recipient {
	r := dsn.Recipient{
		Recipient: j.q.Envelope.Recipients[f.rcpt], Action: action, Status: f.o.Reply.Status,
		Reply: f.o.Reply, Host: f.o.Host, Trouble: f.o.Err, LastAttempt: f.o.At,
	}
	if f.v.Class != "" {
		r.Reason = dsn.Say("classify.what." + f.v.Class)
	}
	if action == dsn.Delayed {
		r.RetryUntil = j.d.opts.Schedule.Until(j.q.Envelope.Accepted)
		if f.v.Detour {
			r.Reason = dsn.Say("dispatch.reason.held")
		}
	}
	return r
}

// send queues a report to the message's sender, with a null reverse-path so that no report can answer it.
func (j *job) send(now time.Time, rcpts []dsn.Recipient) error {
	orig := j.q.Envelope
	env := &mail.Envelope{
		Recipients: []mail.Recipient{{Addr: orig.From, Notify: mail.NotifyNever}},
		FromHdr:    mail.Domain("@" + j.d.opts.Hostname), Account: orig.Account,
	}
	draft, err := j.d.Store.Create(env)
	if err != nil {
		return err
	}
	defer draft.Abort()
	env.MessageID = env.ID.String() + "@" + j.d.opts.Hostname
	rep := &dsn.Report{Envelope: orig, Host: j.d.opts.Hostname, MessageID: env.MessageID, Recipients: rcpts}
	if content, err := j.d.Store.Open(j.q.ID); err == nil {
		defer content.Close()
		rep.Original = content
	} // else the report goes without the original: the sender is told all the same
	m, err := dsn.Build(now, rep)
	if err != nil {
		rep.Original = nil
		if m, err = dsn.Build(now, rep); err != nil {
			return err
		}
	}
	env.EightBit, env.UTF8 = m.EightBit, m.UTF8
	if _, err := draft.Write(m.Content); err != nil {
		return err
	}
	if err := draft.Commit(context.WithoutCancel(j.ctx), nil); err != nil {
		return err
	}
	j.d.Journal.Record(journal.Event{At: now, Msg: env.ID, Kind: journal.Accepted, Recipients: []string{orig.From}, MessageID: env.MessageID,
		Size: env.Size, Why: "dispatch.report.of", Text: j.q.ID.String()})
	return nil
}

func evidenceJSON(list []health.Evidence) json.RawMessage {
	b, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	return b
}
