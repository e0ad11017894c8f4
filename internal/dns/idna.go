package dns

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// toALabels converts the labels of a name that are not ASCII (U-labels) to A-labels: "例え.jp" becomes "xn--r8jz45g.jp".
//
// What people type is mapped first, as RFC 5895, section 2 describes it: upper to lower case, full-width letters to plain
// ones, the ideographic full stop to a dot. The mapping to normalization form C is left to whoever wrote the name: RFC 5890
// wants it of every U-label.
func toALabels(name string) (string, error) {
	if len(name) > utf8.UTFMax*maxName || !utf8.ValidString(name) {
		return "", errName
	}
	labels := strings.Split(strings.Map(mapRune, name), ".")
	for i, l := range labels {
		if _, eight := plain(l); !eight {
			continue
		}
		for _, r := range l {
			if !labelRune(r) {
				return "", errName
			}
		}
		// A first or third character that is a hyphen at both places 3 and 4 belongs to A-labels alone (RFC 5891, section 4.2.3.1).
		if r := []rune(l); len(r) > 3 && r[2] == '-' && r[3] == '-' {
			return "", errName
		}
		labels[i] = "xn--" + punycode(l)
	}
	return strings.Join(labels, "."), nil
}

func mapRune(r rune) rune {
	switch {
	case r == '。' || r == '．' || r == '｡':
		return '.'
	case r >= '！' && r <= '～': // the full-width forms U+FF01 to U+FF5E stand 0xFEE0 above ASCII
		return unicode.ToLower(r - 0xFEE0)
	}
	return unicode.ToLower(r)
}

// labelRune tells whether a character may stand in a U-label. RFC 5892 derives this from the Unicode tables; letters, marks,
// digits and the characters that its section 2.7 names for a context are what comes out of it.
func labelRune(r rune) bool {
	switch r {
	case '-', '·', '͵', '׳', '״', '・', '〇', '\u200c', '\u200d':
		return true
	}
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd)
}

// The parameters of RFC 3492, section 5.
const (
	punyBase    = 36
	punyTMin    = 1
	punyTMax    = 26
	punySkew    = 38
	punyDamp    = 700
	punyBias    = 72
	punyInitial = 128
)

// punycode encodes one label (RFC 3492, section 6.3).
func punycode(label string) string {
	runes := []rune(label)
	var out []byte
	for _, r := range runes {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(punyInitial), 0, punyBias
	for done := basic; done < len(runes); {
		next := rune(unicode.MaxRune + 1)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r == n {
				out = punyNumber(out, delta, bias)
				bias = punyAdapt(delta, done+1, done == basic)
				delta = 0
				done++
			}
		}
		delta++
		n++
	}
	return string(out)
}

// punyNumber appends a generalized variable-length integer (RFC 3492, section 3.3).
func punyNumber(out []byte, q, bias int) []byte {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	for k := punyBase; ; k += punyBase {
		t := min(max(k-bias, punyTMin), punyTMax)
		if q < t {
			return append(out, digits[q])
		}
		out = append(out, digits[t+(q-t)%(punyBase-t)])
		q = (q - t) / (punyBase - t)
	}
}

// punyAdapt is the bias adaptation of RFC 3492, section 6.1.
func punyAdapt(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punyBase-punyTMin)*punyTMax/2; k += punyBase {
		delta /= punyBase - punyTMin
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}
