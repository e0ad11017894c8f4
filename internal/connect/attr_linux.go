package connect

import (
	"io/fs"
	"strings"
	"syscall"
)

func owner(st fs.FileInfo) (uid, gid int) {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid)
	}
	return 0, 0
}

// extended reads the extended attributes of a file (xattr(7)). What may not be read is not kept.
func extended(full string) map[string][]byte {
	n, err := syscall.Listxattr(full, nil)
	if err != nil || n == 0 {
		return nil
	}
	names := make([]byte, n)
	if n, err = syscall.Listxattr(full, names); err != nil {
		return nil
	}
	all := make(map[string][]byte)
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		size, err := syscall.Getxattr(full, name, nil)
		if err != nil {
			continue
		}
		value := make([]byte, size)
		if size, err = syscall.Getxattr(full, name, value); err == nil {
			all[name] = value[:size]
		}
	}
	return all
}

// extend writes extended attributes. A file system that does not take them did not have them, and a label that only the system
// may give is given by the system.
func extend(full string, all map[string][]byte) {
	for name, value := range all {
		_ = syscall.Setxattr(full, name, value, 0)
	}
}

// room returns how many octets are free for root on the file system of a directory; ok is false where it does not tell.
func room(dir string) (free uint64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return 0, false
	}
	return st.Bfree * uint64(st.Bsize), true
}

// writable tells what keeps files from being put into a directory: access(2) says EROFS even to root.
func writable(dir string) error {
	const write, search = 2, 1
	return syscall.Access(dir, write|search)
}
