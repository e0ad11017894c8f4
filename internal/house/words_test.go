package house

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unwanted are words that have no place in the tree. They are put together here, or this file would be the first to fail.
var unwanted = map[string]*regexp.Regexp{
	"work that is left open":          regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|HA` + `CK|WI` + `P)\b`),
	"a path of one person's machine":  regexp.MustCompile(`(/wo` + `rk/|/ro` + `ot/|/home/[a-z]|[^a-z]C:\\Users)`),
	"an address that is nobody's":     regexp.MustCompile(`@(foo|bar|test)\.(com|org|net)\b`),
	"a mark of a merge that was left": regexp.MustCompile(`(?m)^(<<<<<<<|>>>>>>>) `),
}

// judged tells whether a file is ours to judge: corpora and golden files hold the words of others.
func judged(rel string) bool {
	return !strings.Contains(rel, "testdata/") && filepath.Base(rel) != "LICENSE" && filepath.Base(rel) != "go.sum"
}

func findWords(root string) (map[string]string, error) {
	found := make(map[string]string)
	ignored := []string{".git", "ukai-data", "node_modules", "results", "tmp"}
	return found, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			for _, name := range ignored {
				if d.Name() == name {
					return filepath.SkipDir
				}
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || !d.Type().IsRegular() || !judged(filepath.ToSlash(rel)) {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > 4<<20 { // a built program
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(b, 0) >= 0 {
			return err
		}
		for what, pattern := range unwanted {
			if m := pattern.Find(b); m != nil {
				found[rel] = what + ": " + string(m)
			}
		}
		return nil
	})
}

func TestTheTreeHoldsNoUnwantedWords(t *testing.T) {
	found, err := findWords(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, what := range found {
		t.Errorf("%s holds %s", file, what)
	}
}

func TestAnUnwantedWordIsSeen(t *testing.T) {
	for name, text := range map[string]string{
		"work left open":  "// TO" + "DO: later",
		"a path":          "see /ro" + "ot/notes.txt",
		"a strange inbox": "me@foo" + ".com",
		"a merge":         "a\n<<<<<<" + "< HEAD\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "testdata"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "testdata", "b.md"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := findWords(dir)
			if err != nil || len(found) != 1 || found["a.md"] == "" {
				t.Errorf("found %v, %v; want the one in a.md", found, err)
			}
		})
	}
}
