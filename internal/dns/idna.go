package dns

import (
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// lookup maps what people type (case, full-width letters, the ideographic full stop, composed forms) and checks it as
// RFC 5891 and UTS 46 want it of a name that is to be looked up. Symbols pass, as they do in browsers: such names are registered
// here and there, and whether one exists is for its name server to say. Plain names never come here, so underscores are kept.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true), idna.StrictDomainName(true), idna.Transitional(false))

// toALabels converts the labels of a name that are not ASCII (U-labels) to A-labels: "例え.jp" becomes "xn--r8jz45g.jp".
func toALabels(name string) (string, error) {
	if len(name) > utf8.UTFMax*maxName || !utf8.ValidString(name) {
		return "", errName
	}
	out, err := lookup.ToASCII(name)
	if err != nil {
		return "", errName
	}
	return out, nil
}
