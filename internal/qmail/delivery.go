package qmail

import (
	"context"
	"os"
	"strings"
	"time"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// delivery is one message on its way to its recipients at one host.
type delivery struct {
	*call
	settings *Settings
	dir      string     // control/
	seen     []observed // what the original met
	judge    classify.Judge
}

// run delivers and returns the report, or no report and a code that makes qmail try again.
func (d *delivery) run(ctx context.Context, in *os.File) (report []byte, code int) {
	m, err := openMessage(in)
	if err != nil {
		return nil, exitTemporary
	}
	defer m.close()
	fates := make([]fate, len(d.recips))
	open := make([]int, len(d.recips))
	for i := range open {
		open[i] = i
	}
	own := routed(d.dir, d.host) // somebody has said where it goes
	if d.settings.Relay && !own {
		for i, o := range d.detour(ctx, m, d.recips) {
			fates[i] = taken(&o, true)
		}
		return compose(fates), exitReported
	}
	asked := !own && d.steered(ctx)
	if asked {
		if open = d.first(ctx, m, fates); len(open) == 0 {
			return compose(fates), exitReported
		}
	}
	raw, ok := d.original(ctx, m, d.some(open))
	r, understood := parseReport(raw, len(open))
	switch {
	case ok && understood:
		if !d.net(ctx, m, &r, verge{fates, open, asked}) && len(open) == len(fates) {
			return raw, exitReported
		}
	case len(open) < len(fates): // ukai has taken it for some of them
		for _, i := range open {
			fates[i] = fate{kind: soft, text: "Unable to run qmail-remote.\n"}
		}
	case ok:
		return raw, exitReported
	default:
		return nil, exitTemporary
	}
	return compose(fates), exitReported
}

// some returns the recipients at the given places.
func (d *delivery) some(places []int) []string {
	var list []string
	for _, i := range places {
		list = append(list, d.recips[i])
	}
	return list
}

// first asks ukai before the original and returns the recipients that are left for it: all that ukai has surely not taken.
func (d *delivery) first(ctx context.Context, m *message, fates []fate) (left []int) {
	for i, o := range d.detour(ctx, m, d.recips) {
		final := d.nobody(&o)
		fates[i] = taken(&o, final)
		if fates[i].kind == soft && !doubtful(&o) {
			left = append(left, i)
		}
	}
	return left
}

// verge is what a delivery stands at when the original has spoken.
type verge struct {
	fates []fate // of all recipients
	open  []int  // those that the original had
	asked bool   // ukai has been asked before, in vain
}

// net takes the recipients that were refused for the reputation of the address to the detour. It tells whether there were any.
func (d *delivery) net(ctx context.Context, m *message, r *report, v verge) bool {
	said := r.fates(len(v.open))
	refused := d.refusals(said, v.open)
	var places []int
	for n, i := range v.open {
		v.fates[i] = said[n]
		if refused[n] {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return false
	}
	if v.asked {
		for _, i := range places {
			v.fates[i] = fate{kind: soft, text: v.fates[i].text + "ukai was asked first and did not take it.\n"}
		}
		return true
	}
	for n, o := range d.detour(ctx, m, d.some(places)) {
		i := places[n]
		f := taken(&o, d.nobody(&o))
		reason := v.fates[i].text
		switch f.kind {
		case done:
			f.text += "Detour over ukai: " + reason
		case soft: // the refusal first: it is what people look for
			f.text = clean(reason) + "No detour: " + f.text
		}
		v.fates[i] = f
	}
	return true
}

// refusals tells for each recipient whether it was refused for the reputation of the address, and notes down what was seen.
func (d *delivery) refusals(said []fate, places []int) []bool {
	now := time.Now()
	refused := make([]bool, len(said))
	known := make(map[string]bool) // what is said of the message is said of each
	for n, f := range said {
		o := saidOf(f, d.host, now)
		if o.Reply.Code == 0 {
			continue // nobody refused
		}
		d.seen = append(d.seen, observed{o, d.recips[places[n]], d.sender})
		if f.kind == done {
			continue
		}
		is, ok := known[f.text]
		if !ok {
			is = d.reputation(&o)
			known[f.text] = is
		}
		refused[n] = is
	}
	return refused
}

// saidOf makes an outcome of a fate. A text without a reply that says "accepted" is no less an acceptance.
func saidOf(f fate, host string, now time.Time) outcome.Outcome {
	o := said(f.text, host, now)
	if f.kind == done {
		o.Phase, o.Err, o.ErrTemporary = outcome.EndOfData, "", false
		if !o.Reply.Positive() {
			o.Reply = mail.Reply{Code: 250}
		}
	}
	return o
}

// reputation tells whether a refusal is one of the address, and another address would help. A refusal that calls itself
// temporary is no different: qmail-remote calls every refusal in a greeting temporary, and would come back to it for a week.
func (d *delivery) reputation(o *outcome.Outcome) bool {
	if o.Reply.Positive() || !d.know() {
		return false
	}
	if providers, err := provider.Load(); err == nil {
		if p, ok := providers.ByDomain(strings.ToLower(d.host)); ok {
			o.Provider = p.ID
		}
	}
	v := d.judge.Classify(o)
	return v.Detour && v.Reputation && v.Action != classify.Deliver
}

// nobody tells whether ukai refused a recipient for good because there is no such mailbox.
func (d *delivery) nobody(o *outcome.Outcome) bool {
	if !o.Reply.Permanent() || o.Phase != outcome.RcptTo || !d.know() {
		return false
	}
	v := d.judge.Classify(o)
	return v.Blame == classify.BlameRecipient && v.Action == classify.Fail
}

// know loads the rules, which only a refusal is worth.
func (d *delivery) know() bool {
	if d.judge == nil {
		rules, err := classify.Load()
		if err != nil {
			return false
		}
		d.judge = rules
	}
	return true
}
