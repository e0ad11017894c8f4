//go:build unix

package watch

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// fileID names a file whatever its path is. A number may be given to another file when the first one is gone.
type fileID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

func idOf(st fs.FileInfo) fileID {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return fileID{uint64(s.Dev), s.Ino} //nolint:unconvert // Dev has another type elsewhere
	}
	return fileID{}
}

// groupOf returns the group that may read a file, by name where it has one: of the file, or, where that is hidden, of the
// directory that hides it.
func groupOf(path string) string {
	for {
		st, err := os.Stat(path)
		if s, ok := stat(st, err); ok {
			gid := strconv.FormatUint(uint64(s.Gid), 10)
			if g, err := user.LookupGroupId(gid); err == nil {
				return g.Name
			}
			return gid
		}
		up := filepath.Dir(path)
		if up == path {
			return "adm"
		}
		path = up
	}
}

func stat(st fs.FileInfo, err error) (*syscall.Stat_t, bool) {
	if err != nil {
		return nil, false
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	return s, ok
}
