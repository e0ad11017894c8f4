package classify

import (
	"bytes"
	"net/netip"
	"strings"

	"ukai/internal/mail"
	"ukai/internal/outcome"
	"ukai/internal/provider"
)

// Classify decides what an outcome means. It implements Judge.
func (r *Rules) Classify(o *outcome.Outcome) Verdict {
	switch {
	case o.OK():
		return r.taken
	case o.Reply.Code == 0:
		return r.withoutReply(o)
	case o.Reply.Positive():
		// The attempt ended although the server agreed: it did not speak the protocol.
		return r.plain(protocolError, Retry)
	}
	l := r.newLook(o.Provider)
	defer l.done()
	l.text.reset(o.Reply.Code, o.Reply.Status, o.LocalIP)
	for _, line := range o.Reply.Lines {
		l.text.add(line)
	}
	if o.Phase != outcome.Lookup { // a reply without a phase comes from a report
		l.phase, l.phased = o.Phase, true
	}
	return l.judge(nil)
}

// Text judges words that come without an outcome: a line of a log, the diagnostic code of a delivery report, a reply that a
// person has pasted. Code, status and phase are read from it as far as they can be found. who is the provider, if known.
func (r *Rules) Text(who provider.ID, s string) Verdict {
	l := r.newLook(who)
	defer l.done()
	l.text.reset(0, mail.Status{}, netip.Addr{})
	l.text.add(fromQmail(s))
	return l.judge(nil)
}

// plain is the verdict of a class without any text.
func (r *Rules) plain(class string, a Action) Verdict {
	v := template(r.classes[class], &Rule{})
	v.Action = a
	return v
}

// verdict is the verdict of a rule on the text.
func (l *look) verdict(x *compiled) Verdict {
	v := x.verdict
	v.Action = l.action(x.class)
	v.IP, v.URL = l.text.ip, strings.Clone(l.text.url)
	if x.class.Listed {
		l.nameList(&v, x.class)
	}
	if x.code != nil {
		if m := x.code.FindSubmatch(l.text.norm); m != nil {
			v.Code = string(bytes.ToUpper(m[len(m)-1]))
		}
	}
	return v
}

// action is what becomes of the recipient: by the reply code; where there is none, by the status; where there is none
// either, by the trouble.
func (l *look) action(c *Class) Action {
	class := l.text.code / 100
	if class == 0 {
		class = l.text.status.Class
	}
	switch {
	case class == 5:
		return c.Permanent
	case class == 4, c.Blame == BlameNetwork, c.Blame == BlameRate:
		return c.Temporary
	}
	return c.Permanent
}

func (l *look) unclassified() Verdict {
	c := l.classes[Unclassified]
	v := template(c, &Rule{})
	v.Action, v.IP, v.URL = l.action(c), l.text.ip, strings.Clone(l.text.url)
	return v
}
