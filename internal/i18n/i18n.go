// Package i18n holds every text that a person reads, in Japanese and in English.
//
// A text has a key ("route.why.preferred") and lives in catalogue/ROOM.toml with both languages side by side, so that one
// cannot be written without the other. Values are put in by name: "refused by {provider}". Facts are never formatted here:
// the caller hands in strings, numbers, times and durations.
package i18n

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Lang is a language of the catalogue.
type Lang string

// The languages.
const (
	EN Lang = "en"
	JA Lang = "ja"
)

// Parse reads a language as given by a person or by LANG ("ja", "ja_JP.UTF-8", "C"); ok is false for one that is not spoken here.
func Parse(s string) (l Lang, ok bool) {
	s = strings.ToLower(s)
	switch {
	case s == "ja" || strings.HasPrefix(s, "ja_") || strings.HasPrefix(s, "ja-"):
		return JA, true
	case s == "en" || strings.HasPrefix(s, "en_") || strings.HasPrefix(s, "en-") || s == "c" || s == "posix" || strings.HasPrefix(s, "c."):
		return EN, true
	}
	return EN, false
}

// FromEnv returns the language that the environment asks for (LC_ALL, LC_MESSAGES, LANG), English when it asks for none.
func FromEnv() Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			l, _ := Parse(v)
			return l
		}
	}
	return EN
}

//go:embed catalogue/*.toml
var files embed.FS

// Entry is one text in every language.
type Entry struct {
	EN string `toml:"en"`
	JA string `toml:"ja"`
}

var load = sync.OnceValues(func() (map[string]Entry, error) {
	all := make(map[string]Entry)
	names, err := fs.Glob(files, "catalogue/*.toml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var part map[string]Entry
		if err := toml.Unmarshal(b, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for k, e := range part {
			if _, twice := all[k]; twice {
				return nil, fmt.Errorf("%s: key %q stands in another file too", name, k)
			}
			all[k] = e
		}
	}
	return all, nil
})

// Catalogue returns all texts by key. It fails only when the embedded files are broken, which a test rules out.
func Catalogue() (map[string]Entry, error) { return load() }

// Text returns the text of key with its values put in: args are name, value, name, value, ...
// A key that is missing comes back as itself, so that a hole in the catalogue never hides a fact.
func Text(l Lang, key string, args ...any) string {
	all, err := load()
	if err != nil {
		panic("bug: " + err.Error())
	}
	e, ok := all[key]
	if !ok {
		return missing(key, args)
	}
	s := e.EN
	if l == JA {
		s = e.JA
	}
	return fill(s, l, args)
}

func missing(key string, args []any) string {
	if len(args) == 0 {
		return key
	}
	return key + " " + fmt.Sprint(args...)
}

func fill(s string, l Lang, args []any) string {
	if len(args) == 0 || !strings.Contains(s, "{") {
		return s
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(args[i])+"}", value(l, args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func value(l Lang, v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Time:
		return v.Local().Format("2006-01-02 15:04:05")
	case time.Duration:
		return Duration(l, v)
	case error:
		return ErrorText(l, v)
	}
	return fmt.Sprint(v)
}
