package classify

import (
	"net/netip"
	"strings"

	"ukai/internal/mail"
)

// words walks over the words of a text.
type words struct {
	s          string
	start, end int
	kind       uint8 // kinds of the word's octets
}

// next goes on to the next word; it is false at the end.
func (w *words) next() bool {
	i := w.end
	for i < len(w.s) && w.s[i] <= ' ' {
		i++
	}
	w.start, w.kind = i, 0
	for i < len(w.s) && w.s[i] > ' ' {
		w.kind |= kinds[w.s[i]]
		i++
	}
	w.end = i
	return i > w.start
}

func (w *words) word() string { return w.s[w.start:w.end] }

// peek returns the word behind.
func (w *words) peek() string {
	n := words{s: w.s, end: w.end}
	n.next()
	return n.word()
}

// reported tells whether the word before introduces what somebody said: it ends with a colon, a quote, a bracket.
func (w *words) reported() bool {
	for i := w.start - 1; i >= 0; i-- {
		if c := w.s[i]; c > ' ' {
			return strings.IndexByte(":;<>(-\"'", c) >= 0
		}
	}
	return false
}

// number looks whether the word is a reply code or an enhanced status, takes note of it, and says whether it is done with the
// word; what is left of it, if anything, is the word to go on with.
func (t *text) number(w *words) (done bool) {
	word := w.word()
	for word != "" && opens(word[0]) {
		word = word[1:]
	}
	if len(word) < 3 || kinds[word[0]]&isDigit == 0 && word[0] != '#' {
		return false
	}
	if c := replyCode(word); c != 0 {
		return t.replyCode(w, word, c)
	}
	return t.enhanced(word)
}

// replyCode handles a word that begins as a reply code does.
func (t *text) replyCode(w *words, word string, c int) (done bool) {
	rest := word[3:]
	switch {
	case rest == "" || rest == ":":
		return t.lastLine(w, c)
	case rest[0] == '-':
		return t.anotherLine(w, rest[1:], c)
	}
	return false
}

// lastLine handles "550", with the text or the status behind it (RFC 5321, section 4.2.1).
func (t *text) lastLine(w *words, c int) (done bool) {
	next := statusOf(w.peek())
	if next.Class == c/100 || t.code == 0 && (w.start == 0 || w.reported()) { // the status goes with the next word
		t.foundCode(c, w.reported())
		return true
	}
	return c == t.code && (t.multi || len(t.norm) == 1)
}

// anotherLine handles "550-5.7.1" and "550-Text", the beginning of a line with more behind it.
func (t *text) anotherLine(w *words, rest string, c int) (done bool) {
	reported := w.reported() || rest != "" && opens(rest[0])
	for rest != "" && opens(rest[0]) {
		rest = rest[1:]
	}
	st := statusOf(rest)
	switch {
	case st.Class == c/100:
		w.start = w.end
	case t.code != 0 && t.code != c, rest != "" && kinds[rest[0]]&isDigit != 0 && !beginsWithIP(rest):
		return false // a number with a dash, such as an identifier
	default:
		w.start = w.end - len(rest)
	}
	t.foundCode(c, reported)
	t.multi = true
	if w.start == w.end {
		t.foundStatus(st)
		return true
	}
	return false
}

// enhanced handles a word that is an enhanced status, bare or as qmail writes it, "(#5.1.1)".
func (t *text) enhanced(word string) (done bool) {
	word = strings.TrimPrefix(word, "#")
	for n := len(word); n > 0 && closes(word[n-1]); n-- {
		word = word[:n-1]
	}
	st := statusOf(word)
	if st.Class != 4 && st.Class != 5 || st.Subject > 7 {
		return false
	}
	t.foundStatus(st)
	return true
}

func beginsWithIP(s string) bool {
	from, to, _ := findIP(s)
	return from == 0 && to != 0
}

func opens(c byte) bool {
	return c == '"' || c == '\'' || c == '<' || c == '(' || c == '[' || c == '{'
}

func closes(c byte) bool {
	return c == ')' || c == '.' || c == ',' || c == ';' || c == ':' || c == '-' || c == '\'' || c == '"' || c == '>' || c == ']' || c == '}'
}

func (t *text) foundStatus(st mail.Status) {
	if t.status.Class == 0 && st.Class != 0 {
		t.status = st
	}
}

// foundCode takes note of the first code. If it is reported, what stood before it was somebody's words about the reply ("host
// mx.example.org[192.0.2.1] said:"), whose addresses are not the reply's.
func (t *text) foundCode(c int, reported bool) {
	if t.code != 0 {
		return
	}
	t.code = c
	if reported && len(t.norm) > 1 {
		t.said = len(t.norm) - 1
		t.ip, t.url, t.status = netip.Addr{}, "", mail.Status{}
	}
}

// replyCode returns the reply code that a word begins with, 0 if it does not: 4xx or 5xx with a second digit that RFC 5321,
// section 4.2.1, knows, or the 7 that some servers use.
func replyCode(s string) int {
	if len(s) < 3 || s[0] != '4' && s[0] != '5' || s[1] < '0' || s[1] > '7' || s[2] < '0' || s[2] > '9' {
		return 0
	}
	if len(s) > 3 && s[3] != '-' && s[3] != ':' {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

// statusOf returns the enhanced status that a word is; the zero Status if it is none.
func statusOf(s string) mail.Status {
	if len(s) < 5 || s[1] != '.' {
		return mail.Status{}
	}
	st, _ := mail.ParseStatus(s)
	return st
}
