package watch

import (
	"context"
	"slices"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/dsn"
	"ukai/internal/explain"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Mail is what is known of a mail besides what stands in it.
type Mail struct {
	Source string // who read it, by the name in the settings
	Server string // the mail server whose reports come there; empty: Source stands for it
	Egress string // the egress that this server sends from; empty: not one of ours
	// Arrived is when it came. It is believed before the mail's own date where that is later.
	Arrived time.Time
	// Msg is the message that it is about, where a token in its return path says so.
	Msg mail.ID
}

// Report takes a mail that came to where reports come to, and lets what it says bear on the paths. It is false for a mail that
// reports nothing: one that a person wrote, an automatic answer.
//
// What it says counts from when the reporter wrote it. A message of ours is found by the token, or by its Message-ID; a report
// that ukai wrote itself, and one of a refusal that ukai saw, tells nothing new.
func (h *Hub) Report(ctx context.Context, m Mail, r *dsn.Reading) bool {
	return h.report(ctx, m, r, func(o Observation) { h.see(o, nil) })
}

// report is Report for a source.
func (h *Hub) report(ctx context.Context, m Mail, r *dsn.Reading, see func(Observation)) bool {
	if r.Kind != dsn.Bounce && r.Kind != dsn.Success && r.Kind != dsn.Complaint {
		return false
	}
	sent := h.ofOurs(ctx, &m, r)
	found := (&explain.Explainer{Rules: h.Rules.Rules(), Providers: h.Providers}).Reading(r)
	for i := range found {
		o := observed(&m, r, &found[i])
		if sent != nil && !sent.complete(&o) {
			continue
		}
		see(o)
	}
	return true
}

// observed makes what a report says of one recipient an Observation.
func observed(m *Mail, r *dsn.Reading, f *explain.Finding) Observation {
	o := Observation{
		Source: m.Source, Server: m.Server, Recipient: f.Recipient, Sender: f.Sender, MessageID: r.Original.MessageID, Msg: m.Msg,
		Verdict: f.Verdict, Hearsay: m.Msg == 0,
		// What a person calls spam, and what arrived, was taken by the provider: the path has heard of that.
		Late: r.Kind != dsn.Bounce,
	}
	o.Outcome = outcome.Outcome{At: written(r, m.Arrived), Egress: m.Egress, Provider: f.Provider, Host: f.Host, Phase: outcome.ParsePhase(f.Phase)}
	switch {
	case f.Code != 0:
		o.Outcome.Reply = mail.Reply{Code: f.Code, Status: f.Status, Lines: []string{f.Text}}
	case f.Verdict.Action == classify.Fail && r.Kind == dsn.Bounce:
		o.Outcome.Reply = mail.Reply{Code: 550, Status: f.Status, Lines: []string{f.Text}} // it was given up, so it was final
	default:
		o.Outcome.Err, o.Outcome.ErrTemporary = f.Text, true
	}
	return o
}

// written is when a report was written: by its own date, but never after it arrived.
func written(r *dsn.Reading, arrived time.Time) time.Time {
	if r.Date.IsZero() || !arrived.IsZero() && r.Date.After(arrived) {
		return arrived
	}
	return r.Date
}

// sent is a message of ours that a report is about.
type sent struct{ events []journal.Event }

// lookBack is how long after it was taken a message can be reported: servers give up after 5 days (RFC 5321, section 4.5.4.1),
// some after a week.
const lookBack = 8 * 24 * time.Hour

// ofOurs finds the message that a report is about and puts it into m; nil where there is none.
func (h *Hub) ofOurs(ctx context.Context, m *Mail, r *dsn.Reading) *sent {
	if m.Msg == 0 && r.Original.MessageID != "" {
		ids, err := h.Journal.Find(ctx, r.Original.MessageID, time.Now().Add(-lookBack))
		if err != nil {
			h.Log.Warn("journal not asked for the message of a report", "source", m.Source, "error", err)
		}
		if len(ids) > 0 {
			m.Msg = ids[0]
		}
	}
	if m.Msg == 0 {
		return nil
	}
	events, err := h.Journal.Message(ctx, m.Msg)
	if err != nil {
		h.Log.Warn("journal not asked for the message of a report", "source", m.Source, "msg_id", m.Msg.String(), "error", err)
	}
	return &sent{events}
}

// complete fills in over which path the message went. It is false where ukai has seen the refusal itself.
//
// Who took the message may have sent it on, and then it was another address than ours that was refused: what another provider
// said, or what was said for a recipient that the message did not have, is kept and moves no path (see Observation.Late).
func (s *sent) complete(o *Observation) bool {
	for i := len(s.events) - 1; i >= 0; i-- {
		e := &s.events[i]
		if !slices.ContainsFunc(e.Recipients, func(r string) bool { return strings.EqualFold(r, o.Recipient) }) {
			continue
		}
		switch {
		case e.Kind == journal.Bounced, e.Kind == journal.Warned:
			return false // ukai wrote the report
		case e.Kind != journal.Attempt:
		case e.Code >= 200 && e.Code < 300:
			o.Late = o.Late || o.Outcome.Provider != "" && o.Outcome.Provider != e.Provider
			o.Outcome.Egress, o.Outcome.Provider = e.Egress, e.Provider
			return true
		case e.Code == o.Outcome.Reply.Code && letters(e.Text) == letters(o.Outcome.Text()):
			return false
		}
	}
	o.Late = true
	return true
}
