package watch

import (
	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/maillog"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// Knowledge is what a source needs to say what a reply means. Both are safe for concurrent use.
type Knowledge struct {
	Judge     classify.Judge
	Providers *provider.Catalogue
}

// provider is who receives, as far as the host and the recipient tell: rules that only one provider's replies fit are asked
// when it is known.
func (k Knowledge) provider(host, recipient string) provider.ID {
	if m := k.Providers.ByHost(host); m.Row != nil {
		return m.ID
	}
	if m, ok := k.Providers.ByDomain(mail.Domain(recipient)); ok {
		return m.ID
	}
	return ""
}

// event makes what a log tells an Observation. It is false for what did not go to another server, and for what was given up
// for its age: the attempts before were told.
func (k Knowledge) event(e *maillog.Event) (Observation, bool) {
	if e.Local || e.Remote.Addr().Unmap().IsLoopback() {
		return Observation{}, false // to a mailbox, a filter, or ukai on this machine
	}
	o := Observation{Server: e.Host, Recipient: e.To, Sender: e.From, MessageID: e.MessageID}
	o.Outcome = outcome.Outcome{
		At: e.At, Phase: e.Phase, Reply: e.Reply, Host: e.Relay, Remote: e.Remote, Provider: k.provider(e.Relay, e.To),
	}
	switch e.Kind {
	case maillog.Delivered:
		o.Outcome.Phase = outcome.EndOfData
		if !o.Outcome.Reply.Positive() { // not every server logs the code
			o.Outcome.Reply = mail.Reply{Code: 250, Lines: e.Reply.Lines}
		}
	case maillog.Deferred, maillog.Bounced:
		if e.Reply.Code == 0 {
			o.Outcome.Err, o.Outcome.ErrTemporary = e.Text, e.Kind == maillog.Deferred
		}
	default:
		return Observation{}, false
	}
	o.Verdict = k.Judge.Classify(&o.Outcome)
	return o, true
}
