package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// TOML writes the settings as a file that Load reads, defaults included. Secrets are starred out; what is empty, and would be
// so by default, is left out.
func (c *Config) TOML() []byte {
	var b bytes.Buffer
	w := &tomlWriter{&b}
	w.table(reflect.ValueOf(c).Elem(), reflect.ValueOf(base()).Elem(), "")
	return b.Bytes()
}

// MarshalJSON writes what TOML writes, with the same keys, units and stars.
func (c *Config) MarshalJSON() ([]byte, error) {
	var tree map[string]any
	if err := toml.Unmarshal(c.TOML(), &tree); err != nil {
		return nil, fmt.Errorf("show settings: %w", err)
	}
	return json.Marshal(tree)
}

// tomlWriter writes a struct as a table: its plain values first, since in TOML they would else belong to the table before.
type tomlWriter struct{ *bytes.Buffer }

func (w *tomlWriter) table(v, byDefault reflect.Value, path string) {
	for i := range v.NumField() {
		if text, ok := plain(v.Field(i)); ok && !(v.Field(i).IsZero() && byDefault.Field(i).IsZero()) {
			fmt.Fprintf(w, "%s = %s\n", keyOf(v.Type().Field(i)), text)
		}
	}
	for i := range v.NumField() {
		f, sub := v.Field(i), join(path, keyOf(v.Type().Field(i)))
		if _, ok := plain(f); ok {
			continue
		}
		if f.Kind() == reflect.Struct {
			w.section("["+sub+"]", sub, f, byDefault.Field(i))
			continue
		}
		for j := range f.Len() {
			w.section("[["+sub+"]]", sub, f.Index(j), reflect.Zero(f.Type().Elem()))
		}
	}
}

// section writes a struct below a header, or nothing where there is nothing to write.
func (w *tomlWriter) section(header, path string, v, byDefault reflect.Value) {
	before := w.Len()
	fmt.Fprintf(w, "\n%s\n", header)
	with := w.Len()
	w.table(v, byDefault, path)
	if w.Len() == with {
		w.Truncate(before)
	}
}

// plain writes a value that stands behind a key; ok is false for tables and lists of them.
func plain(v reflect.Value) (text string, ok bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return quote(formatDuration(x)), true
	case Auth:
		if x == AuthRequired {
			return quote(string(x)), true
		}
		return string(x), true
	case Size, Secret, netip.Prefix, netip.Addr:
		return quote(fmt.Sprint(x)), true
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Slice:
		if v.Len() > 0 && v.Index(0).Kind() == reflect.Struct && !isAddress(v.Index(0)) {
			return "", false
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i], _ = plain(v.Index(i)) // a list of plain values
		}
		return "[" + strings.Join(items, ", ") + "]", true
	}
	return "", false
}

func isAddress(v reflect.Value) bool {
	switch v.Interface().(type) {
	case netip.Prefix, netip.Addr:
		return true
	}
	return false
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
