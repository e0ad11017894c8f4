package classify

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// gap is how many octets may lie in the place of a * in a phrase: a few words, not the next sentence.
const gap = 40

// A phrase is words that a rule looks for. It is written as it is read, in any case, with or without accents; {ip} stands for
// an IP address and {addr} for a mail address; | at an end wants the end of a word there ("|rbl|" is not in "garble");
// " * " lets a few words stand between ("user * unknown").
type phrase struct {
	parts []part
}

// part is a piece of a phrase without a gap in it.
type part struct {
	text        string
	left, right bool // a word must begin, end there
}

func parsePhrase(s string) (phrase, error) {
	var p phrase
	for _, piece := range strings.Split(s, " * ") {
		q := part{text: normal(piece)}
		q.text, q.left = strings.CutPrefix(q.text, "|")
		q.text, q.right = strings.CutSuffix(q.text, "|")
		if len(q.text) < 2 && !strings.ContainsAny(q.text, string([]byte{signIP, signAddr})) {
			return p, fmt.Errorf("phrase too short: %q", s)
		}
		p.parts = append(p.parts, q)
	}
	return p, nil
}

var signs = strings.NewReplacer("{ip}", string(rune(signIP)), "{addr}", string(rune(signAddr)))

// normal brings a phrase into the form of a text.
func normal(s string) string {
	s = signs.Replace(s)
	var t text
	for i, w := range strings.Fields(s) {
		if i > 0 {
			t.norm = append(t.norm, ' ')
		}
		t.phrase(w)
	}
	if strings.HasPrefix(s, " ") {
		t.norm = append([]byte{' '}, t.norm...)
	}
	if strings.HasSuffix(s, " ") {
		t.norm = append(t.norm, ' ')
	}
	return string(t.norm)
}

// phrase appends a word of a phrase: as put does, but the signs stay.
func (t *text) phrase(s string) {
	for i := 0; i < len(s); i++ {
		if s[i] == signIP || s[i] == signAddr {
			t.norm = append(t.norm, s[i])
			continue
		}
		n := 1
		for i+n < len(s) && !utf8.RuneStart(s[i+n]) {
			n++
		}
		t.put(s[i : i+n])
		i += n - 1
	}
}

// trigger returns the part that is least likely to be met by chance: the longest.
func (p phrase) trigger() part {
	best := p.parts[0]
	for _, q := range p.parts[1:] {
		if len(q.text) > len(best.text) {
			best = q
		}
	}
	return best
}

// fits tells whether the part at norm[end-len:end] stands where a word begins or ends, as it wants to.
func (q part) fits(norm []byte, end int) bool {
	if from := end - len(q.text); q.left && from > 0 && inWord(norm[from-1]) {
		return false
	}
	return !q.right || end >= len(norm) || !inWord(norm[end])
}

func inWord(c byte) bool { return kinds[c]&(isAlpha|isDigit|isHigh) != 0 }

// in tells whether a phrase of several parts stands in norm: each part not farther than gap behind the one before.
func (p phrase) in(norm []byte) bool {
	for at := 0; ; {
		end := p.parts[0].find(norm, at, len(norm))
		if end < 0 {
			return false
		}
		if p.rest(norm, end, 1) {
			return true
		}
		at = end - len(p.parts[0].text) + 1
	}
}

func (p phrase) rest(norm []byte, at, n int) bool {
	if n == len(p.parts) {
		return true
	}
	q := p.parts[n]
	limit := min(len(norm), at+gap+len(q.text))
	for {
		end := q.find(norm, at, limit)
		if end < 0 {
			return false
		}
		if p.rest(norm, end, n+1) {
			return true
		}
		at = end - len(q.text) + 1
	}
}

// find returns the place behind the first occurrence of a part in norm[from:to], -1 if there is none.
func (q part) find(norm []byte, from, to int) int {
	for from < to {
		i := bytes.Index(norm[from:to], []byte(q.text))
		if i < 0 {
			return -1
		}
		end := from + i + len(q.text)
		if q.fits(norm, end) {
			return end
		}
		from += i + 1
	}
	return -1
}
