package app

import (
	"errors"
	"os"
	"path/filepath"

	"ukai/internal/i18n"
	"ukai/internal/queue"
)

// DatabaseName is the name of the control database in the data directory.
const DatabaseName = "ukai.db"

// prepareDir makes the data directory and finds out whether it can be written to: better now than at the first message.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return i18n.Errorf("app.data.make", "dir", dir, "cause", err)
	}
	f, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return i18n.Errorf("app.data.write", "dir", dir, "cause", err)
	}
	name := f.Name()
	return errors.Join(f.Close(), os.Remove(name))
}

// queueError says what to do when the queue does not open.
func queueError(dir string, err error) error {
	if errors.Is(err, queue.ErrLocked) {
		return i18n.Errorf("app.data.locked", "dir", dir, "cause", err)
	}
	return i18n.Errorf("app.data.queue", "dir", filepath.Join(dir, "queue"), "cause", err)
}
