package classify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ukai/internal/outcome"
)

// Live holds the rules in use and replaces them while mail flows. A judgement under way ends with the rules it began with. It
// implements Judge and is safe for concurrent use.
type Live struct {
	rules atomic.Pointer[Rules]

	mu    sync.Mutex // one Reload at a time; guards stamp
	stamp string     // what the directory looked like when it was read
}

// NewLive returns the rules of a directory before the embedded ones, or, for an empty dir, the embedded ones alone. If the
// directory is broken, the embedded rules are in use and the error says what is wrong: mail must be judged in any case.
// The result is nil only if the embedded rules are broken, which a test rules out.
func NewLive(dir string) (*Live, error) {
	r, err := Load()
	if err != nil {
		return nil, err
	}
	l := new(Live)
	l.rules.Store(r)
	err = l.Reload(dir)
	return l, err
}

// Rules returns the rules in use.
func (l *Live) Rules() *Rules { return l.rules.Load() }

// Classify judges with the rules in use. It implements Judge.
func (l *Live) Classify(o *outcome.Outcome) Verdict { return l.Rules().Classify(o) }

// Reload reads a directory of rules, or, for an empty dir, takes the embedded ones alone. If anything in it is wrong, the rules
// in use stay, and the error has all mistakes, one a line, with file and line.
//
// Rules that are dead or contradict each other are no reason to keep the old ones: ask Rules().Check and Conflicts for them.
func (l *Live) Reload(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reloadLocked(dir, stampOf(dir))
}

// Changed reloads if a file of the directory was added, taken away or written since the last reload, whether that went well or
// not; changed tells whether it did. It is made to be asked every few seconds: where nothing has changed, it costs the reading
// of one directory.
func (l *Live) Changed(dir string) (changed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := stampOf(dir)
	if stamp == l.stamp {
		return false, nil
	}
	return true, l.reloadLocked(dir, stamp)
}

func (l *Live) reloadLocked(dir, stamp string) error {
	l.stamp = stamp // taken before reading: what is written meanwhile is seen the next time
	r, err := Load()
	if dir != "" {
		r, err = LoadDir(dir)
	}
	if err != nil {
		return err
	}
	l.rules.Store(r)
	return nil
}

// stampOf returns what tells that the rules of a directory have changed: names, sizes and times of its files.
func stampOf(dir string) string {
	if dir == "" {
		return ""
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil {
		return err.Error()
	}
	slices.Sort(names)
	var b strings.Builder
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		b.WriteString("absent")
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, st.Size(), st.ModTime().UnixNano())
		}
	}
	return b.String()
}
