package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"ukai/internal/i18n"
)

// Load reads a file of settings; an empty path means that there is none, and the defaults are returned. It reports every
// mistake; with even one the Config is nil. File names in the settings are relative to the directory of the file.
func Load(path string) (*Config, []Problem) {
	if path == "" {
		return Default(), nil
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		key := "config.file.unreadable"
		if errors.Is(err, fs.ErrNotExist) {
			key = "config.file.missing"
		}
		return nil, []Problem{{File: path, what: i18n.Errorf(key, "file", path, "cause", cause(err))}}
	}
	return Parse(path, doc, os.Getenv)
}

// Parse does what Load does with a document that was read from path. getenv gives the passwords that are "env:NAME".
func Parse(path string, doc []byte, getenv func(string) string) (*Config, []Problem) {
	p := newProblems(path, doc)
	root, errs := parse(doc)
	for _, e := range errs {
		p.addAt(e.at, "", e.what())
	}
	if root == nil {
		return nil, p.sorted()
	}
	c := base()
	(&binder{p}).table(root, reflect.ValueOf(c).Elem(), "")
	c.resolve(filepath.Dir(path))
	c.settle()
	(&checker{problems: p, c: c, getenv: getenv}).all()
	if all := p.sorted(); len(all) > 0 {
		return nil, all
	}
	return c, nil
}

// resolve makes the names of files relative to dir.
func (c *Config) resolve(dir string) {
	names := []*string{&c.Data, &c.Classify.Dir, &c.Provider.File}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		names = append(names, &l.Cert, &l.Key, &l.ClientCA)
	}
	for i := range c.Egresses {
		names = append(names, &c.Egresses[i].PasswordFile)
	}
	for i := range c.DKIM {
		names = append(names, &c.DKIM[i].Key)
	}
	names = append(names, c.Watch.files()...)
	names = append(names, c.Notify.files()...)
	names = append(names, c.Lists.files()...)
	for _, name := range names {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
}

// cause takes the name of the file and of the system call from an error: the text around it has them.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
