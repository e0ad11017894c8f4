package dkim

import "bytes"

// fieldRule says how a header field is signed.
type fieldRule struct {
	name string
	once bool // the field may occur only once (RFC 5322, section 3.6; RFC 2045, section 3)
}

// signable is what is worth a signature (RFC 6376, section 5.4.1): what a reader sees, and what changes how the body is read.
// Trace fields are left out, for others add to them on the way.
var signable = [...]fieldRule{
	{"From", true}, {"Sender", true}, {"Reply-To", true}, {"To", true}, {"Cc", true}, {"Subject", true}, {"Date", true},
	{"Message-ID", true}, {"In-Reply-To", true}, {"References", true},
	{"MIME-Version", true}, {"Content-Type", true}, {"Content-Transfer-Encoding", true},
	// RFC 8058, section 4, demands a signature over the two fields of one-click unsubscription.
	{"List-Unsubscribe", false}, {"List-Unsubscribe-Post", false},
	{"List-Id", false}, {"List-Help", false}, {"List-Subscribe", false}, {"List-Post", false}, {"List-Owner", false}, {"List-Archive", false},
	{"Feedback-ID", false}, // Gmail's feedback loop believes only a signed one
}

// maxRepeat bounds how often a repeated field is signed; the lowest ones are (RFC 6376, section 5.4.2).
const maxRepeat = 8

// chosen is what is signed of a header.
type chosen struct {
	names []string // the value of h=
	text  []byte   // the fields in relaxed form, with line ends
}

// chooseFields picks the fields to be signed: each as often as it occurs in the header, from below, and once more by name where
// a second one would be a forgery. A field that is absent is not named: the next relay may be right to add it.
func chooseFields(header []byte) *chosen {
	var found [len(signable)][][]byte
	for len(header) > 0 {
		n := fieldLen(header)
		field := header[:n]
		header = header[n:]
		if i := ruleOf(field); i >= 0 {
			found[i] = append(found[i], field)
		}
	}
	c := &chosen{names: make([]string, 0, 40), text: make([]byte, 0, 2048)}
	for i := range signable {
		list := found[i]
		for n := 0; n < len(list) && n < maxRepeat; n++ {
			c.names = append(c.names, signable[i].name)
			c.text = append(relaxedField(c.text, list[len(list)-1-n]), '\r', '\n')
		}
		if len(list) > 0 && signable[i].once {
			c.names = append(c.names, signable[i].name)
		}
	}
	return c
}

// fieldLen returns the length of the field at the start of header, its continuation lines included.
func fieldLen(header []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(header[n:], '\n')
		if i < 0 {
			return len(header)
		}
		n += i + 1
		if n == len(header) || header[n] != ' ' && header[n] != '\t' {
			return n
		}
	}
}

// ruleOf returns the rule for a field, -1 for one that is not signed.
func ruleOf(field []byte) int {
	name, _, ok := bytes.Cut(field, []byte(":"))
	if !ok {
		return -1
	}
	name = bytes.TrimRight(name, " \t")
	for i := range signable {
		if len(name) == len(signable[i].name) && bytes.EqualFold(name, []byte(signable[i].name)) {
			return i
		}
	}
	return -1
}
