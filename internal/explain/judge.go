package explain

import (
	"net/netip"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/mail"
	"ukai/internal/provider"
)

// mailbox returns the provider of a host or of a recipient, as far as either tells without the DNS. A host that the catalogue
// does not know may be a gateway's or a relay's of our own, so a recipient's domain that it does know counts for more.
func (e *Explainer) mailbox(host, recipient string) provider.Match {
	var m provider.Match
	if _, err := netip.ParseAddr(host); err != nil { // a bare address tells nothing of who stands behind it
		m = e.Providers.ByHost(host)
	}
	if m.Row != nil {
		return m
	}
	if d, ok := e.Providers.ByDomain(mail.Domain(recipient)); ok {
		return d
	}
	return m
}

// finish fills in what follows from the rest.
func (e *Explainer) finish(f *Finding) {
	if f.ProviderName == "" {
		f.ProviderName = e.Providers.Name(f.Provider)
	}
	if r, ok := e.Rules.Rule(f.Verdict.Rule); ok {
		f.Source = r.Source
	}
}

// kindVerdict is the verdict on a mail that reports no refusal: its kind is its class.
func kindVerdict(class string) classify.Verdict {
	return classify.Verdict{Class: class, Blame: classify.BlameNone, Scope: classify.ScopeMessage, Action: classify.Deliver}
}

// maxLine bounds what is shown and kept of a text, in octets: the reason stands at its beginning.
const maxLine = 8 << 10

// oneLine joins the lines of a text with one blank, and cuts it at maxLine.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*maxLine)], "\uFFFD")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "")
	}
	return s
}
