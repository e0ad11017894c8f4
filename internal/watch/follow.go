package watch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// place is how far a file was read.
type place struct {
	ID     fileID `json:"id"`     // of the file
	Offset int64  `json:"offset"` // behind the last whole line that was read
	Print  string `json:"print"`  // of its first Head octets
	Head   int64  `json:"head"`
}

// follower reads one log, from file to file as it is rotated.
type follower struct {
	t     *Tail
	path  string
	lines lineReader
	fresh bool // the file was not there when the source began: all of it is new

	begun bool // where to begin is known
	rest  []rest
	src   io.ReadCloser // nil: to be opened
	live  *os.File      // src, when it is the file at path
	at    place         // of src
	pos   int64         // of the next octet of src
	part  []byte        // the beginning of a line whose end is not there yet
	skip  bool          // the line is too long, or was begun before: not read
	late  int64         // what stands before this offset is late
	away  time.Time     // since when path is another file than live

	saved   place
	savedAt time.Time
	buf     []byte
}

const (
	chunk    = 64 << 10
	maxLine  = 64 << 10 // a line of a mail log has a few hundred octets
	headSize = 1 << 10  // octets that a file is known by
	settle   = 10 * time.Second
)

// turn reads until the end, or until it is another file's turn.
func (f *follower) turn(ctx context.Context, see func(Observation)) (lines int64, more bool, err error) {
	if !f.begun {
		if err := f.begin(ctx); err != nil {
			return 0, false, err
		}
	}
	if f.live != nil && f.cut() {
		lines = f.end(see)
	}
	for done := 0; done < turn && ctx.Err() == nil; {
		if f.src == nil {
			if err := f.open(); err != nil {
				return lines, false, err
			}
		}
		if f.buf == nil {
			f.buf = make([]byte, chunk)
		}
		n, err := f.src.Read(f.buf)
		lines += f.feed(f.buf[:n], see)
		done += n
		switch {
		case err == nil:
			continue
		case !errors.Is(err, io.EOF):
			f.t.log.Warn("rest of a log not read", "file", f.path, "error", err)
			f.end(see)
		case f.live == nil:
			lines += f.end(see)
		default:
			on, err := f.look()
			if err != nil || !on {
				return lines, false, err
			}
			lines += f.end(see)
		}
	}
	return lines, true, nil
}

// open opens what is to be read next: what was rotated away, then the file itself.
func (f *follower) open() error {
	for len(f.rest) > 0 {
		next := f.rest[0]
		f.rest = f.rest[1:]
		src, err := next.open()
		if err != nil {
			f.t.log.Warn("rest of a log not read", "file", next.path, "error", err)
			continue
		}
		f.src, f.live, f.at, f.pos = src, nil, next.place, next.place.Offset
		return nil
	}
	file, id, err := openFile(f.path)
	if err != nil {
		return unreadable(f.path, err)
	}
	f.src, f.live, f.away = file, file, time.Time{}
	if f.at.ID != id || f.pos == 0 {
		f.at, f.pos, f.skip = place{ID: id}, 0, false
	}
	if _, err := file.Seek(f.pos, io.SeekStart); err != nil {
		f.close()
		return unreadable(f.path, err)
	}
	return nil
}

// feed takes octets of the file apart into lines.
func (f *follower) feed(b []byte, see func(Observation)) (lines int64) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			f.hold(b)
			break
		}
		line := b[:i]
		if len(f.part) > 0 {
			f.part = append(f.part, line...)
			line = f.part
		}
		if !f.skip && len(line) <= maxLine {
			f.lines(line, f.pos < f.late, see)
			lines++
		}
		f.part, f.skip = f.part[:0], false
		f.pos += int64(i + 1)
		f.at.Offset = f.pos
		b = b[i+1:]
	}
	return lines
}

// hold keeps the beginning of a line until the rest has come.
func (f *follower) hold(b []byte) {
	f.pos += int64(len(b))
	if f.skip || len(f.part)+len(b) > maxLine {
		f.part, f.skip = f.part[:0], true
		f.at.Offset = f.pos // after a restart, what follows is known not to begin a line
		return
	}
	f.part = append(f.part, b...)
}

// end leaves a file that nothing will be added to; its last line may have no end.
func (f *follower) end(see func(Observation)) (lines int64) {
	if len(f.part) > 0 && !f.skip {
		f.lines(f.part, f.pos < f.late, see)
		lines = 1
	}
	f.part, f.skip, f.late = f.part[:0], false, 0
	f.close()
	f.at, f.pos = place{}, 0
	return lines
}

func (f *follower) close() {
	if f.src != nil {
		_ = f.src.Close() // it was only read
	}
	f.src, f.live = nil, nil
}

// look is called at the end of the file at path; on tells that there is more to be read elsewhere: the file was rotated away,
// or emptied.
func (f *follower) look() (on bool, err error) {
	now := time.Now()
	if f.cut() {
		return true, nil
	}
	f.sign()
	there, err := os.Stat(f.path)
	switch {
	case err == nil && idOf(there) == f.at.ID:
		f.away = time.Time{}
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, unreadable(f.path, err)
	}
	// Rotated away. Who writes it may write on for a moment, until it is told to open the new file: so the old one is read
	// until the new one has something in it, or nothing has come for a while.
	if f.away.IsZero() {
		f.away = now
		return false, nil
	}
	switch {
	case err != nil && now.Sub(f.away) > settle:
		return false, unreadable(f.path, err)
	case err == nil && (there.Size() > 0 || now.Sub(f.away) > settle):
		f.rest = f.after(f.at)
		return true, nil
	}
	return false, nil
}

// cut tells whether the file was emptied (copytruncate), and prepares to start over in it after the rest of the copy. It is
// asked before anything is read: what was written since must not be taken for the rest of a line.
func (f *follower) cut() bool {
	st, err := f.live.Stat()
	if err != nil {
		return false // and the next read says why
	}
	head, ok := fingerprint(f.live, f.at.Head)
	if st.Size() >= f.pos && (f.at.Head == 0 || ok && head == f.at.Print) {
		return false
	}
	f.part, f.skip = f.part[:0], false // the copy has the whole line
	var found bool
	if f.rest, found = f.find(f.at); !found && f.at.Offset > 0 {
		f.t.log.Warn("log was emptied, what was not read of it is lost", "file", f.path)
	}
	return true
}

// sign notes what the file begins with, until that is long enough not to be mistaken.
func (f *follower) sign() {
	file, plain := f.src.(*os.File)
	if f.at.Head >= headSize || !plain || f.at.Offset <= f.at.Head {
		return
	}
	n := min(f.at.Offset, headSize)
	if head, ok := fingerprint(file, n); ok {
		f.at.Print, f.at.Head = head, n
	}
}

// save writes down where the file was read to, at most once a second.
func (f *follower) save(ctx context.Context, now time.Time, must bool) error {
	if f.src == nil || f.at == f.saved || !must && now.Sub(f.savedAt) < time.Second {
		return nil
	}
	f.sign()
	if err := f.t.places.save(ctx, f.t.o.Name, f.path, f.at); err != nil {
		return err
	}
	f.saved, f.savedAt = f.at, now
	return nil
}
