package explain

import (
	"strings"

	"ukai/internal/classify"
	"ukai/internal/dsn"
	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// Mail says what a mail means: for a delivery report one Finding for each recipient that it tells of, at least one in any case.
func (e *Explainer) Mail(b []byte) []Finding { return e.Reading(dsn.Read(b)) }

// Reading says what a mail means that has been read. The most telling finding comes first: its class is that of the mail.
func (e *Explainer) Reading(r *dsn.Reading) []Finding {
	switch r.Kind {
	case dsn.Complaint, dsn.AutoReply, dsn.Ordinary, dsn.Success:
		return e.kind(r)
	}
	all := make([]Finding, 0, max(1, len(r.Results)))
	for i := range r.Results {
		all = append(all, e.result(r, &r.Results[i]))
	}
	if len(all) == 0 {
		all = append(all, e.result(r, &dsn.Result{Text: r.Words, Action: dsn.Failed}))
	}
	best := 0
	for i := range all {
		if telling(&all[i].Verdict) > telling(&all[best].Verdict) {
			best = i
		}
	}
	all[0], all[best] = all[best], all[0]
	return all
}

// kinds are what the kinds of mail are called here.
var kinds = map[dsn.Kind]Kind{dsn.Complaint: Complaint, dsn.AutoReply: AutoReply, dsn.Ordinary: Ordinary, dsn.Success: Report}

// kind is the finding on a mail that reports no failure.
func (e *Explainer) kind(r *dsn.Reading) []Finding {
	f := Finding{Kind: kinds[r.Kind], Text: r.Subject, Verdict: kindVerdict(string(r.Kind)), Sender: r.Original.ReturnPath, Skipped: r.Skipped}
	if len(r.Results) > 0 {
		f.Recipient, f.Host, f.Text = r.Results[0].Recipient, r.Results[0].Host, r.Results[0].Text
	}
	e.finish(&f)
	return []Finding{f}
}

// result is the finding on one recipient. Its words are asked in the order in which they are to be trusted: the reply of the
// server, the reason for programs, the words for people about this recipient, all words. The first that names a cause wins; if
// none does, the first that says anything.
func (e *Explainer) result(r *dsn.Reading, x *dsn.Result) Finding {
	f := Finding{
		Kind: Report, Text: x.Text, Sender: r.Original.ReturnPath, Recipient: x.Recipient, Host: x.Host, Code: x.Reply.Code, Status: x.Status, Skipped: r.Skipped,
	}
	if f.Sender == "" {
		f.Sender = r.Original.From
	}
	if x.PhaseKnown {
		f.Phase = x.Phase.String()
	}
	if f.Text == "" {
		f.Text = r.Words
	}
	if m := e.mailbox(x.Host, x.Recipient); m.Row != nil {
		f.Provider = m.ID
	}
	f.Verdict = e.reason(&f, r, x)
	e.finish(&f)
	return f
}

// reason judges the words of one result.
func (e *Explainer) reason(f *Finding, r *dsn.Reading, x *dsn.Result) classify.Verdict {
	var best classify.Verdict
	rank := -1
	try := func(text string) bool {
		if text == "" {
			return false
		}
		v := e.Rules.Text(f.Provider, text)
		if n := telling(&v); n > rank {
			best, rank = v, n
		}
		return rank == named
	}
	first, second := x.Text, x.Reply.String()
	if x.Reply.Code == 0 {
		second = ""
	} else if len(x.Reply.Lines) > 0 && !strings.Contains(first, x.Reply.Lines[0]) { // from a transcript
		first, second = second, first
	}
	if try(first) || try(second) {
		return best
	}
	if rank < coded && definite(x.Status) {
		if v := e.byStatus(x); telling(&v) > nothing {
			return v
		}
	}
	if x.Words != x.Text && try(x.Words) || try(withStatus(x.Status, r.Words)) {
		return best
	}
	if v := e.byStatus(x); telling(&v) > rank {
		return v
	}
	return best
}

// definite tells whether a status alone names a cause (RFC 3463): the general ones (X.0.0, X.7.1, ...) do not.
func definite(st mail.Status) bool {
	switch st.Subject*10 + st.Detail {
	case 11, 12, 16, 21, 22, 23, 34, 46:
		return st.Class == 4 || st.Class == 5
	}
	return false
}

// withStatus puts a status in front of words, as a reply has it.
func withStatus(st mail.Status, words string) string {
	if st.Class == 0 || words == "" {
		return words
	}
	return st.String() + " " + words
}

// byStatus is the verdict on what is known without any words.
func (e *Explainer) byStatus(x *dsn.Result) classify.Verdict {
	o := outcome.Outcome{Phase: outcome.RcptTo, Reply: mail.Reply{Code: x.Reply.Code, Status: x.Status, Lines: []string{x.Status.String()}}}
	if x.PhaseKnown {
		o.Phase = x.Phase
	}
	if o.Reply.Code < 400 {
		o.Reply.Code = x.Status.Class*100 + 50
	}
	if o.Reply.Code < 400 {
		return classify.Verdict{Class: classify.Unclassified}
	}
	return e.Rules.Classify(&o)
}

// How much a verdict tells.
const (
	nothing = iota // unclassified
	expired        // only that the time was over
	coded          // by the code alone
	loose          // a policy that nobody explains
	named          // a cause
)

// telling says how much a verdict tells of the cause.
func telling(v *classify.Verdict) int {
	switch {
	case v.Class == classify.Unclassified:
		return nothing
	case v.Class == "delivery_expired":
		return expired
	case strings.HasPrefix(v.Rule, "status."), strings.HasPrefix(v.Rule, "perhaps."), strings.HasSuffix(v.Rule, "-status"):
		return coded
	case v.Class == "policy" && v.Rule == "policy.policy":
		return loose
	}
	return named
}
