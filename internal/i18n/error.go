package i18n

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Error is an error made for the eyes of an operator: what went wrong and what to do, in either language.
type Error struct {
	Key   string
	Args  []any // name, value, name, value, ...; the cause is put in as {cause}
	Cause error
}

// Errorf makes an Error from a key of the catalogue; an argument named "cause" that is an error becomes the cause.
func Errorf(key string, args ...any) *Error {
	e := &Error{Key: key, Args: args}
	for i := 0; i+1 < len(args); i += 2 {
		if err, ok := args[i+1].(error); ok && args[i] == "cause" {
			e.Cause = err
		}
	}
	return e
}

// Error returns the English text.
func (e *Error) Error() string { return e.Text(EN) }

// Text returns the text in a language.
func (e *Error) Text(l Lang) string { return Text(l, e.Key, e.Args...) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ErrorText returns an error in a language: the text of an Error where there is one in the chain, else the error's own. Of
// errors that were joined (errors.Join) each stands on a line of its own.
func ErrorText(l Lang, err error) string {
	if e, ok := err.(*Error); ok { //nolint:errorlint // the chain is walked here
		return e.Text(l)
	}
	if e, ok := err.(interface{ Unwrap() []error }); ok {
		return partsText(l, err, e.Unwrap())
	}
	if inner := errors.Unwrap(err); inner != nil && translated(inner) {
		return ErrorText(l, inner)
	}
	return err.Error()
}

// partsText returns an error of several parts: all of them where it is nothing but them (errors.Join). Where it is a sentence
// around them (fmt.Errorf), those with a text of their own say it in its place.
func partsText(l Lang, err error, parts []error) string {
	var plain, lines, texts []string
	for _, part := range parts {
		plain = append(plain, part.Error())
		lines = append(lines, ErrorText(l, part))
		if translated(part) {
			texts = append(texts, lines[len(lines)-1])
		}
	}
	switch {
	case strings.Join(plain, "\n") == err.Error():
		return strings.Join(lines, "\n")
	case len(texts) > 0:
		return strings.Join(texts, "\n")
	}
	return err.Error()
}

// translated tells whether there is an Error in the chain.
func translated(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Duration returns d for people: "3 s", "5 min", "2 h 10 min", "4 日".
func Duration(l Lang, d time.Duration) string {
	units := [4]string{" d", " h", " min", " s"}
	if l == JA {
		units = [4]string{"日", "時間", "分", "秒"}
	}
	if d < 0 {
		d = 0
	}
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + map[bool]string{true: "ミリ秒", false: " ms"}[l == JA]
	}
	s := int64(d.Round(time.Second) / time.Second)
	parts := [4]int64{s / 86400, s / 3600 % 24, s / 60 % 60, s % 60}
	out := ""
	for i, shown := 0, 0; i < len(parts) && shown < 2; i++ {
		if parts[i] == 0 && (shown == 0 || i == 3) {
			if shown > 0 {
				break
			}
			continue
		}
		if parts[i] != 0 {
			if out != "" && l != JA {
				out += " "
			}
			out += strconv.FormatInt(parts[i], 10) + units[i]
		}
		shown++
	}
	return out
}
