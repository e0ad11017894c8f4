package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"ukai/internal/i18n"
)

// lockTime is how long another ukai connect is waited for.
const lockTime = 3 * time.Second

// unkept says why nothing can be recorded. Only where it is for want of rights would others help.
func unkept(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return i18n.Errorf("connect.state.dir", "dir", stateDir, "cause", err)
	}
	return i18n.Errorf("connect.state.write", "dir", stateDir, "cause", err)
}

// lock keeps other processes out, and ends what a killed one has begun. create makes the directory where it is not there;
// without it, there is nothing to lock where nothing is kept. The lock is on the directory itself, so that no file of it stays.
func (e *Engine) lock(ctx context.Context, create bool) (unlock func(), err error) {
	e.made = nil
	if create {
		if e.made, err = e.disk.mkdir(stateDir, 0o700); err == nil && len(e.made) > 0 {
			err = e.disk.replace(madeFile, []byte(strings.Join(e.made, "\n")), (&store{}).own())
		}
		if err != nil {
			e.disk.rmdir(e.made)
			return nil, unkept(err)
		}
	}
	full, err := e.sys.Real(stateDir)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(full)
	if errors.Is(err, fs.ErrNotExist) && !create {
		return func() {}, nil
	}
	if err != nil {
		return nil, unkept(err)
	}
	if err := flock(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	if is, err := os.Stat(full); err != nil || !same(f, is) { // removed by whoever had it
		f.Close()
		return nil, i18n.Errorf("connect.busy")
	}
	if text, err := e.sys.ReadFile(madeFile); err == nil { // of this process, or of one that was killed
		e.made = strings.Split(string(text), "\n")
	}
	if err := e.recoverAll(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		defer f.Close()
		if e.made == nil {
			e.made = []string{stateDir} // a killed process may have left it
		}
		e.disk.clear(madeFile, endNew)
		_ = e.disk.remove(madeFile) // it is read again where it stays
		e.disk.rmdir(e.made)        // where nothing came to be kept
	}, nil
}

// madeFile names the directories that were made for what is kept, until the journal does.
const madeFile = stateDir + "/.made"

func same(f *os.File, is fs.FileInfo) bool {
	st, err := f.Stat()
	return err == nil && os.SameFile(st, is)
}

func flock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return i18n.Errorf("connect.busy")
		case <-tick.C:
		}
	}
}
