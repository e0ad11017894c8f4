package soften

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How the pieces of a phrase (see package classify) are written as POSIX extended regular expressions. Postfix compares without
// regard to case and, as it sets no locale, octet by octet.
const (
	// blank is what stands between two words: more blanks, and the codes and status codes that the ends of lines have left in
	// the middle ("sending IP 550-5.7.1 address").
	blank = " [-0-9. ]*"
	// gap stands for " * " in a phrase; it is as long as in package classify.
	gap = ".{0,40}"
	// address and mailbox stand for {ip} and {addr}, with the brackets that belong to them.
	address = `[[(]?(ipv6:)?([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f]+:[0-9a-f]*:[0-9a-f:.]*)[])]?`
	mailbox = `<?[^ <>]+@[^ <>]+>?`
	// The beginning and the end of a word. A reply begins behind the blank of its code.
	wordBegins = "[^0-9a-z]"
	wordEnds   = "([^0-9a-z]|$)"
	// letter is any Latin letter with an accent: in UTF-8, in Latin-1, or without its accent.
	letter = "..?"
)

// atoms takes a phrase apart into the expressions for its characters, one after the other.
func atoms(phrase string) []string {
	var list []string
	for i, p := range strings.Split(phrase, " * ") {
		if i > 0 {
			list = append(list, gap)
		}
		list = part(list, p)
	}
	return list
}

// part appends the atoms of a piece of a phrase without a gap in it.
func part(list []string, s string) []string {
	if rest, ok := strings.CutPrefix(s, "|"); ok {
		list = append(list, wordBegins)
		s = rest
	}
	s, right := strings.CutSuffix(s, "|")
	for s != "" {
		atom, n := atom(s)
		list = append(list, atom)
		s = s[n:]
	}
	if right {
		list = append(list, wordEnds)
	}
	return list
}

// atom returns the expression for what a piece of a phrase begins with, and how many octets of it that is.
func atom(s string) (expression string, n int) {
	blanks := len(s) - len(strings.TrimLeft(s, " "))
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case strings.HasPrefix(s, "{ip}"):
		return address, len("{ip}")
	case strings.HasPrefix(s, "{addr}"):
		return mailbox, len("{addr}")
	case blanks == len(s): // the text may end there
		return "( |$)", blanks
	case blanks > 0:
		return blank, blanks
	case r < utf8.RuneSelf:
		return quote(s[:1]), 1
	case r < 0x250 && unicode.IsLetter(r):
		return letter, size
	}
	return strings.ToLower(s[:size]), size
}

// quote writes ASCII text so that it stands for itself, between slashes, too.
func quote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(`\.[]()*+?{}|^$/`, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return strings.ToLower(b.String())
}

// codes returns the expression for reply codes as rules write them, by their beginning: "550", "5".
func codes(list []string) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c + strings.Repeat("[0-9]", 3-len(c))
	}
	return "(" + strings.Join(out, "|") + ")"
}

// statuses returns the expression for enhanced status codes as rules write them: "x.7.1", "5.7.606-649", "x.1.x".
func statuses(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		class, rest, _ := strings.Cut(s, ".")
		subject, detail, _ := strings.Cut(rest, ".")
		out[i] = wild(class, "[45]") + `\.` + wild(subject, "[0-9]+") + `\.` + details(detail)
	}
	return "(" + strings.Join(out, "|") + ")"
}

func wild(s, number string) string {
	if s == "x" {
		return number
	}
	return s
}

func details(s string) string {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		return wild(s, "[0-9]+")
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil {
		panic("bug: package classify let a wrong status pass: " + s)
	}
	return "(" + strings.Join(between(a, b), "|") + ")"
}

// between returns expressions for the numbers from a to b, which are written without zeros in front.
func between(a, b int) []string {
	var out []string
	for a <= b {
		// The longest step of 1, 10, 100, ... that begins at a and stays within b and within one number of digits.
		step := 1
		for a%(step*10) == 0 && a > 0 && a+step*10-1 <= b {
			step *= 10
		}
		// As many such steps as fit before the digit in front of them changes.
		n := 1
		for a/step%10+n <= 9 && a+(n+1)*step-1 <= b {
			n++
		}
		head, first := a/step/10, a/step%10
		text := strconv.Itoa(first)
		if head > 0 {
			text = strconv.Itoa(head) + text
		}
		if n > 1 {
			text = fmt.Sprintf("[%d-%d]", first, first+n-1)
			if head > 0 {
				text = strconv.Itoa(head) + text
			}
		}
		out = append(out, text+strings.Repeat("[0-9]", len(strconv.Itoa(step))-1))
		a += n * step
	}
	return out
}
