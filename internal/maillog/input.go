package maillog

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"ukai/internal/i18n"
)

// input is one file of a log.
type input struct {
	path string      // "-" is standard input
	info fs.FileInfo // nil for standard input
	size int64
	mod  time.Time
	when time.Time // of its first line that has one
	year int       // of its first line, where the file crosses a turn of the year; 0: not known
}

// block is how much is read at once: large enough that the calls do not show, small enough for the cache of a processor.
const block = 128 << 10

// maxWindow bounds the memory of a zstd stream: 8 MB is what every reader must give (RFC 8878, section 3.1.1.1.2), and what
// all levels of zstd but --ultra and --long keep to.
const maxWindow = 8 << 20

// The first octets by which packed files are known.
var (
	magicGzip  = []byte{0x1f, 0x8b}
	magicZstd  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicBzip2 = []byte("BZh")
	magicXz    = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	magicZip   = []byte{'P', 'K', 3, 4}
)

var errPacked = errors.New("packed by a program that is not understood")

// unpack looks at the first octets of a file and returns a reader of its text. Its Close closes the unpacker, not the file.
func unpack(r io.Reader) (io.ReadCloser, error) {
	head := make([]byte, 6)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	all := io.MultiReader(bytes.NewReader(head), r)
	switch {
	case bytes.HasPrefix(head, magicGzip):
		return gzip.NewReader(all) // several members in one file are read as one text (RFC 1952, section 2.2)
	case bytes.HasPrefix(head, magicZstd):
		z, err := zstd.NewReader(all, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(head, magicBzip2):
		return io.NopCloser(bzip2.NewReader(all)), nil
	case bytes.HasPrefix(head, magicXz), bytes.HasPrefix(head, magicZip):
		return nil, errPacked
	}
	return io.NopCloser(all), nil
}

// open opens the file; counted is called with the octets that were read from the disk.
func (in *input) open(counted func(n int)) (io.ReadCloser, error) {
	if in.path == "-" {
		return in.wrap(io.NopCloser(os.Stdin), counted)
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, err
	}
	return in.wrap(f, counted)
}

func (in *input) wrap(f io.ReadCloser, counted func(n int)) (io.ReadCloser, error) {
	text, err := unpack(&counter{r: f, counted: counted})
	if err != nil {
		f.Close()
		return nil, err
	}
	return &twoClosers{text, f}, nil
}

// counter tells what passes through it.
type counter struct {
	r       io.Reader
	counted func(n int)
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.counted != nil {
		c.counted(n)
	}
	return n, err
}

// twoClosers closes an unpacker and then the file below it.
type twoClosers struct {
	io.ReadCloser
	below io.Closer
}

func (t *twoClosers) Close() error { return errors.Join(t.ReadCloser.Close(), t.below.Close()) }

// trouble says for the operator why a file was not read, or not to its end.
func trouble(path string, err error) error {
	switch {
	case errors.Is(err, errPacked):
		return i18n.Errorf("maillog.skipped.packed", "path", path)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return i18n.Errorf("maillog.skipped.window", "path", path)
	}
	e := i18n.Errorf("maillog.skipped.broken", "path", path, "cause", err.Error())
	e.Cause = err
	return e
}

// lines reads a text line by line. What is longer than MaxLine is left out and counted.
type lines struct {
	r       io.Reader
	buf     []byte
	from    int // the first octet that was not given out
	to      int
	err     error
	tooLong int64
	skipped int64 // octets that were left out
}

func newLines(r io.Reader, buf []byte) *lines { return &lines{r: r, buf: buf} }

// next returns the next line without its line end; it is valid until the call after. ok is false at the end, err says which.
func (l *lines) next() (line []byte, ok bool) {
	looked := l.from
	for {
		if i := bytes.IndexByte(l.buf[looked:l.to], '\n'); i >= 0 {
			line = l.buf[l.from : looked+i]
			l.from = looked + i + 1
			return line, true
		}
		if l.err != nil {
			line = l.buf[l.from:l.to]
			l.from = l.to
			return line, len(line) > 0
		}
		if l.to-l.from > MaxLine {
			if !l.skip() {
				return nil, false
			}
			looked = l.from
			continue
		}
		seen := l.to - l.from
		l.fill()
		looked = l.from + seen
	}
}

// fill reads behind what is there; only a line that is longer than the buffer makes it grow.
func (l *lines) fill() {
	if l.from > 0 {
		copy(l.buf, l.buf[l.from:l.to])
		l.from, l.to = 0, l.to-l.from
	}
	if l.to == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
	var n int
	for tries := 0; n == 0 && l.err == nil; tries++ {
		if tries == 100 {
			l.err = io.ErrNoProgress
			return
		}
		n, l.err = l.r.Read(l.buf[l.to:])
	}
	l.to += n
}

// skip leaves a line out that is too long; false at the end of the text.
func (l *lines) skip() bool {
	l.tooLong++
	l.skipped += int64(l.to - l.from)
	for l.from, l.to = 0, 0; l.err == nil; l.from, l.to = 0, 0 {
		l.fill()
		if i := bytes.IndexByte(l.buf[:l.to], '\n'); i >= 0 {
			l.skipped += int64(i)
			l.from = i + 1
			return true
		}
		l.skipped += int64(l.to)
	}
	return false
}
