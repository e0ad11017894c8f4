package cli

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// textWidth is how wide texts are set: what a terminal has had since the VT100.
const textWidth = 80

// wrap breaks a text into lines that are no wider than given, at blanks and between Japanese characters. A word that is wider (a
// link) stays whole, so that it can be copied.
func wrap(s string, limit int) []string {
	var lines []string
	line, used := "", 0
	for _, p := range pieces(s) {
		w := width(strings.TrimRight(p, " "))
		if used > 0 && used+w > limit {
			lines = append(lines, strings.TrimRight(line, " "))
			line, used = "", 0
		}
		line += p
		used += width(p)
	}
	return append(lines, strings.TrimRight(line, " "))
}

// Characters that do not stand at the beginning of a Japanese line, or at its end (JIS X 4051).
const (
	notFirst = "、。，．・：；？！）」』】〉》〕］｝ー々ゝゞぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ%)]}、。,.:;?!"
	notLast  = "（「『【〈《〔［｛([{"
)

// pieces cuts a text where a line may be broken: each piece is a word with the blank behind it, or one wide character with what
// cannot be parted from it.
func pieces(s string) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		next, _ := utf8.DecodeRuneInString(s[i+n:])
		i += n
		if i < len(s) && breaks(r, next) {
			out = append(out, s[start:i])
			start = i
		}
	}
	return append(out, s[start:])
}

// breaks tells whether a line may be broken between two characters.
func breaks(a, b rune) bool {
	switch {
	case b == ' ':
		return false
	case a == ' ':
		return true
	case strings.ContainsRune(notFirst, b), strings.ContainsRune(notLast, a):
		return false
	}
	return width(string(a)) == 2 || width(string(b)) == 2
}

// paragraph writes a text, each line behind an indent, the first one behind a mark of the same width.
func paragraph(w io.Writer, mark, indent, s string) {
	for i, line := range wrap(s, textWidth-width(indent)) {
		if i == 0 {
			line = mark + line
		} else {
			line = indent + line
		}
		_, _ = io.WriteString(w, strings.TrimRight(line, " ")+"\n")
	}
}

// typed tells whether a reader is a terminal: somebody would have to type.
func typed(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
