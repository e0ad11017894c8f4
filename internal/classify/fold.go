package classify

import "unicode"

// Replies come in many tongues and encodings. Before they are compared with rules, both are brought into one form: lower
// case, Latin letters without their accents, typographic quotes and full-width forms as their ASCII likeness. So a rule may
// be written "service refusé" or "service refuse" and finds both, in UTF-8 and in Latin-1.

// latin holds the ASCII likeness of U+00C0 to U+017F, one for each; a space stands for a sign that has none.
const latin = "" +
	"aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllll" +
	"nnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"

// foldRune returns the form of a rune above ASCII: ASCII where there is a likeness, else its lower case.
func foldRune(r rune) rune {
	switch {
	case r >= 0xc0 && r <= 0x17f:
		if c := latin[r-0xc0]; c != ' ' {
			return rune(c)
		}
		return r
	case r == 0xa0, r >= 0x2000 && r <= 0x200b, r == 0x202f, r == 0x3000, r == 0xfeff:
		return ' '
	case r == 0xb4, r == 0x2018, r == 0x2019:
		return '\''
	case r == 0xab, r == 0xbb, r == 0x201c, r == 0x201d:
		return '"'
	case r >= 0x2010 && r <= 0x2015:
		return '-'
	case r >= 0xff21 && r <= 0xff3a: // full-width capitals
		return r - 0xff21 + 'a'
	case r >= 0xff01 && r <= 0xff5e: // the other full-width forms
		return r - 0xff01 + '!'
	}
	return unicode.ToLower(r)
}
