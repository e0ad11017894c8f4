package steer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// WriteRoutes brings a file of routes below root up to date: the whole file is replaced at once, and only when something
// changed. It keeps owner and mode. It does not run f.Then: see RunThen. An error leaves the file as it was.
func WriteRoutes(root string, f *mtaconf.RouteFile, d *Detours) (changed bool, routes int, err error) {
	sys := mtaconf.System{Root: root}
	old, err := sys.ReadFile(f.Path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, 0, i18n.Errorf("steer.file_read", "file", f.Path, "cause", err)
	}
	text, routes, same, err := fileText(f, d, old)
	if err != nil || same && !missing {
		return false, routes, err
	}
	place, err := sys.Real(f.Path)
	if err == nil {
		err = replace(place, text)
	}
	if err != nil {
		return false, routes, i18n.Errorf("steer.file_write", "file", f.Path, "cause", err)
	}
	return true, routes, nil
}

// replace writes a file beside the one it takes the place of, and renames it when it is whole and on the disk: whoever reads sees
// the old one or the new one (rename(2)).
func replace(name string, text []byte) error {
	perm, uid, gid := fs.FileMode(0o644), -1, -1
	if info, err := os.Stat(name); err == nil {
		perm = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(st.Uid), int(st.Gid)
		}
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".ukai-*")
	if err != nil {
		return err
	}
	if err := fill(f, text, perm, [2]int{uid, gid}); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}

// fill writes, syncs and closes a file. Where ukai may not give files away, the owner is ukai and the group stays if it can.
func fill(f *os.File, text []byte, perm fs.FileMode, owner [2]int) error {
	_, err := f.Write(text)
	if err == nil && owner[0] >= 0 {
		if f.Chown(owner[0], owner[1]) != nil {
			_ = f.Chown(-1, owner[1])
		}
	}
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// thenFor is how long the command behind a file may take. makemap and "postfix reload" take a second at most.
const thenFor = 30 * time.Second

// RunThen runs the command that makes a server see its file, inside root.
func RunThen(ctx context.Context, root string, f *mtaconf.RouteFile) error {
	if f.Then == nil || len(f.Then.Args) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, thenFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.Then.Args[0], f.Then.Args[1:]...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	if root != "" && filepath.Clean(root) != "/" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		cmd.Path, cmd.Err = f.Then.Args[0], nil // it is looked for inside
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %s", thenFor)
	}
	said := strings.TrimSpace(strings.ToValidUTF8(string(out.Bytes()[:min(out.Len(), 500)]), "?"))
	return i18n.Errorf("steer.then", "file", f.Path, "command", strings.Join(f.Then.Args, " "), "said", said, "cause", err)
}
