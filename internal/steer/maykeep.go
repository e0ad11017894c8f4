package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ukai/internal/mtaconf"
)

// ErrRoot is why a file is not kept whose command needs more rights than this process has.
var ErrRoot = errors.New("only root may run the command")

// MayKeep returns what stands in the way of this process keeping a file of routes below root: that it may not write beside the
// file (access(2), which knows file systems that are read-only to a service), or not run the command behind it (ErrRoot): what
// a server is reloaded by, and chroot(2), are for root. It tries nothing, so nil is no promise.
func MayKeep(root string, f *mtaconf.RouteFile) error {
	sys := mtaconf.System{Root: root}
	place, err := sys.Real(f.Path)
	if err != nil {
		return err
	}
	const write, search = 2, 1 // W_OK, X_OK
	dir := filepath.Dir(place)
	err = syscall.Access(dir, write|search)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) { // it will be made, by root
		dir = filepath.Dir(dir)
		err = syscall.Access(dir, write|search)
	}
	if err != nil {
		return &fs.PathError{Op: "write in", Path: dir, Err: err}
	}
	if f.Then != nil && len(f.Then.Args) > 0 && os.Geteuid() != 0 {
		return fmt.Errorf("%s: %w", strings.Join(f.Then.Args, " "), ErrRoot)
	}
	return nil
}
