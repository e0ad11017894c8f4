package soften

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// evaluator reads a regexp table as regexp_table(5) describes it, as far as the tables here go.
type evaluator struct{ lines []evalLine }

type evalLine struct {
	op     string // "if", "if!", "endif", "result"
	re     *regexp.Regexp
	result string
}

// octets turns each octet into the rune of that number: Postfix compares octets, Go compares runes.
func octets(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}

func newEvaluator(t testing.TB, text []byte) *evaluator {
	t.Helper()
	e := &evaluator{}
	depth := 0
	for n, l := range strings.Split(string(text), "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		line, err := readLine(l)
		if err != nil {
			t.Fatalf("line %d: %v: %.200s", n+1, err, l)
		}
		switch line.op {
		case "if", "if!":
			depth++
		case "endif":
			depth--
		}
		if depth < 0 {
			t.Fatalf("line %d: endif without if", n+1)
		}
		e.lines = append(e.lines, line)
	}
	if depth != 0 {
		t.Fatalf("%d blocks without an end", depth)
	}
	return e
}

func readLine(l string) (evalLine, error) {
	if l == "endif" {
		return evalLine{op: "endif"}, nil
	}
	line := evalLine{op: "result"}
	if rest, ok := strings.CutPrefix(l, "if "); ok {
		line.op, l = "if", rest
		if rest, ok := strings.CutPrefix(l, "!"); ok {
			line.op, l = "if!", rest
		}
	}
	if l[0] != '/' {
		return line, fmt.Errorf("no pattern")
	}
	end := 1
	for end < len(l) && l[end] != '/' {
		if l[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(l) {
		return line, fmt.Errorf("the pattern has no end")
	}
	line.result = strings.TrimSpace(l[end+1:])
	if (line.op == "result") != (line.result != "") {
		return line, fmt.Errorf("result %q", line.result)
	}
	var err error
	line.re, err = regexp.CompilePOSIX(octets(l[1:end]))
	return line, err
}

// lookup returns the result for a key, and whether there is one.
func (e *evaluator) lookup(key string) (string, bool) {
	wide := octets(key)
	low := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, wide)
	skip := 0 // blocks that are passed over
	for i := range e.lines {
		l := &e.lines[i]
		switch {
		case l.op == "endif":
			skip = max(0, skip-1)
		case skip > 0:
			if l.op != "result" {
				skip++
			}
		case l.op == "result":
			if at := l.re.FindStringSubmatchIndex(low); at != nil {
				return narrow(string(l.re.ExpandString(nil, strings.ReplaceAll(l.result, "4$1", "4${1}"), wide, at))), true
			}
		case l.re.MatchString(low) != (l.op == "if"):
			skip = 1
		}
	}
	return "", false
}

func narrow(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}
