package opensmtpd

import (
	"errors"
	"fmt"
	"strings"
)

// token is a word of smtpd.conf, a text in quotes, or a sign.
type token struct {
	text     string
	quoted   bool
	from, to int  // where it stands in the file
	line     int  // counted from 1
	ofMacro  bool // it is a piece of what a macro stands for
}

// is tells whether the token is a keyword or sign: keywords lose their meaning in quotes.
func (t token) is(word string) bool { return !t.quoted && t.text == word }

// statement is a directive of smtpd.conf.
type statement struct {
	tokens []token
	line   int
}

// end is where the text of a statement ends.
func (s statement) end() int { return s.tokens[len(s.tokens)-1].to }

// word returns the token at a place, an empty one behind the end.
func (s statement) word(n int) token {
	if n >= len(s.tokens) {
		return token{}
	}
	return s.tokens[n]
}

// index returns the place of a keyword from a place on, -1 if it is not there.
func (s statement) index(word string, from int) int {
	for i := from; i < len(s.tokens); i++ {
		if s.tokens[i].is(word) {
			return i
		}
	}
	return -1
}

// parse takes a smtpd.conf apart into statements, by the rules of the lexer in smtpd's parse.y: a backslash at the end of a line
// joins the next one, within a comment, too; braces hold a statement together over lines; macros are not looked for in quotes.
func parse(text string) ([]statement, error) {
	l := &lexer{text: text, line: 1, macros: make(map[string]string)}
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		switch {
		case t.is("\n") && l.braces == 0, t.is(""):
			l.finish()
		case t.is("\n"):
		default:
			l.tokens = append(l.tokens, t)
		}
		if t.is("") {
			if l.braces != 0 {
				return nil, errBraces
			}
			return l.statements, nil
		}
	}
}

// The mistakes that keep a file from being read.
var (
	errBraces = errors.New("a brace is not closed")
	errQuotes = errors.New("a quote is not closed")
)

type lexer struct {
	text       string
	at, line   int
	braces     int
	macros     map[string]string
	waiting    []token // what a macro stands for
	tokens     []token // of the statement that is being read
	statements []statement
}

// finish ends a statement. The definition of a macro is remembered, it is none.
func (l *lexer) finish() {
	s := statement{tokens: l.tokens}
	l.tokens = nil
	if len(s.tokens) == 0 {
		return
	}
	s.line = s.tokens[0].line
	if len(s.tokens) > 2 && s.tokens[1].is("=") {
		var value []string
		for _, t := range s.tokens[2:] {
			value = append(value, t.text)
		}
		l.macros[s.tokens[0].text] = strings.Join(value, " ")
		return
	}
	l.statements = append(l.statements, s)
}

// next returns the next token: "\n" at the end of a line, an empty one at the end of the file.
func (l *lexer) next() (token, error) {
	if len(l.waiting) > 0 {
		t := l.waiting[0]
		l.waiting = l.waiting[1:]
		return t, nil
	}
	l.skip()
	t := token{from: l.at, line: l.line}
	if l.at >= len(l.text) {
		t.to = l.at
		return t, nil
	}
	var err error
	switch c := l.text[l.at]; {
	case c == '\n':
		l.at++
		l.line++
		t.text = "\n"
	case c == '"' || c == '\'':
		t.quoted = true
		t.text, err = l.quote(c)
	case inWord(c) && c != '$':
		t.text = l.run()
	case c == '$':
		l.at++
		if err := l.macro(l.run(), t); err != nil {
			return t, err
		}
		return l.next()
	default:
		l.at++
		t.text = string(c)
		l.braces += map[byte]int{'{': 1, '}': -1}[c]
	}
	t.to = l.at
	return t, err
}

// skip goes over blanks, comments and joined lines.
func (l *lexer) skip() {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.HasPrefix(rest, "\\\n"):
			l.at += 2
			l.line++
		case rest[0] == ' ' || rest[0] == '\t':
			l.at++
		case rest[0] == '#':
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				if strings.HasPrefix(l.text[l.at:], "\\\n") {
					l.at++
					l.line++
				}
				l.at++
			}
		default:
			return
		}
	}
}

// quote reads a text in quotes. A backslash takes the meaning from the quote and joins lines.
func (l *lexer) quote(mark byte) (string, error) {
	var b strings.Builder
	line := l.line
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		if c == '\n' {
			l.line++
			continue
		}
		if c == '\\' && l.at+1 < len(l.text) && strings.IndexByte(string(mark)+" \t\n", l.text[l.at+1]) >= 0 {
			l.at++
			if c = l.text[l.at]; c == '\n' {
				l.line++
				continue
			}
		} else if c == mark {
			l.at++
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", fmt.Errorf("line %d: %w", line, errQuotes)
}

// run reads a word; a backslash that joins lines is no part of it.
func (l *lexer) run() string {
	from := l.at
	for l.at < len(l.text) && inWord(l.text[l.at]) && !strings.HasPrefix(l.text[l.at:], "\\\n") {
		l.at++
	}
	return l.text[from:l.at]
}

// inWord tells whether an octet can stand in a word: allowed_in_string of parse.y.
func inWord(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`(){}<>!=#,"'`, c) < 0
}

// macro puts what a macro stands for in its place.
func (l *lexer) macro(name string, at token) error {
	value, ok := l.macros[name]
	if !ok {
		return fmt.Errorf("line %d: the macro %s is not defined", at.line, name)
	}
	in := &lexer{text: value, line: at.line, macros: map[string]string{}}
	for {
		t, err := in.next()
		if err != nil || t.is("") {
			return err
		}
		t.from, t.to, t.line, t.ofMacro = at.from, l.at, at.line, true
		l.braces += map[string]int{"{": 1, "}": -1}[t.text]
		l.waiting = append(l.waiting, t)
	}
}
