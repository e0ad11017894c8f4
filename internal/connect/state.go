package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// version is that of the files below stateDir. A newer one was written by a newer ukai, and is left alone.
const version = 1

// blob is a file that is kept: its content lies in copies/ under its sum.
type blob struct {
	Sum  string `json:"sha256"`
	Attr attr   `json:"attr"`
}

// record is a file that ukai has changed.
type record struct {
	Path   string `json:"path"`
	Before *blob  `json:"before,omitempty"` // nil: it was not there
	After  *blob  `json:"after"`
	Secret bool   `json:"secret,omitempty"`
	Moving bool   `json:"moving,omitempty"`
	Whole  bool   `json:"whole,omitempty"`
}

// manifest says how a server is connected.
type manifest struct {
	Version  int              `json:"version"`
	Instance mtaconf.Instance `json:"instance"`
	Mode     mtaconf.Mode     `json:"mode"`
	Server   string           `json:"server"`
	Peer     string           `json:"peer"`
	Live     string           `json:"live,omitempty"`
	Username string           `json:"username,omitempty"`
	Password string           `json:"password,omitempty"`
	Secret   string           `json:"secret,omitempty"`
	TLS      bool             `json:"tls,omitempty"`
	// Registered: the running ukai knows the server.
	Registered bool      `json:"registered,omitempty"`
	At         time.Time `json:"at"`
	Files      []record  `json:"files"`
	Plan       upkeep    `json:"plan"`
	// MadeBefore are files that Prepare makes and that were there before: they come back if nothing else has changed.
	MadeBefore map[string]blob `json:"made_before,omitempty"`
	Dirs       []string        `json:"dirs,omitempty"` // directories that were made, the outermost first
}

// upkeep is what of a plan is needed later.
type upkeep struct {
	Prepare []mtaconf.Command   `json:"prepare,omitempty"`
	Check   []mtaconf.Command   `json:"check,omitempty"`
	Reload  []mtaconf.Command   `json:"reload,omitempty"`
	Made    []string            `json:"made,omitempty"`
	Alive   string              `json:"alive,omitempty"`
	Logs    []string            `json:"logs,omitempty"`
	Alarms  []string            `json:"alarms,omitempty"`
	Routes  []mtaconf.RouteFile `json:"routes,omitempty"`
	Door    string              `json:"door,omitempty"`
}

func upkeepOf(p *mtaconf.Plan) upkeep {
	return upkeep{p.Prepare, p.Check, p.Reload, p.Made, p.Alive, p.Logs, p.Alarms, p.Routes, p.Door}
}

// phase is how far a change of files has got: see the package comment.
type phase string

const (
	staged   phase = "staged"
	writing  phase = "writing"
	watching phase = "watching"
	done     phase = "done"
)

// change is a file on its way.
type change struct {
	Path string `json:"path"`
	Was  *blob  `json:"was,omitempty"` // nil: it is not there
	To   *blob  `json:"to,omitempty"`  // nil: it goes away
}

// journal says what is under way.
type journal struct {
	Version int       `json:"version"`
	Phase   phase     `json:"phase"`
	Changes []change  `json:"changes"`
	Next    *manifest `json:"next,omitempty"` // nil: ukai is taken out
	// Made are files that Prepare makes, as they were.
	Made map[string]*blob `json:"made,omitempty"`
	// Then is how the server takes up the files as they were.
	Then upkeep   `json:"then"`
	Dirs []string `json:"dirs,omitempty"`
	// Running: the server greeted before.
	Running bool `json:"running,omitempty"`
}

// store is the directory of one connected server.
type store struct {
	d   *disk
	dir string // inside the root
}

const (
	manifestFile = "manifest.json"
	journalFile  = "journal.json"
	copiesDir    = "copies"
)

func (s *store) file(name string) string { return path.Join(s.dir, name) }

// read reads a file of JSON; found is false where there is none.
func (s *store) read(name string, v any) (found bool, err error) {
	text, err := s.d.sys.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var head struct{ Version int }
	if err := json.Unmarshal(text, &head); err != nil {
		return false, i18n.Errorf("connect.state.broken", "file", s.file(name), "cause", err)
	}
	if head.Version > version {
		return false, i18n.Errorf("connect.state.newer", "file", s.file(name), "version", head.Version)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, i18n.Errorf("connect.state.broken", "file", s.file(name), "cause", err)
	}
	return true, nil
}

// manifest returns how the server is connected, nil where it is not.
func (s *store) manifest() (*manifest, error) {
	m := &manifest{}
	found, err := s.read(manifestFile, m)
	if !found {
		return nil, err
	}
	return m, nil
}

// journal returns what is under way, nil where nothing is.
func (s *store) journal() (*journal, error) {
	j := &journal{}
	found, err := s.read(journalFile, j)
	if !found {
		return nil, err
	}
	return j, nil
}

func (s *store) write(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return s.d.replace(s.file(name), append(text, '\n'), s.own())
}

// own are the rights of what is kept: there are passwords in it.
func (s *store) own() *attr { return &attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()} }

// keep copies a content and returns its name.
func (s *store) keep(text []byte, a attr) (*blob, error) {
	b := &blob{Sum: sum(text), Attr: a}
	name := s.file(path.Join(copiesDir, b.Sum))
	if have, err := s.d.sys.ReadFile(name); err == nil && sum(have) == b.Sum {
		return b, nil
	}
	return b, s.d.replace(name, text, s.own())
}

// content returns what is in a copy; nil for a nil blob.
func (s *store) content(b *blob) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	name := s.file(path.Join(copiesDir, b.Sum))
	text, err := s.d.sys.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if sum(text) != b.Sum {
		return nil, i18n.Errorf("connect.state.copy", "file", name)
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}

// sweep removes the copies that the manifest does not name, and helper files that a crash has left.
func (s *store) sweep(m *manifest) error {
	wanted := make(map[string]bool)
	want := func(b *blob) {
		if b != nil {
			wanted[b.Sum] = true
		}
	}
	if m != nil {
		for i := range m.Files {
			want(m.Files[i].Before)
			want(m.Files[i].After)
		}
		for _, b := range m.MadeBefore {
			want(&b)
		}
	}
	dir := s.file(copiesDir)
	names, err := s.d.sys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !wanted[n] {
			if err := s.d.remove(path.Join(dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// raze removes all that is kept. The journal goes last: until then, whoever comes next goes on with it.
func (s *store) raze() error {
	if err := s.sweep(nil); err != nil {
		return err
	}
	s.d.rmdir([]string{s.file(copiesDir)})
	for _, name := range []string{manifestFile, journalFile} {
		s.d.clear(s.file(name), endNew)
		if err := s.d.remove(s.file(name)); err != nil {
			return err
		}
	}
	s.d.rmdir([]string{s.dir})
	return nil
}
