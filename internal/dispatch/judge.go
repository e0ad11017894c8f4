package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"ukai/internal/classify"
	"ukai/internal/health"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/route"
	"ukai/internal/smtpclient"
)

// judge takes the result of a transaction apart: each recipient is done, failed, left for later, or goes on by another way.
func (j *job) judge(res *smtpclient.Result) {
	var detour, again []int
	now := time.Now()
	enough := res.TooMany()
	for first := 0; first < len(res.Outcomes); {
		o := &res.Outcomes[first]
		end := first + 1
		for end < len(res.Outcomes) && alike(o, &res.Outcomes[end]) {
			end++
		}
		if slices.Contains(enough, first) {
			again = append(again, j.open[first:end]...)
			first = end
			continue
		}
		v := j.weigh(o, j.open[first:end], true)
		for i := first; i < end; i++ {
			if v.Action == classify.Deliver && !res.DSN && j.q.Envelope.Recipients[j.open[i]].Notify&mail.NotifySuccess != 0 {
				j.relayed = append(j.relayed, failure{j.open[i], o, v})
			}
		}
		if j.sort(o, v, j.open[first:end]) {
			detour = append(detour, j.open[first:end]...)
		}
		first = end
	}
	if len(detour) == 0 && len(again) > 0 {
		j.open = again
		j.enter() // another transaction at once, with those that this one had no room for
		return
	}
	j.later = append(j.later, again...)
	j.conclude(detour, now)
}

// judgeAll applies one outcome to all open recipients: the attempt ended before there were any. With evidence false, health
// has heard of the outcome from another job.
func (j *job) judgeAll(o *outcome.Outcome, evidence bool) {
	var detour []int
	v := j.weigh(o, j.open, evidence)
	if j.sort(o, v, j.open) {
		detour = j.open
	}
	j.conclude(detour, time.Now())
}

// conclude ends the attempt, or goes on by another way with the recipients that a detour may help.
func (j *job) conclude(detour []int, now time.Time) {
	if len(detour) == 0 {
		j.open = nil
		j.settle(now)
		return
	}
	j.open = detour
	j.tried |= 1 << j.egress
	j.probe = false
	j.routeAgain(j.d.currentWays())
}

// alike tells whether two recipients ended the same way, so that one verdict, one piece of evidence and one entry serve both.
func alike(a, b *outcome.Outcome) bool {
	if a.Phase != b.Phase || a.Reply.Code != b.Reply.Code || a.Reply.Status != b.Reply.Status || a.Err != b.Err || len(a.Reply.Lines) != len(b.Reply.Lines) {
		return false
	}
	for i := range a.Reply.Lines {
		if a.Reply.Lines[i] != b.Reply.Lines[i] {
			return false
		}
	}
	return true
}

// weigh has an outcome judged, tells health and journal, and passes on what concerns load.
func (j *job) weigh(o *outcome.Outcome, rcpts []int, evidence bool) classify.Verdict {
	j.stamp(o)
	v := j.d.Judge.Classify(o)
	if j.d.opts.OnOutcome != nil {
		j.d.opts.OnOutcome(Judged{o, &v, j.q.Domain, mail.Domain(j.q.Envelope.From), len(rcpts)})
	}
	j.record(o, &v, rcpts)
	if j.egress < 0 || !evidence {
		return v // a lookup uses no path
	}
	j.remember(o, &v, rcpts)
	ev := health.Evidence{At: o.At, Key: health.Key{Egress: o.Egress, Provider: o.Provider}, Verdict: v, Probe: j.probe}
	if v.Action != classify.Deliver || j.probe { // evidence that may be kept; what went well is only counted
		ev.Outcome, ev.MsgID = *o, j.q.ID.String()
	}
	j.d.Health.Observe(ev) // what it changed comes back by Note
	j.paceSite(o, &v)
	return v
}

// stamp says in an outcome over which path it came.
func (j *job) stamp(o *outcome.Outcome) {
	o.Egress = j.egressName()
	if j.dest != nil {
		o.Provider = j.dest.Provider
	}
}

// paceSite adjusts how many connections the site may have.
func (j *job) paceSite(o *outcome.Outcome, v *classify.Verdict) {
	switch {
	case v.Action == classify.Deliver:
		j.site.feedback((*limiter).good)
	case o.Reply.Code == 421 || v.Class == "connection_limit" || v.Class == "rate_limited":
		j.site.feedback((*limiter).pushback)
	}
}

// sort puts recipients that ended alike where they belong; it returns true when they should go on by another way at once.
func (j *job) sort(o *outcome.Outcome, v classify.Verdict, rcpts []int) (detour bool) {
	switch {
	case v.Action == classify.Deliver:
		j.done = append(j.done, rcpts...)
	case v.Detour && j.egress >= 0 && j.ways.Table.Mode == route.Act:
		j.next.last, j.next.verdict = o, v
		return true
	case v.Detour && j.egress >= 0:
		j.observe(o.At)
		j.finish(o, v, rcpts)
	default:
		j.finish(o, v, rcpts)
	}
	return false
}

// finish ends the attempt for recipients as the verdict says.
func (j *job) finish(o *outcome.Outcome, v classify.Verdict, rcpts []int) {
	if v.Action == classify.Fail {
		for _, r := range rcpts {
			j.failed = append(j.failed, failure{r, o, v})
		}
		return
	}
	j.later = append(j.later, rcpts...)
	j.next.last, j.next.verdict = o, v
	if v.Class == greylisted && j.egress >= 0 {
		j.next.tag = stayWith + j.egressName()
	}
}

// greylisted is the class of "come back later, from the same address" (RFC 6647).
const greylisted = "greylisted"

func (j *job) record(o *outcome.Outcome, v *classify.Verdict, rcpts []int) {
	e := journal.Event{
		At: o.At, Msg: j.q.ID, Kind: journal.Attempt, Recipients: j.addresses(rcpts), Domain: j.q.Domain,
		Egress: o.Egress, Provider: o.Provider, Detour: j.detour, Probe: j.probe,
		Host: o.Host, TLS: o.TLS, Phase: o.Phase.String(), Code: o.Reply.Code, Text: o.Text(),
		Class: v.Class, Blame: string(v.Blame), Rule: v.Rule, Took: o.Duration,
	}
	if o.Remote.IsValid() {
		e.Remote = o.Remote.String()
	}
	j.d.Journal.Record(e)
	j.log(o, v, len(rcpts))
}

// log writes one line per transaction and outcome. What went well is for debugging: the journal has it, and a busy relay would
// write nothing else.
func (j *job) log(o *outcome.Outcome, v *classify.Verdict, rcpts int) {
	level, what := slog.LevelInfo, "refused"
	if v.Action == classify.Deliver {
		level, what = slog.LevelDebug, "delivered"
	}
	if !j.d.Log.Enabled(j.ctx, level) {
		return
	}
	j.d.Log.LogAttrs(j.ctx, level, what, slog.String("msg_id", j.q.ID.String()), slog.String("domain", j.q.Domain), slog.Int("recipients", rcpts),
		slog.String("egress", o.Egress), slog.String("provider", o.Provider), slog.String("host", o.Host), slog.String("phase", o.Phase.String()),
		slog.Int("code", o.Reply.Code), slog.String("why", v.Class), slog.String("text", o.Text()), slog.Duration("took", o.Duration))
}

func (j *job) addresses(rcpts []int) []string {
	out := make([]string, len(rcpts))
	for i, r := range rcpts {
		out[i] = j.q.Envelope.Recipients[r].Addr
	}
	return out
}

// Note records a change of a path and lets mail go that waited for it. It fits health.Options.OnChange.
func (d *Dispatcher) Note(c health.Change) {
	d.Journal.Record(moved(&c))
	if c.To != health.Healthy && c.To != health.Recovering {
		return
	}
	n, err := d.Store.Release(context.Background(), waitingFor(c.Key.Provider), c.At)
	if err != nil {
		d.Log.Error("held mail not released", "provider", c.Key.Provider, "error", err)
	} else if n > 0 {
		d.Log.Info("held mail released", "provider", c.Key.Provider, "deliveries", n)
	}
}
