package intake

import (
	"context"
	"time"

	"ukai/internal/dsn"
	"ukai/internal/journal"
	"ukai/internal/mail"
	"ukai/internal/queue"
	"ukai/internal/smtpserver"
	"ukai/internal/verp"
)

// Reports says what becomes of mail for the bounce address. Everybody may hand it in by a listener whose Policy says so, and
// nothing else: the recipient is ours, so nothing is relayed by it, and what does not know a token gets no further than RCPT.
//
// A report goes on to where the message it is about came from, because its sender asked for reports and must not lose
// them by our curiosity. It goes as it came, with a null reverse-path, so that nothing can answer it (RFC 5321, section 4.5.5); it is
// not signed, since strangers wrote it; and it never goes to the bounce address.
type Reports struct {
	Returns    *verp.Returns
	Plain      bool   // the bounce address without a token is taken as well, for Postmaster
	Postmaster string // gets what nobody else can be found for; empty: it is dropped
	// Read understands a report.
	Read func([]byte) *dsn.Reading
	// Heard, if not nil, is called for each report under a token, when its copy is safe. It must be quick.
	Heard func(ctx context.Context, r *Report)
}

// Report is a mail that came in under a token.
type Report struct {
	At    time.Time
	Msg   mail.ID
	Group int // number of the delivery
	// Known is set when the message is remembered; then Sender and Recipients are its own. What the mail says of anybody else is said
	// by somebody who knows only this message.
	Known      bool
	Sender     string
	Recipients []string
	Reading    *dsn.Reading
}

// maxReport is how much of a report is read to understand it, in octets. All of it goes on to the sender.
const maxReport = 256 << 10

// What the server of a stranger is told. For every wrong token it is the same, after the same work.
var (
	noSuchToken = mail.NewReply(550, mail.Status{Class: 5, Subject: 1, Detail: 1}, "No such address here")
	oneReport   = mail.NewReply(452, mail.Status{Class: 4, Subject: 5, Detail: 3}, "One recipient at a time for this address")
	tooMany     = mail.NewReply(450, mail.Status{Class: 4, Subject: 7, Detail: 1}, "Too many reports about one message, try again later")
)

// SetReports sets what becomes of mail for the bounce address from now on; nil: there is none.
func (in *Intake) SetReports(r *Reports) { in.reports.Store(r) }

// bounceDesk returns what to do with reports that come in by the session's listener; nil: nothing comes in there.
func (in *Intake) bounceDesk(s *smtpserver.Session) *Reports {
	r := in.reports.Load()
	if r == nil || !in.rules.Load().policies[s.Listener].Reports {
		return nil
	}
	return r
}

// look says whether a recipient is ours, and if so, whether it is taken.
func (r *Reports) look(addr string, now time.Time) (t verp.Token, ours, taken bool) {
	kind, t := r.Returns.Look(addr, now)
	switch {
	case kind == verp.Wrapped:
		return t, true, true
	case kind == verp.Plain:
		return t, true, r.Plain && r.Postmaster != ""
	case kind == verp.Wrong:
		return t, true, false
	case r.postmaster(addr):
		return t, true, true
	}
	return t, false, false
}

// postmaster tells whether addr is the postmaster of the bounce domain: who takes mail for a domain has one (RFC 5321, section 4.5.1).
func (r *Reports) postmaster(addr string) bool {
	d := mail.Domain(addr)
	return r.Postmaster != "" && fold(mail.Local(addr)) == "postmaster" && (d == "" || d == r.Returns.Address.Domain)
}

// rcpt answers a RCPT that has to do with the bounce address; ours is false when it has not. A report has one recipient, and shares its
// transaction with no other mail: they go different ways. A server that meets 452 sends the rest in a transaction of its own
// (RFC 5321, section 4.5.3.1.10).
func (r *Reports) rcpt(env *mail.Envelope, addr string, now time.Time) (reply *mail.Reply, ours bool) {
	_, ours, taken := r.look(addr, now)
	switch {
	case ours && !taken:
		return &noSuchToken, true
	case ours && len(env.Recipients) > 0:
		return &oneReport, true
	case !ours && len(env.Recipients) > 0:
		if _, report, _ := r.look(env.Recipients[0].Addr, now); report {
			return &oneReport, true
		}
	}
	return nil, ours
}

// begin starts a report; ours is false when the message is none.
func (in *Intake) begin(ctx context.Context, s *smtpserver.Session, env *mail.Envelope) (c smtpserver.Content, reply *mail.Reply, ours bool) {
	desk := in.bounceDesk(s)
	if desk == nil || len(env.Recipients) == 0 {
		return nil, nil, false
	}
	now := time.Now()
	token, ours, taken := desk.look(env.Recipients[0].Addr, now)
	switch {
	case !ours:
		return nil, nil, false
	case !taken:
		return nil, &noSuchToken, true
	}
	rep := &report{in: in, desk: desk, env: env, listener: s.Listener, about: Report{At: now, Msg: token.Msg, Group: token.Group}}
	if err := in.whose(ctx, &rep.about); err != nil {
		in.log.Error("report not taken", "msg_id", token.Msg.String(), "error", err)
		return nil, &localTrouble, true
	}
	if token.Msg != 0 && !in.quota.take(token.Msg, 20+2*len(rep.about.Recipients), now) {
		return nil, &tooMany, true
	}
	if err := rep.open(s); err != nil {
		refused := (&content{in: in}).refusal(err)
		return nil, &refused, true
	}
	return rep, nil, true
}

// whose finds out whose message a report is about: the queue knows it while it holds some of it, then the journal.
func (in *Intake) whose(ctx context.Context, r *Report) error {
	if r.Msg == 0 {
		return nil
	}
	if m, err := in.store.Get(ctx, r.Msg); err == nil {
		r.Known, r.Sender = true, m.Envelope.From
		for i := range m.Envelope.Recipients {
			r.Recipients = append(r.Recipients, m.Envelope.Recipients[i].Addr)
		}
		return nil
	}
	events, err := in.journal.Message(ctx, r.Msg)
	if err != nil {
		return err
	}
	for i := range events {
		if e := &events[i]; e.Kind == journal.Accepted {
			r.Known, r.Sender, r.Recipients = true, e.From, e.Recipients
			return nil
		}
	}
	return nil
}

// report takes one report over. It implements smtpserver.Content.
type report struct {
	in       *Intake
	desk     *Reports
	env      *mail.Envelope // as it came
	listener string
	about    Report
	to       string         // who gets the copy; empty: nobody does
	copied   *mail.Envelope // of the copy
	draft    queue.Draft    // nil when nobody gets it
	head     []byte
	scan     mail.HeaderScan
	sample   []byte
	err      error
}

// open starts the copy.
func (r *report) open(s *smtpserver.Session) error {
	r.to = r.about.Sender
	if r.to == "" || r.desk.Returns.Ours(r.to) || mail.Domain(r.to) == "" {
		r.to = r.desk.Postmaster
	}
	if r.to == "" {
		return nil
	}
	r.copied = &mail.Envelope{
		Recipients: []mail.Recipient{{Addr: r.to, Notify: mail.NotifyNever}},
		FromHdr:    mail.Domain("@" + r.in.opts.Hostname), // the way is chosen as for reports of our own
		Client:     s.Client.Addr().Unmap(), Helo: s.Helo,
	}
	var err error
	if r.draft, err = r.in.store.Create(r.copied); err != nil {
		return err
	}
	r.env.ID = r.copied.ID
	r.head = received(s, r.env, r.in.opts.Hostname, r.copied.Accepted)
	return nil
}

// Write takes the next piece of the content.
func (r *report) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if !r.scan.Done() {
		_, _ = r.scan.Write(p) // it takes everything
	}
	r.sample = append(r.sample, p[:min(len(p), maxReport-len(r.sample))]...)
	if r.draft == nil {
		return len(p), nil
	}
	n, err := r.draft.Write(p)
	r.err = err
	return n, err
}

// Abort throws the report away.
func (r *report) Abort() {
	if r.draft != nil {
		r.draft.Abort()
	}
}

// Commit makes the copy durable, then lets what the report says be heard.
func (r *report) Commit(ctx context.Context) mail.Reply {
	info := r.scan.Info()
	if r.err == nil && info.Received >= r.in.opts.MaxHops {
		r.Abort()
		return mail.NewReply(554, mail.Status{Class: 5, Subject: 4, Detail: 6}, "report goes round in a loop")
	}
	if err := r.commit(ctx, &info); err != nil {
		r.Abort()
		return (&content{in: r.in}).refusal(err)
	}
	r.note()
	if r.about.Msg != 0 && r.desk.Heard != nil {
		if r.desk.Read != nil {
			r.about.Reading = r.desk.Read(r.sample)
			r.about.attribute()
		}
		r.desk.Heard(ctx, &r.about)
	}
	return mail.NewReply(250, mail.Status{Class: 2}, "report taken")
}

func (r *report) commit(ctx context.Context, info *mail.HeaderInfo) error {
	if r.err != nil || r.draft == nil {
		return r.err
	}
	r.copied.MessageID, r.copied.EightBit, r.copied.UTF8 = info.MessageID, r.env.EightBit, r.env.UTF8
	return r.draft.Commit(ctx, r.head)
}

// note writes into the journal what became of the report: a line in its own story, and one in that of the message it is about.
func (r *report) note() {
	if r.in.opts.OnAccepted != nil {
		r.in.opts.OnAccepted(r.listener)
	}
	told := journal.Event{At: r.about.At, Msg: r.about.Msg, Kind: journal.Reported, Why: "intake.report.forwarded", Recipients: []string{r.to}}
	switch {
	case r.draft == nil:
		told.Why, told.Recipients = "intake.report.dropped", nil
		r.in.log.Info("report dropped: its sender is not known, and there is no postmaster", "msg_id", r.about.Msg.String(), "from", r.env.From)
	case r.to != r.about.Sender:
		told.Why = "intake.report.postmaster"
	}
	if r.about.Msg != 0 {
		r.in.journal.Record(told)
	}
	if r.draft == nil {
		return
	}
	r.in.journal.Record(journal.Event{At: r.copied.Accepted, Msg: r.copied.ID, Kind: journal.Accepted, Recipients: []string{r.to},
		MessageID: r.copied.MessageID, Size: r.copied.Size, Why: "dispatch.report.of", Text: r.about.Msg.String()})
}

var _ smtpserver.Content = (*report)(nil)
