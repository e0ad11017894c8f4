package classify

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/i18n"
)

//go:embed rules/*.toml
var embedded embed.FS

// File is one file of rules.
type File struct {
	name string // base name without ".toml": the first half of the names of its rules

	Title string `toml:"title"`
	// Order sorts the files: a lower one is asked first. Those of an admin have 0, and so come before all embedded ones.
	Order int `toml:"order"`
	// Providers are those whose replies these are (see package provider); Marks are phrases that betray them.
	Providers []string `toml:"providers"`
	Marks     []string `toml:"marks"`
	// Phase are phrases of logs and reports that tell in which phase a reply was given.
	Phase []PhaseMark `toml:"phase"`
	// Named are the words behind which replies name a blocklist that is not known.
	Named []string `toml:"named"`
	List  []List   `toml:"list"`
	Rule  []Rule   `toml:"rule"`
}

// PhaseMark is a set of phrases that tell the phase of a reply.
type PhaseMark struct {
	Phase string   `toml:"phase"`
	Any   []string `toml:"any"`
}

// List is a blocklist, or a vendor's reputation service.
type List struct {
	// Name is what verdicts show. It stays what it is when the list is renamed, sold or shut.
	Name string `toml:"name"`
	// DNSBL is the id of the list in the catalogue of package dnsbl, where it has a row there; empty for a vendor's service that
	// nobody outside can ask.
	DNSBL string   `toml:"dnsbl"`
	Any   []string `toml:"any"`
	// Domain: it lists domains, not addresses. Range: a listing means the network, not the single address.
	Domain bool `toml:"domain"`
	Range  bool `toml:"range"`
}

var load = sync.OnceValues(func() (*Rules, error) {
	files, err := readFiles(embedded, "rules")
	if err != nil {
		return nil, err
	}
	return compile(files)
})

// Load returns the embedded rules. It fails only when they are broken, which a test rules out.
func Load() (*Rules, error) { return load() }

// LoadDir returns the rules of a directory (its *.toml files), and behind them the embedded ones. It can be called at any time
// to get what the directory has become; the rules of before stay as they are. All mistakes are returned at once, with
// file and line: unwrap them with errors.As, or print them, one a line.
func LoadDir(dir string) (*Rules, error) {
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return nil, i18n.Errorf("classify.check.dir", "dir", dir)
	}
	own, err := readFiles(os.DirFS(dir), ".")
	if err != nil {
		return nil, err
	}
	files, err := readFiles(embedded, "rules")
	if err != nil {
		return nil, err
	}
	return compile(append(own, files...))
}

func readFiles(fsys fs.FS, dir string) ([]*File, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.toml"))
	if err != nil {
		return nil, err
	}
	var files []*File
	var errs []error
	for _, name := range names {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := parseFile(path.Base(name), b)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files = append(files, f)
	}
	sort.SliceStable(files, func(i, j int) bool { return files[i].Order < files[j].Order })
	return files, errors.Join(errs...)
}

func parseFile(name string, text []byte) (*File, error) {
	f := &File{name: strings.TrimSuffix(name, ".toml")}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		return nil, place(name, err)
	}
	c := checker{name: name, lines: strings.Split(string(text), "\n")}
	c.file(f)
	return f, errors.Join(c.errs...)
}

// place puts file and line before the mistakes of a TOML file.
func place(name string, err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var errs []error
		for i := range missing.Errors {
			line, _ := missing.Errors[i].Position()
			key := strings.Join(missing.Errors[i].Key(), ".")
			errs = append(errs, i18n.Errorf("classify.check.at", "file", name, "line", line, "what", i18n.Errorf("classify.check.unknown_key", "key", key)))
		}
		return errors.Join(errs...)
	}
	var broken *toml.DecodeError
	line := 1
	if errors.As(err, &broken) {
		line, _ = broken.Position()
	}
	return i18n.Errorf("classify.check.at", "file", name, "line", line, "what", i18n.Errorf("classify.check.toml", "cause", err))
}
