package connect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// disk writes files so that each is either the old one or the new one, whenever the power fails. Paths are inside the root.
type disk struct {
	sys *mtaconf.System
	// step is asked before whatever changes the disk, in tests: an error is what the disk says.
	step func(what, path string) error
	lazy bool // tests, which do not cut the power: nothing is synced
}

// The acts that change a disk.
const (
	actWrite  = "write"
	actRename = "rename"
	actRemove = "remove"
	actMkdir  = "mkdir"
)

func (d *disk) act(what, path string) error {
	if d.step == nil {
		return nil
	}
	return d.step(what, path)
}

// attr is what belongs to a file besides its content.
type attr struct {
	Mode  fs.FileMode `json:"mode"`
	UID   int         `json:"uid"`
	GID   int         `json:"gid"`
	MTime time.Time   `json:"mtime,omitzero"` // zero: the time of writing
	// X are the extended attributes: the label of SELinux, access control lists (acl(5) keeps them there).
	X map[string][]byte `json:"xattr,omitempty"`
}

// seen is a file as it is on the disk.
type seen struct {
	text []byte
	attr attr
}

// sum names a content.
func sum(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// look reads a file with all that belongs to it; nil for one that is not there.
func (d *disk) look(name string) (*seen, error) {
	full, err := d.sys.Real(name)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a file that is not there is a state like others
	}
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, i18n.Errorf("connect.file.not_regular", "file", name)
	}
	text, err := os.ReadFile(full)
	if err != nil {
		return nil, err
	}
	if text == nil {
		text = []byte{}
	}
	a := attr{Mode: st.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky), MTime: st.ModTime(), X: extended(full)}
	a.UID, a.GID = owner(st)
	return &seen{text: text, attr: a}, nil
}

// beside returns the name of a helper file next to the one that name leads to. Names with a dot in front and an unusual end are
// read by no server that takes all files of a directory in (conf.d of Exim's packages, run-parts).
func (d *disk) beside(name, end string) (helper, full string, err error) {
	full, err = d.sys.Real(name)
	if err != nil {
		return "", "", err
	}
	return filepath.Join(filepath.Dir(full), "."+filepath.Base(full)+end), full, nil
}

const (
	endNew = ".ukai-new" // written, not yet in its place
	endOld = ".ukai-old" // second name of what was in that place
)

// stage writes a file out beside its place.
func (d *disk) stage(name string, text []byte, a *attr) error {
	helper, _, err := d.beside(name, endNew)
	if err != nil {
		return err
	}
	if err := d.act(actWrite, name+endNew); err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	f, err := os.OpenFile(helper, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, dress(f, a), d.sync(f), f.Close())
	if err == nil && !a.MTime.IsZero() {
		err = os.Chtimes(helper, time.Time{}, a.MTime)
	}
	return err
}

// dress gives a file its owner, rights and attributes. The owner comes first: a change of it takes setuid away.
func dress(f *os.File, a *attr) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if uid, gid := owner(st); uid != a.UID || gid != a.GID {
		if err := f.Chown(a.UID, a.GID); err != nil {
			return err
		}
	}
	if err := f.Chmod(a.Mode); err != nil {
		return err
	}
	extend(f.Name(), a.X)
	return nil
}

// place puts what was staged into its place.
func (d *disk) place(name string) error {
	fresh, full, err := d.beside(name, endNew)
	if err != nil {
		return err
	}
	if err := d.act(actRename, name); err != nil {
		return &fs.PathError{Op: "rename", Path: name, Err: err}
	}
	if err := os.Rename(fresh, full); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(full))
}

// hold gives what is in a place a second name, so that going back needs no room. A file system without hard links does without:
// there is the copy, too.
func (d *disk) hold(name string) error {
	old, full, err := d.beside(name, endOld)
	if err != nil {
		return err
	}
	if err := d.act(actWrite, name+endOld); err != nil {
		return &fs.PathError{Op: "link", Path: name, Err: err}
	}
	_ = os.Remove(old)
	err = os.Link(full, old)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) {
		return err
	}
	return nil
}

// remove takes a file away; one that is not there is fine.
func (d *disk) remove(name string) error {
	full, err := d.sys.Real(name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(full); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.act(actRemove, name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	if err := os.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.syncDir(filepath.Dir(full))
}

// replace writes a file whole.
func (d *disk) replace(name string, text []byte, a *attr) error {
	if err := d.stage(name, text, a); err != nil {
		d.clear(name, endNew)
		return err
	}
	fresh, full, err := d.beside(name, endNew)
	if err != nil {
		return err
	}
	if err := d.act(actRename, name); err != nil {
		d.clear(name, endNew)
		return &fs.PathError{Op: "rename", Path: name, Err: err}
	}
	if err := os.Rename(fresh, full); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(full))
}

// same makes a file what it was. One whose content is right only gets its time: that needs no room.
func (d *disk) same(name string, text []byte, a *attr) error {
	cur, err := d.look(name)
	if err != nil {
		return err
	}
	if cur == nil || !bytes.Equal(cur.text, text) {
		return d.replace(name, text, a)
	}
	if cur.attr.MTime.Equal(a.MTime) {
		return nil
	}
	full, err := d.sys.Real(name)
	if err != nil {
		return err
	}
	if err := d.act(actRename, name); err != nil {
		return &fs.PathError{Op: "utimes", Path: name, Err: err}
	}
	return os.Chtimes(full, time.Time{}, a.MTime)
}

// back gives what had a second name its place again; ok is false where there is no second name.
func (d *disk) back(name, want string) (ok bool, err error) {
	old, full, err := d.beside(name, endOld)
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(old)
	if err != nil || sum(text) != want {
		return false, nil //nolint:nilerr // there is no second name: the copy is used
	}
	if err := d.act(actRename, name+endOld); err != nil {
		return false, &fs.PathError{Op: "rename", Path: name, Err: err}
	}
	if err := os.Rename(old, full); err != nil {
		return false, err
	}
	return true, d.syncDir(filepath.Dir(full))
}

// clear takes helper files away.
func (d *disk) clear(name string, ends ...string) {
	for _, end := range ends {
		if helper, _, err := d.beside(name, end); err == nil {
			_ = os.Remove(helper) // most often there is none
		}
	}
}

// mkdir makes a directory with those above it, and returns the ones that were not there, the outermost first.
func (d *disk) mkdir(name string, mode fs.FileMode) (made []string, err error) {
	name = path.Clean(name)
	for _, dir := range d.missing(name) {
		full, err := d.sys.Real(dir)
		if err != nil {
			return made, err
		}
		m := fs.FileMode(0o755)
		if dir == name {
			m = mode
		}
		if err := d.act(actMkdir, dir); err != nil {
			return made, &fs.PathError{Op: "mkdir", Path: dir, Err: err}
		}
		if err := os.Mkdir(full, m); err != nil {
			return made, err
		}
		made = append(made, dir)
		if err := errors.Join(os.Chmod(full, m), d.syncDir(filepath.Dir(full))); err != nil { // whatever the umask is
			return made, err
		}
	}
	return made, nil
}

// missing returns which directories of a path are not there, the outermost first.
func (d *disk) missing(name string) []string {
	var all []string
	for dir := path.Clean(name); dir != "/" && !d.sys.Exists(dir); dir = path.Dir(dir) {
		all = append(all, dir)
	}
	slices.Reverse(all)
	return all
}

// rmdir removes directories that are empty, the innermost first.
func (d *disk) rmdir(made []string) {
	for _, dir := range slices.Backward(made) {
		if full, err := d.sys.Real(dir); err == nil {
			_ = os.Remove(full) // one that holds something stays
		}
	}
}

func (d *disk) sync(f *os.File) error {
	if d.lazy {
		return nil
	}
	return f.Sync()
}

func (d *disk) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.sync(f); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

func (s *seen) is(b *blob) bool {
	if s == nil || b == nil {
		return s == nil && b == nil
	}
	return sum(s.text) == b.Sum
}

// content returns nil for a file that is not there, and what is in it else.
func (s *seen) content() []byte {
	if s == nil {
		return nil
	}
	return bytes.Clone(s.text)
}
