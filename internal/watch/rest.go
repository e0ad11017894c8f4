package watch

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ukai/internal/i18n"
)

// rest is a log that was rotated away, with what is left to be read of it.
type rest struct {
	path    string
	changed time.Time
	place   place
}

// begin finds where to begin: where it stopped the last time, or at the end, or at the start.
func (f *follower) begin(ctx context.Context) error {
	var was place
	known, err := f.t.places.load(ctx, f.t.o.Name, f.path, &was)
	if err != nil {
		return err
	}
	file, id, err := openFile(f.path)
	if err != nil && (!known || !errors.Is(err, fs.ErrNotExist)) {
		f.fresh = f.fresh || errors.Is(err, fs.ErrNotExist) // when it appears, all of it is new
		return unreadable(f.path, err)
	}
	if err == nil {
		defer file.Close()
	}
	f.begun = true
	switch {
	case known && err == nil && f.resume(file, id, was):
	case known:
		var found bool
		if f.rest, found = f.find(was); !found {
			f.t.log.Warn("rest of a rotated log is not to be found, it is not read", "file", f.path)
		}
	case !f.fresh:
		return f.first(file, id)
	}
	return nil
}

// resume goes on in the same file; false when it is another one, or was emptied.
func (f *follower) resume(file *os.File, id fileID, was place) bool {
	st, err := file.Stat()
	if err != nil || id != was.ID || st.Size() < was.Offset {
		return false
	}
	if head, ok := fingerprint(file, was.Head); was.Head > 0 && (!ok || head != was.Print) {
		return false
	}
	f.at, f.pos, f.skip = was, was.Offset, !atLine(file, was.Offset)
	return true
}

// first begins with a file that was never read.
func (f *follower) first(file *os.File, id fileID) error {
	st, err := file.Stat()
	if err != nil {
		return unreadable(f.path, err)
	}
	f.at = place{ID: id}
	if f.t.o.FromStart {
		f.late = st.Size()
		return nil
	}
	f.at.Offset, f.pos, f.skip = st.Size(), st.Size(), !atLine(file, st.Size())
	n := min(st.Size(), headSize)
	if head, ok := fingerprint(file, n); ok {
		f.at.Print, f.at.Head = head, n
	}
	return nil
}

// find looks for the file that was read up to a place, by its beginning, among those that were rotated away, and returns what
// is left of it and all that came after it.
func (f *follower) find(was place) (all []rest, found bool) {
	for _, r := range f.old() {
		if !r.fits(was) {
			continue
		}
		all = f.newer(r)
		r.place = was
		return append([]rest{r}, all...), true
	}
	return nil, false
}

// after returns what was rotated away after the file at a place, which was read to its end.
func (f *follower) after(was place) []rest {
	for _, r := range f.old() {
		if r.place.ID == was.ID {
			return f.newer(r)
		}
	}
	return nil
}

// newer returns the files that were rotated away after r and before the one at path, oldest first.
func (f *follower) newer(r rest) []rest {
	var all []rest
	for _, other := range f.old() {
		if other.changed.After(r.changed) && other.path != r.path {
			all = append(all, other)
		}
	}
	return all
}

// old returns the files that were rotated away, oldest first.
func (f *follower) old() []rest {
	dir, base := filepath.Split(f.path)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	var all []rest
	for _, e := range entries {
		name := e.Name()
		mine := strings.HasPrefix(name, stem) && rotated.MatchString(name[len(stem):]) || base == "current" && name[0] == '@'
		if name == base || !mine || !rotated.MatchString(name) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			all = append(all, rest{filepath.Join(dir, name), st.ModTime(), place{ID: idOf(st)}})
		}
	}
	slices.SortStableFunc(all, func(a, b rest) int { return a.changed.Compare(b.changed) })
	return all
}

// fits tells whether it is the file that was read up to a place, or a copy of it. The inode alone proves nothing when the
// beginning is known: it is given to another file as soon as the old one is gone.
func (r rest) fits(was place) bool {
	if was.Head == 0 {
		return r.place.ID == was.ID
	}
	src, err := rest{path: r.path}.open()
	if err != nil {
		return false
	}
	defer src.Close()
	head := make([]byte, was.Head)
	if _, err := io.ReadFull(src, head); err != nil {
		return false
	}
	return digest(head) == was.Print
}

// open opens the file at its place, unpacked.
func (r rest) open() (io.ReadCloser, error) {
	file, _, err := openFile(r.path)
	if err != nil {
		return nil, err
	}
	var src io.ReadCloser = file
	if strings.HasSuffix(r.path, ".gz") {
		z, err := gzip.NewReader(file)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		src = &unpacked{z, file}
	}
	if _, err := io.CopyN(io.Discard, src, r.place.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, src.Close())
	}
	return src, nil
}

// unpacked is a gzip file.
type unpacked struct {
	*gzip.Reader
	file *os.File
}

func (u *unpacked) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

func openFile(path string) (*os.File, fileID, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() { // a FIFO would keep us until somebody writes to it
		err = &fs.PathError{Op: "read", Path: path, Err: errNoFile}
	}
	if err != nil {
		return nil, fileID{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fileID{}, err
	}
	if st, err = file.Stat(); err != nil {
		return nil, fileID{}, errors.Join(err, file.Close())
	}
	return file, idOf(st), nil
}

var errNoFile = errors.New("it is not a plain file")

// fingerprint is what the first n octets of a file are known by.
func fingerprint(file *os.File, n int64) (string, bool) {
	head := make([]byte, n)
	if _, err := file.ReadAt(head, 0); err != nil {
		return "", false
	}
	return digest(head), true
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// atLine tells whether a line begins at an offset.
func atLine(file *os.File, offset int64) bool {
	var before [1]byte
	if offset == 0 {
		return true
	}
	_, err := file.ReadAt(before[:], offset-1)
	return err == nil && before[0] == '\n'
}

// unreadable says what to do about a log that cannot be read.
func unreadable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return i18n.Errorf("watch.log.denied", "file", path, "group", groupOf(path), "cause", err)
	case errors.Is(err, fs.ErrNotExist):
		return i18n.Errorf("watch.log.missing", "file", path)
	}
	return i18n.Errorf("watch.log.unreadable", "file", path, "cause", err)
}
