package queue

import (
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"ukai/internal/mail"
)

// A large content is a file "big/ID". While it is being received its name ends in ".part": such a file belongs to nobody
// after a restart. It loses the ending when it is synced, before the record that names it is written.
const partSuffix = ".part"

func bigName(id mail.ID) string { return bigDir + "/" + id.String() }

// bigFile is a large content being received.
type bigFile struct {
	disk disk
	name string
	f    file
	size int64
	crc  uint32
	done bool // synced, with its name
}

func createBig(d disk, id mail.ID) (*bigFile, error) {
	name := bigName(id)
	f, err := d.Create(name + partSuffix)
	if err != nil {
		return nil, fmt.Errorf("create file for a large message: %w", err)
	}
	return &bigFile{disk: d, name: name, f: f}, nil
}

func (b *bigFile) write(bufs [][]byte) error {
	for _, p := range bufs {
		b.crc = checksum(b.crc, p)
	}
	n, err := b.f.Writev(bufs, b.size)
	b.size += n
	if err != nil {
		return fmt.Errorf("write large message: %w", err)
	}
	return nil
}

// finish makes the file durable under its name.
func (b *bigFile) finish() error {
	if err := b.f.Sync(); err != nil {
		return broken{fmt.Errorf("sync large message: %w", err)}
	}
	if err := b.disk.Rename(b.name+partSuffix, b.name); err != nil {
		return fmt.Errorf("rename large message: %w", err)
	}
	b.done = true
	if err := b.disk.SyncDir(bigDir); err != nil {
		return broken{err}
	}
	return b.f.Close()
}

// abort ends the work on the file and removes it, if asked to. If that fails, the next start does it.
func (b *bigFile) abort(remove bool) {
	name := b.name
	if !b.done {
		name += partSuffix
		_ = b.f.Close()
	}
	if remove {
		_ = b.disk.Remove(name)
	}
}

// bigReader reads the content of a large message: the head from the record, the rest from the file. What it read is compared
// with the checksum at the end: a content that is not whole ends with ErrSetAside and not with EOF.
type bigReader struct {
	head  *bodyReader
	f     file
	off   int64
	want  content
	crc   hash.Hash32
	spoil func() error // sets the message aside
	err   error
}

func newBigReader(head *bodyReader, f file, c content, spoil func() error) *bigReader {
	return &bigReader{head: head, f: f, want: c, crc: crc32.New(castagnoli), spoil: spoil}
}

// Read implements io.Reader.
func (r *bigReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if n, err := r.head.Read(p); err == nil {
		return n, nil
	}
	left := r.want.size - r.off
	if left == 0 {
		r.err = io.EOF
		if r.crc.Sum32() != r.want.crc {
			r.err = r.spoil()
		}
		return 0, r.err
	}
	n, err := r.f.ReadAt(p[:min(int64(len(p)), left)], r.off)
	r.crc.Write(p[:n])
	r.off += int64(n)
	if err == nil || n > 0 && err == io.EOF { //nolint:errorlint // io.ReaderAt returns EOF itself
		return n, nil
	}
	if err == io.EOF { //nolint:errorlint // the same
		err = r.spoil() // shorter than it was
	}
	r.err = err
	return n, err
}

// Close implements io.Closer.
func (r *bigReader) Close() error {
	_ = r.head.Close()
	if r.err == nil {
		r.err = errReader
	}
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return err
}

// sweepBig removes the files under big/ that no message has. After damage that hides whose record was lost, a file may be all
// that is left of a message: then those that were complete are moved aside instead.
func (e *Embedded) sweepBig(damaged bool) error {
	infos, err := e.disk.List(bigDir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		id, err := mail.ParseID(strings.TrimSuffix(info.name, partSuffix))
		if err != nil {
			continue // not ours
		}
		if _, ok := e.book.big[id]; ok && !strings.HasSuffix(info.name, partSuffix) {
			continue
		}
		name := bigDir + "/" + info.name
		if damaged && !strings.HasSuffix(info.name, partSuffix) {
			if err := e.aside.move(name, info.name+".big"); err != nil {
				return err
			}
			e.log.Warn("a large content that no message names was set aside", "msg_id", id, "file", info.name+".big")
			continue
		}
		if err := e.disk.Remove(name); err != nil {
			return err
		}
		e.log.Info("removed a large content that no message names", "msg_id", id)
	}
	return e.disk.SyncDir(bigDir)
}
