package sasl

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrPrep means that a name or password holds characters that may not stand in one.
var ErrPrep = errors.New("control or private character, or not UTF-8, in a name or password")

// Prep prepares a name or password for comparison as SASLprep (RFC 4013) does: spaces of all scripts become the ASCII space,
// invisible characters (soft hyphen, zero-width joiners, ...) vanish, control and private characters are refused.
//
// Deviation: compatibility normalisation (NFKC) and the rules for right-to-left text are left out; two spellings of one
// accented letter are two passwords. ASCII, which is what people have in servers' configurations, comes out as RFC 4013 says.
func Prep(s string) (string, error) {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", ErrPrep
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", ErrPrep
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Zs, r): // RFC 3454, table C.1.2
			b.WriteByte(' ')
		case mappedToNothing(r):
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp), r == utf8.RuneError, noncharacter(r):
			return "", ErrPrep
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

// mappedToNothing is RFC 3454, table B.1.
func mappedToNothing(r rune) bool {
	switch r {
	case 0x00AD, 0x034F, 0x1806, 0x2060, 0xFEFF:
		return true
	}
	return r >= 0x180B && r <= 0x180D || r >= 0x200B && r <= 0x200D || r >= 0xFE00 && r <= 0xFE0F
}

// noncharacter is RFC 3454, table C.4.
func noncharacter(r rune) bool { return r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE }
