package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// The directories beneath the data directory.
const (
	logDir   = "log"   // segments
	bigDir   = "big"   // large contents, a file each
	asideDir = "aside" // what could not be read back
)

// disk is the file layer beneath the log. There are two: the real one, and one in tests that fails on demand and loses power.
// Names are relative to the data directory. What a Sync or SyncDir did not cover may be gone after a power cut, in any order.
type disk interface {
	// MkdirAll makes a directory and those above it, durably.
	MkdirAll(dir string) error
	List(dir string) ([]fileInfo, error)
	// Create makes a new file; it fails when the name is taken.
	Create(name string) (file, error)
	Open(name string, write bool) (file, error)
	Remove(name string) error
	Rename(from, to string) error
	// SyncDir makes creations, renames and removals in a directory durable.
	SyncDir(dir string) error
	// Free returns how many octets may still be written.
	Free() (int64, error)
}

// file is an open file of a disk.
type file interface {
	io.ReaderAt
	io.WriterAt
	// Writev writes bufs one after the other, beginning at off.
	Writev(bufs [][]byte, off int64) (int64, error)
	// Sync makes what was written durable, the length included. After an error nobody knows what is on the disk: the kernel
	// may have dropped the pages and will report success next time. It is never called again then.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	Close() error
}

type fileInfo struct {
	name string
	size int64
}

// isFull tells whether an error means that there is no room, as opposed to a disk that fails.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// osDisk is the disk of the operating system.
type osDisk struct{ root string }

func (d osDisk) path(name string) string { return filepath.Join(d.root, name) }

func (d osDisk) MkdirAll(dir string) error {
	if err := os.MkdirAll(d.path(dir), 0o700); err != nil {
		return err
	}
	// Where the data directory itself was made by this call, its name must last too. Its parent may be closed to us; then
	// somebody else made the directory, and long ago.
	if err := syncDir(filepath.Dir(filepath.Clean(d.root))); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return syncDir(d.root)
}

func (d osDisk) List(dir string) ([]fileInfo, error) {
	entries, err := os.ReadDir(d.path(dir))
	if err != nil {
		return nil, err
	}
	var infos []fileInfo
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			infos = append(infos, fileInfo{e.Name(), info.Size()})
		}
	}
	return infos, nil
}

func (d osDisk) Create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osDisk) Open(name string, write bool) (file, error) {
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(d.path(name), mode, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osDisk) Remove(name string) error     { return os.Remove(d.path(name)) }
func (d osDisk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d osDisk) SyncDir(dir string) error     { return syncDir(d.path(dir)) }

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", path, err)
	}
	return nil
}

// osFile is a file of the operating system. Writev and Sync are in disk_linux.go and disk_other.go.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// skip returns bufs without their first n octets.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// space watches the room on the disk, so that mail is refused before the last octet is gone: settlements and compaction,
// which make room, need some. It asks the disk at most ten times a second.
type space struct {
	disk disk
	min  int64 // what must stay free
	now  func() time.Time

	mu      sync.Mutex // guards the fields below
	asked   time.Time
	free    int64 // at asked, less what was promised since
	blocked time.Time
}

// take tells whether n octets of mail may be written.
func (s *space) take(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.asked); age < 0 || age > 100*time.Millisecond || s.free-n < s.min {
		free, err := s.disk.Free()
		if err != nil {
			return true // the write itself will tell
		}
		s.asked, s.free = now, free
	}
	if s.free-n < s.min || now.Before(s.blocked) {
		return false
	}
	s.free -= n
	return true
}

// exhausted notes that the disk said "no space", whatever it claims to have: a quota, reserved blocks, inodes.
func (s *space) exhausted() {
	s.mu.Lock()
	s.blocked = s.now().Add(200 * time.Millisecond)
	s.mu.Unlock()
}
