package classify

import (
	"net/netip"

	"ukai/internal/mail"
	"ukai/internal/outcome"
)

// withoutReply judges an outcome whose server said nothing: the name was not found, the connection failed or was lost. Such
// an outcome is never evidence against the path: a firewall that drops us looks the same as a cable that is cut.
//
// The rules are asked as well, because they know the words of resolvers and of TLS, but only for classes that need no reply:
// the words may hold what a stranger chose, such as the name of a host.
func (r *Rules) withoutReply(o *outcome.Outcome) Verdict {
	l := r.newLook("")
	defer l.done()
	l.text.reset(0, mail.Status{}, netip.Addr{})
	l.text.add(o.Err)
	l.phase, l.phased = o.Phase, true
	v := l.judge(func(c *Class) bool { return c.Local })
	if !r.classes[v.Class].Local {
		v = r.plain(classOfSilence(o), Retry)
	}
	v.Action, v.Detour, v.Reputation = Retry, false, false
	if o.Phase == outcome.Lookup && !o.ErrTemporary {
		v.Action = Fail
	}
	return v
}

// classOfSilence is the class of an outcome without a reply, by its phase alone.
func classOfSilence(o *outcome.Outcome) string {
	switch {
	case o.Phase == outcome.Lookup && !o.ErrTemporary:
		return domainUnknown
	case o.Phase == outcome.StartTLS:
		return tlsFailure
	}
	return networkError
}
