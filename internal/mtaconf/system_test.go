package mtaconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// tree makes a root with files and links ("-> target").
func tree(t *testing.T, files map[string]string) *System {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 3 && text[:3] == "-> " {
			err = os.Symlink(text[3:], full)
		} else {
			err = os.WriteFile(full, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &System{Root: root}
}

func TestLinksStayInsideTheRoot(t *testing.T) {
	s := tree(t, map[string]string{
		"etc/postfix/main.cf": "inside",
		"etc/alias/main.cf":   "-> /etc/postfix/main.cf",
		"etc/back/main.cf":    "-> ../../../../../etc/postfix/main.cf",
		"etc/dir":             "-> /etc/postfix",
		"etc/round":           "-> /etc/round",
	})
	for _, name := range []string{"/etc/alias/main.cf", "/etc/back/main.cf", "/etc/dir/main.cf", "/etc/postfix/main.cf"} {
		b, err := s.ReadFile(name)
		if err != nil || string(b) != "inside" {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if _, err := s.ReadFile("/etc/round"); !errors.Is(err, errLinks) {
		t.Errorf("a circle: %v", err)
	}
	if s.Exists("/etc/passwd") {
		t.Error("the machine's own files are seen")
	}
}

func TestWhatStandsInMemoryIsSeenInsteadOfTheFile(t *testing.T) {
	s := tree(t, map[string]string{"etc/a": "disk", "etc/b": "disk"})
	s.Instead = map[string][]byte{"/etc/a": []byte("memory"), "/etc/b": nil, "/etc/c": {}}
	if b, err := s.ReadFile("/etc/a"); err != nil || string(b) != "memory" {
		t.Errorf("replaced: %q %v", b, err)
	}
	if _, err := s.ReadFile("/etc/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("taken out: %v", err)
	}
	if s.Exists("/etc/b") || !s.Exists("/etc/c") {
		t.Error("Exists does not see what stands in memory")
	}
	if names, err := s.ReadDir("/etc"); err != nil || !slices.Equal(names, []string{"a", "c"}) {
		t.Errorf("directory: %q %v", names, err)
	}
	if names, err := s.ReadDir("/none"); err != nil || len(names) != 0 {
		t.Errorf("directory that is not there: %q %v", names, err)
	}
}
