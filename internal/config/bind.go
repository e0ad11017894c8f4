package config

import (
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ukai/internal/i18n"
)

// reader is a setting that knows how to read itself.
type reader interface{ read(n *node) *i18n.Error }

// chooser is a setting that is one of a few words.
type chooser interface{ choices() []string }

// binder lays a tree over a struct. What does not fit is noted and left at its default.
type binder struct{ *problems }

// table fills a struct from a table. path is the struct's own, empty for the whole file.
func (b *binder) table(n *node, v reflect.Value, path string) {
	names := keysOf(v.Type())
	for _, f := range n.fields {
		i, ok := names[f.name]
		sub := join(path, f.name)
		if !ok {
			b.unknown(f, path, names)
			continue
		}
		b.at[sub] = f.value.at
		b.value(f.value, v.Field(i), slot{sub, v.Type().Field(i).Tag.Get("range")})
	}
}

func (b *binder) unknown(f *field, path string, names map[string]int) {
	words := make([]string, 0, len(names))
	for name := range names {
		words = append(words, name)
	}
	table := path
	if table == "" {
		table = filepath.Base(b.file)
	}
	b.addAt(f.at, join(path, f.name), i18n.Errorf("config.key.unknown",
		"key", f.name, "table", withoutIndexes(table), "hint", near(f.name, words), "allowed", sortedList(words)))
}

// slot is a setting to be filled: its path and its range tag.
type slot struct{ path, bounds string }

func (b *binder) value(n *node, v reflect.Value, s slot) {
	switch p := v.Addr().Interface().(type) {
	case reader:
		b.note(s, p.read(n))
		if size, ok := p.(*Size); ok {
			b.note(s, bounded(*size, s.bounds, parseSize))
		}
		return
	case *time.Duration:
		b.duration(n, p, s)
		return
	case *netip.Prefix:
		b.note(s, readPrefix(n, p))
		return
	case *netip.Addr:
		b.note(s, readAddr(n, p))
		return
	case chooser:
		b.choice(n, v, p, s)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if b.is(n, stringNode, s) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if b.is(n, boolNode, s) {
			v.SetBool(n.raw == "true")
		}
	case reflect.Int:
		if b.is(n, intNode, s) {
			v.SetInt(n.num)
			b.note(s, bounded(n.num, s.bounds, parseInt))
		}
	case reflect.Struct:
		if b.is(n, tableNode, s) {
			b.table(n, v, s.path)
		}
	case reflect.Slice:
		if b.is(n, arrayNode, s) {
			b.list(n, v, s)
		}
	default:
		panic("bug: no way to read a setting of type " + v.Type().String())
	}
}

// list fills a slice; it replaces what stood there by default.
func (b *binder) list(n *node, v reflect.Value, s slot) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		sub := slot{s.path + "[" + strconv.Itoa(i) + "]", s.bounds}
		b.at[sub.path] = item.at
		b.value(item, v.Index(i), sub)
	}
}

func (b *binder) note(s slot, what *i18n.Error) {
	if what != nil {
		b.add(s.path, what)
	}
}

// is tells whether a value is of the kind that is wanted, and notes it if not.
func (b *binder) is(n *node, want nodeKind, s slot) bool {
	if n.kind == want {
		return true
	}
	b.add(s.path, i18n.Errorf("config.value.kind", "want", kindName(want), "got", kindName(n.kind)))
	return false
}

func kindName(k nodeKind) *i18n.Error { return i18n.Errorf("config.kind." + string(k)) }

func (b *binder) choice(n *node, v reflect.Value, c chooser, s slot) {
	if !b.is(n, stringNode, s) {
		return
	}
	for _, word := range c.choices() {
		if word == n.text {
			v.SetString(word)
			return
		}
	}
	b.add(s.path, i18n.Errorf("config.value.choice", "value", n.text, "hint", near(n.text, c.choices()), "allowed", list(c.choices())))
}

func (b *binder) duration(n *node, p *time.Duration, s slot) {
	d, ok := parseDuration(n.text)
	if n.kind != stringNode || !ok {
		b.add(s.path, i18n.Errorf("config.value.duration", "value", n.raw))
		return
	}
	*p = d
	b.note(s, bounded(d, s.bounds, parseDuration))
}

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// bounded holds a value to a range tag, "1..100". An empty tag allows everything.
func bounded[T ~int64](v T, tag string, parse func(string) (T, bool)) *i18n.Error {
	if tag == "" {
		return nil
	}
	from, to, _ := strings.Cut(tag, "..")
	least, okLeast := parse(from)
	most, okMost := parse(to)
	if !okLeast || !okMost {
		panic("bug: the range " + tag + " of a setting cannot be read")
	}
	if v < least || v > most {
		return i18n.Errorf("config.value.range", "least", from, "most", to)
	}
	return nil
}

// readPrefix takes "192.0.2.0/24" or a single address. Bits behind the mask are a mistake: one of the two is not what was meant.
func readPrefix(n *node, p *netip.Prefix) *i18n.Error {
	if a, err := netip.ParseAddr(n.text); err == nil && a.Zone() == "" && n.kind == stringNode {
		*p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(n.text)
	if err != nil || n.kind != stringNode {
		return i18n.Errorf("config.value.network", "value", n.raw)
	}
	if a := v.Addr(); a.Is4In6() && v.Bits() >= 96 { // clients are known by their IPv4 address
		v = netip.PrefixFrom(a.Unmap(), v.Bits()-96)
	}
	if v != v.Masked() {
		return i18n.Errorf("config.value.network_bits", "value", n.text, "network", v.Masked(), "address", v.Addr())
	}
	*p = v
	return nil
}

func readAddr(n *node, p *netip.Addr) *i18n.Error {
	a, err := netip.ParseAddr(n.text)
	if err != nil || n.kind != stringNode {
		return i18n.Errorf("config.value.address", "value", n.raw)
	}
	*p = a.Unmap()
	return nil
}

// keysOf returns the keys of a struct with the index of their field: the toml tag, else the field's name in lower case with
// underscores.
func keysOf(t reflect.Type) map[string]int {
	keys := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		keys[keyOf(t.Field(i))] = i
	}
	return keys
}

func keyOf(f reflect.StructField) string {
	if tag := f.Tag.Get("toml"); tag != "" {
		return tag
	}
	var b strings.Builder
	for i, r := range f.Name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
