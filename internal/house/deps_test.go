package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var required = regexp.MustCompile(`(?m)^\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+|pgregory\.net/\S+) (v\S+)`)

// required reads the modules of go.mod with their versions.
func requires(t *testing.T) map[string]string {
	t.Helper()
	mods := make(map[string]string)
	for _, m := range required.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		mods[m[1]] = m[2]
	}
	if len(mods) < 10 {
		t.Fatalf("only %d modules were found in go.mod", len(mods))
	}
	return mods
}

// imported returns the modules that the sources import: what go.mod requires directly.
func imported(t *testing.T, mods map[string]string) map[string]string {
	t.Helper()
	direct := make(map[string]string)
	for _, f := range parse(t, root) {
		for _, spec := range f.AST.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			for mod := range mods {
				if path == mod || strings.HasPrefix(path, mod+"/") {
					direct[mod] = f.Path
				}
			}
		}
	}
	return direct
}

var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|\n]*)\\|([^|\n]*)\\|")

func TestEveryDependencyIsListedWithItsReason(t *testing.T) {
	mods := requires(t)
	direct := imported(t, mods)
	listed := make(map[string]string)
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		listed[m[1]] = strings.TrimSpace(m[2])
		if strings.TrimSpace(m[3]) == "" {
			t.Errorf("docs/dependencies.md names no licence for %s", m[1])
		}
	}
	for mod, file := range direct {
		if listed[mod] == "" {
			t.Errorf("%s imports %s: docs/dependencies.md gives no reason for it", file, mod)
		}
	}
	for mod := range listed {
		if mods[mod] == "" || direct[mod] == "" {
			t.Errorf("docs/dependencies.md lists %s, which go.mod does not require, or nobody imports", mod)
		}
	}
}

// SQLite's C code is translated against one version of libc; another one builds, and then corrupts or crashes.
func TestLibcIsTheVersionThatSQLiteWasBuiltWith(t *testing.T) {
	if got := requires(t)["modernc.org/libc"]; got != "v1.79.0" {
		t.Errorf("modernc.org/libc is %s; modernc.org/sqlite v1.61.1 was made with v1.79.0", got)
	}
	if got := requires(t)["modernc.org/sqlite"]; got != "v1.61.1" {
		t.Errorf("modernc.org/sqlite is %s: look up in its go.mod which modernc.org/libc it wants, and change both", got)
	}
}

func TestThePatternForRequirementsReadsBothForms(t *testing.T) {
	var got []string
	for _, m := range required.FindAllStringSubmatch("require example.org/a v1.0.0\nrequire (\n\tpgregory.net/rapid v1.3.0\n\tgolang.org/x/net v0.1.0 // indirect\n)\n", -1) {
		got = append(got, m[1])
	}
	if want := []string{"example.org/a", "pgregory.net/rapid", "golang.org/x/net"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
