package classify

import (
	"math/bits"
	"net/netip"

	"ukai/internal/mail"
	"ukai/internal/provider"
)

// Speaker returns the provider whose words a text betrays (marks of the files of rules), "" when nothing does or when the marks
// of a file stand for several. It is for words that come without a host: a reply that a person has pasted.
func (r *Rules) Speaker(s string) provider.ID {
	l := r.newLook("")
	defer l.done()
	l.text.reset(0, mail.Status{}, netip.Addr{})
	l.text.add(s)
	l.text.finish()
	l.find.run(l.text.norm, l.metMark)
	if bits.OnesCount64(l.speaks) != 1 {
		return ""
	}
	if f := r.files[bits.TrailingZeros64(l.speaks)]; len(f.Providers) == 1 {
		return f.Providers[0]
	}
	return ""
}
