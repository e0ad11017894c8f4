//go:build !linux

package queue

import "math"

func (f osFile) Writev(bufs [][]byte, off int64) (int64, error) {
	var done int64
	for _, b := range bufs {
		n, err := f.WriteAt(b, off+done)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (f osFile) Sync() error { return f.File.Sync() }

// Free is not asked of systems other than Linux: there the first failed write tells.
func (d osDisk) Free() (int64, error) { return math.MaxInt64, nil }
