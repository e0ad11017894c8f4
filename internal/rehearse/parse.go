package rehearse

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/i18n"
)

// Problem is one mistake in a scenario file.
type Problem struct {
	File string
	Line int
	Err  *i18n.Error
}

// Error returns place and sentence.
func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Err.Error()) }

// Problems are all mistakes in a scenario file, by line.
type Problems []*Problem

// Error returns all of them, one a line.
func (p Problems) Error() string { return p.Text(i18n.EN) }

// Text returns all of them in a language, one a line.
func (p Problems) Text(l i18n.Lang) string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = fmt.Sprintf("%s:%d: %s", x.File, x.Line, i18n.ErrorText(l, x.Err))
	}
	return strings.Join(lines, "\n")
}

// Parse reads a scenario. Its error is Problems.
func Parse(file string, text []byte) (*Scenario, error) {
	c := &checker{s: &Scenario{Name: strings.TrimSuffix(filepath.Base(file), ".toml")}, file: file}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	err := d.Decode(c.s)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		for i := range unknown.Errors {
			line, _ := unknown.Errors[i].Position()
			c.at(line, i18n.Errorf("rehearse.bad.key", "key", strings.Join(unknown.Errors[i].Key(), ".")))
		}
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		c.at(line, i18n.Errorf("rehearse.bad.toml", "cause", strings.TrimPrefix(wrong.Error(), "toml: ")))
	case err != nil:
		c.at(1, i18n.Errorf("rehearse.bad.toml", "cause", err))
	default:
		c.lines = findLines(text)
		c.check()
	}
	if len(c.found) > 0 {
		slices.SortStableFunc(c.found, func(a, b *Problem) int { return a.Line - b.Line })
		return nil, c.found
	}
	return c.s, nil
}

// checker collects what is wrong with a scenario.
type checker struct {
	s     *Scenario
	file  string
	lines lines
	found Problems
}

func (c *checker) at(line int, err *i18n.Error) {
	c.found = append(c.found, &Problem{c.file, line, err})
}

// bad notes a mistake at a key.
func (c *checker) bad(path string, key string, args ...any) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	c.at(c.lines.of(path), i18n.Errorf(key, append([]any{"key", name}, args...)...))
}

// check looks at everything that TOML does not know.
func (c *checker) check() {
	s := c.s
	if s.Title.In(i18n.EN) == "" {
		c.bad("title", "rehearse.bad.missing")
	}
	if s.Begins == "" {
		s.Begins = "00:00"
	}
	if _, ok := timeOfDay(s.Begins); !ok {
		c.bad("begins", "rehearse.bad.clock", "value", s.Begins)
		s.Begins = "00:00"
	}
	if s.Speed == 0 {
		s.Speed = 1
	}
	if s.Speed < 1 || s.Speed > 100_000 {
		c.bad("speed", "rehearse.bad.number", "value", s.Speed, "least", 1, "most", 100_000)
	}
	s.patience = c.span("patience", s.Patience, 4*time.Hour)
	c.checkEgresses()
	c.checkProviders()
	c.checkStreams()
	c.checkSteps()
	c.checkExpect()
}

func (c *checker) span(path, text string, def time.Duration) time.Duration {
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		c.bad(path, "rehearse.bad.span", "value", text)
	}
	return d
}

func itoa(n int) string { return strconv.Itoa(n) }

// bounds reads "1..5".
func bounds(s string) (from, to int, ok bool) {
	a, b, found := strings.Cut(s, "..")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	return from, to, found && err1 == nil && err2 == nil && from <= to && to-from < 10_000
}
