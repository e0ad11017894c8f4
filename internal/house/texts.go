package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/i18n"
)

// A key of the message catalogue is written out in the sources, so that a reader finds the text and the compiler's neighbour
// (this file) finds the hole. A key that is put together ("health.state." + name) shows its beginning, ending in a dot.
var (
	keyLike    = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9_]+){2,}$`)
	prefixLike = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9_]+)*\.$`)
	value      = regexp.MustCompile(`\{([a-z_]+)\}`)
)

// textFuncs are the functions of i18n that take a key, with the place of the key among their arguments.
var textFuncs = map[string]int{"Text": 1, "Errorf": 0}

// texts is what the sources say about the catalogue.
type texts struct {
	all      map[string]i18n.Entry
	rooms    map[string]bool // first words of the keys
	used     map[string]bool
	prefixes []string
	found    []Violation
}

// CheckTexts compares the keys in the sources with the catalogue: a key that the catalogue has not, a value that the text
// wants and the caller does not give, a text that nobody uses.
func CheckTexts(files []*File, all map[string]i18n.Entry) []Violation {
	t := &texts{all: all, rooms: make(map[string]bool), used: make(map[string]bool)}
	for key := range all {
		room, _, _ := strings.Cut(key, ".")
		t.rooms[room] = true
	}
	for _, f := range files {
		if !f.Test() {
			t.read(f)
		}
	}
	for _, key := range t.unused() {
		room, _, _ := strings.Cut(key, ".")
		t.found = append(t.found, Violation{"internal/i18n/catalogue/" + room + ".toml", RuleText, fmt.Sprintf("nobody uses %q", key)})
	}
	return t.found
}

func (t *texts) read(f *File) {
	names := importNames(f.AST)
	ast.Inspect(f.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				t.literal(f, n)
			}
		case *ast.CallExpr:
			t.call(f, n, names)
		}
		return true
	})
}

// literal looks at any string. One of three words or more that begins like a room with texts can only be a key.
func (t *texts) literal(f *File, lit *ast.BasicLit) {
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return
	}
	if _, ok := t.all[s]; ok {
		t.used[s] = true
		return
	}
	if prefixLike.MatchString(s) {
		t.prefixes = append(t.prefixes, s)
		return
	}
	room, _, _ := strings.Cut(s, ".")
	if keyLike.MatchString(s) && t.rooms[room] {
		t.missing(f, lit, s)
	}
}

// call looks at i18n.Text and i18n.Errorf: their key stands in the catalogue however short it is, and the values that the
// text wants are given.
func (t *texts) call(f *File, call *ast.CallExpr, names map[string]string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	pkg, ok := sel.X.(*ast.Ident)
	at, known := textFuncs[sel.Sel.Name]
	if !ok || !known || names[pkg.Name] != module+"/internal/i18n" || len(call.Args) <= at {
		return
	}
	key, ok := stringLit(call.Args[at])
	if !ok {
		return
	}
	entry, ok := t.all[key]
	if !ok {
		if room, _, _ := strings.Cut(key, "."); !keyLike.MatchString(key) || !t.rooms[room] { // else literal tells
			t.missing(f, call, key)
		}
		return
	}
	t.values(f, call, call.Args[at+1:], entry, key)
}

// values checks that each {name} of a text is among the names a call gives. A call with names that are not written out, or
// with a slice for them, is beyond this test.
func (t *texts) values(f *File, call *ast.CallExpr, args []ast.Expr, entry i18n.Entry, key string) {
	if call.Ellipsis.IsValid() {
		return
	}
	var given []string
	for i := 0; i < len(args); i += 2 {
		name, ok := stringLit(args[i])
		if !ok {
			return
		}
		given = append(given, name)
	}
	for _, m := range value.FindAllStringSubmatch(entry.EN, -1) {
		if !slices.Contains(given, m[1]) {
			t.found = append(t.found, Violation{f.pos(call), RuleText, fmt.Sprintf("the text of %q wants a value {%s}", key, m[1])})
		}
	}
}

func (t *texts) missing(f *File, n ast.Node, key string) {
	t.used[key] = true
	t.found = append(t.found, Violation{f.pos(n), RuleText, fmt.Sprintf("the catalogue has no %q", key)})
}

// unused returns the keys that stand nowhere in the sources, neither whole nor by their beginning.
func (t *texts) unused() []string {
	var keys []string
	for key := range t.all {
		begun := slices.ContainsFunc(t.prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if !t.used[key] && !begun {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func stringLit(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
