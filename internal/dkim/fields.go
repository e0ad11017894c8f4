package dkim

import "bytes"

// fieldRule says how a header field is signed.
type fieldRule struct {
	name string
	once bool // the field may occur only once (RFC 5322, section 3.6; RFC 2045, section 3)
}

// signable is what is worth a signature (RFC 6376, section 5.4.1): what a reader sees, and what changes how the body is read.
// Trace fields are left out, for others add to them on the way.
var signable = []fieldRule{
	{"From", true}, {"Sender", true}, {"Reply-To", true}, {"To", true}, {"Cc", true}, {"Subject", true}, {"Date", true},
	{"Message-ID", true}, {"In-Reply-To", true}, {"References", true},
	{"MIME-Version", true}, {"Content-Type", true}, {"Content-Transfer-Encoding", true},
	// RFC 8058, section 4, demands a signature over the two fields of one-click unsubscription.
	{"List-Unsubscribe", false}, {"List-Unsubscribe-Post", false},
	{"List-Id", false}, {"List-Help", false}, {"List-Subscribe", false}, {"List-Post", false}, {"List-Owner", false}, {"List-Archive", false},
	{"Feedback-ID", false}, // Gmail's feedback loop believes only a signed one
}

// maxRepeat bounds how often a repeated field is named in h=; the lowest ones are signed (RFC 6376, section 5.4.2).
const maxRepeat = 8

// signedFields returns the value of h=: each field as often as it occurs in the header, and once more where a second one would
// be a forgery. A field that is absent is not named: the next relay may be right to add it.
func signedFields(header []byte) []string {
	var count [32]int
	for line := range bytes.Lines(header) {
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		name = bytes.TrimRight(name, " \t")
		for i := range signable {
			if len(name) == len(signable[i].name) && bytes.EqualFold(name, []byte(signable[i].name)) {
				count[i]++
				break
			}
		}
	}
	names := make([]string, 0, 40)
	for i, f := range signable {
		n := min(count[i], maxRepeat)
		if n > 0 && f.once {
			n++
		}
		for range n {
			names = append(names, f.name)
		}
	}
	return names
}
