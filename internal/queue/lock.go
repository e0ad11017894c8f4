package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"ukai/internal/i18n"
)

// lock makes sure that one process alone uses a data directory. The kernel drops the lock with the process, so that nothing
// stale is left behind by a kill.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, i18n.Errorf("queue.unwritable", "dir", dir, "cause", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, i18n.Errorf("queue.locked", "dir", dir, "cause", ErrLocked)
	}
	return nil, fmt.Errorf("lock %s: %w", dir, err)
}
