package watch

import (
	"ukai/internal/outcome"
)

// Told is what a connected mail server, or the agent beside it, tells of one recipient: as JSON it is what they send.
type Told struct {
	Outcome   outcome.Outcome `json:"outcome"`
	Recipient string          `json:"recipient"`
	Sender    string          `json:"sender,omitempty"`
	MessageID string          `json:"message_id,omitempty"`
}

// Witness is the connected server that tells.
type Witness struct {
	Source string // who handed it over, for the repetitions: see Hub
	Server string
	Egress string // the egress whose address it sends from; empty: it has paths of its own
}

// Tell makes what a source saw on another machine what it sends from there.
func (o *Observation) Tell() Told {
	return Told{Outcome: o.Outcome, Recipient: o.Recipient, Sender: o.Sender, MessageID: o.MessageID}
}

// Take lets what a connected server tells bear on its paths. It is judged here, by the rules of this process; which egress it
// was is for the Witness to say, and not for what is told: a server whose secret was stolen can then do harm to its own paths
// only. It does not block for long.
func (h *Hub) Take(w Witness, list []Told) {
	k := Knowledge{Judge: h.Rules, Providers: h.Providers}
	for i := range list {
		t := &list[i]
		o := Observation{Source: w.Source, Server: w.Server, Outcome: t.Outcome, Recipient: t.Recipient, Sender: t.Sender, MessageID: t.MessageID}
		o.Outcome.Egress, o.Outcome.Provider = w.Egress, k.provider(o.Outcome.Host, o.Recipient)
		if w.Egress == "" {
			o.Outcome.Egress = w.Server
		}
		o.Verdict = k.Judge.Classify(&o.Outcome)
		h.see(o, nil)
	}
}
