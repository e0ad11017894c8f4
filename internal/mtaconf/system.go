package mtaconf

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// System is the machine that a mail server lives on: the files below Root, of which some may be replaced in memory. Paths are
// those inside the root: "/etc/postfix/main.cf". The zero value is the machine ukai runs on.
type System struct {
	Root string // a directory that is laid out as "/" is; empty: "/"
	// Instead are files as they are to be seen, by path inside the root; nil stands for a file that is not there.
	Instead map[string][]byte
}

// maxLinks is how many symbolic links one name may lead over, as in Linux.
const maxLinks = 40

// errLinks is for a name that leads in a circle.
var errLinks = errors.New("too many symbolic links")

// Real returns where a path inside the root is on this machine. Links are followed inside the root: an absolute one begins
// there. The last element need not exist.
func (s *System) Real(name string) (string, error) {
	done, rest := "/", path.Clean("/"+name)
	for links := 0; rest != "/" && rest != ""; {
		head, tail, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		next := path.Join(done, head)
		to, err := os.Readlink(s.outside(next))
		if err != nil { // not a link, or not there
			done, rest = next, "/"+tail
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: name, Err: errLinks}
		}
		if !path.IsAbs(to) {
			to = path.Join(done, to)
		}
		done, rest = "/", path.Clean(to+"/"+tail)
	}
	return s.outside(done), nil
}

func (s *System) outside(name string) string {
	if s.Root == "" {
		return filepath.FromSlash(name)
	}
	return filepath.Join(s.Root, filepath.FromSlash(name))
}

// ReadFile returns the content of a file. One that is not there is fs.ErrNotExist.
func (s *System) ReadFile(name string) ([]byte, error) {
	if text, ok := s.Instead[path.Clean(name)]; ok {
		if text == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return slices.Clone(text), nil
	}
	full, err := s.Real(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(full)
}

// Stat describes a file on disk, whatever stands in its place in memory.
func (s *System) Stat(name string) (fs.FileInfo, error) {
	full, err := s.Real(name)
	if err != nil {
		return nil, err
	}
	return os.Stat(full)
}

// Exists tells whether there is a file or directory of that name.
func (s *System) Exists(name string) bool {
	if text, ok := s.Instead[path.Clean(name)]; ok {
		return text != nil
	}
	_, err := s.Stat(name)
	return err == nil
}

// ReadDir returns the names in a directory, sorted; none for one that is not there.
func (s *System) ReadDir(name string) ([]string, error) {
	full, err := s.Real(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(full)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		seen[e.Name()] = true
	}
	for p, text := range s.Instead {
		if path.Dir(p) == path.Clean(name) {
			seen[path.Base(p)] = text != nil
		}
	}
	var names []string
	for n, there := range seen {
		if there {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names, nil
}
