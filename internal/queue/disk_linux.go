package queue

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// maxIovecs is IOV_MAX of Linux: how many buffers one pwritev takes.
const maxIovecs = 1024

func (f osFile) Writev(bufs [][]byte, off int64) (int64, error) {
	var done int64
	for len(bufs) > 0 {
		n, err := unix.Pwritev(int(f.Fd()), bufs[:min(len(bufs), maxIovecs)], off+done)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.ErrShortWrite
		}
		done += int64(n)
		bufs = skip(bufs, n)
	}
	return done, nil
}

// Sync is fdatasync: the data and the length, without the times of the inode.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (d osDisk) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.root, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}
