package explain

import (
	"regexp"
	"slices"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/i18n"
)

// behaviour says what ukai does with a mail that got this verdict: the last part of a key explain.ukai. It tells what package
// dispatch does.
func (s *saying) behaviour() string {
	v := &s.f.Verdict
	switch {
	case s.f.Inbound:
		return "inbound"
	case v.Class == classify.Delivered:
		return "done"
	case v.Class == classify.Unclassified:
		return "unknown"
	case v.Class == "feedback_report":
		return "complaint"
	case v.Action == classify.Deliver:
		return "mail"
	case v.Detour && v.Scope == classify.ScopeRange:
		return "range"
	case v.Detour:
		return "detour"
	case v.Class == "delivery_expired":
		return "expired"
	case v.Action == classify.Retry && v.Class == "greylisted":
		return "greylist"
	case v.Action == classify.Retry && v.Blame == classify.BlameRate:
		return "slow"
	case v.Action == classify.Retry:
		return "retry"
	}
	switch v.Blame {
	case classify.BlameRecipient:
		return "recipient"
	case classify.BlameDomain, classify.BlameContent, classify.BlameAuthentication:
		return "clean"
	}
	return "bounce"
}

// so is what follows, in the words of the head; by behaviour.
var so = map[string]string{
	"inbound": "inbound", "done": "none", "mail": "none", "complaint": "complaint", "range": "detour", "detour": "detour", "expired": "fail",
	"greylist": "wait", "slow": "slow", "retry": "retry", "recipient": "fail", "clean": "fail", "bounce": "fail", "unknown": "unknown",
}

// head is the verdict in a sentence.
func (s *saying) head() string {
	end := so[s.behaviour()]
	key, who := "explain.head", ""
	if s.f.ProviderName != "" && !s.f.Inbound {
		key, who = "explain.head.who", s.f.ProviderName
	}
	t := i18n.Text(s.l, key, "name", i18n.Text(s.l, classify.NameKey(s.f.Verdict.Class)), "who", who, "so", i18n.Text(s.l, "explain.so."+end))
	if s.l == i18n.EN {
		t = strings.ToUpper(t[:1]) + t[1:]
	}
	return t
}

// link is an address of a page or of a mailbox in a text; what a sentence puts behind it is not of it.
var link = regexp.MustCompile(`(?:https?://|mailto:)[\x21\x23-\x3b\x3d\x3f-\x7e]*[\x23-\x26*+\-/0-9=?\x40-\x7e]`)

// links returns the links of some texts, each once.
func links(texts []string) []string {
	out := []string{} // a program gets an empty list
	for _, t := range texts {
		for _, l := range link.FindAllString(t, -1) {
			if !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// firstLink returns the first link of a text, "" for none.
func firstLink(t string) string { return link.FindString(t) }
