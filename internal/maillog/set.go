package maillog

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ukai/internal/i18n"
)

// Set is a log that lies in several files, oldest first.
type Set struct {
	opt    Options
	inputs []input
	total  int64
}

// Open finds the files of a log and puts them in order by the time of their first line. A path is a file (plain, gzip, bzip2 or
// zstd, told by its first octets), "-" for standard input, or the directory of a multilog. Errors are for the operator
// (*i18n.Error). The files are opened again, one after the other, by Read; standard input is read once, after the files.
func Open(paths []string, o Options) (*Set, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	s := &Set{opt: o}
	for _, path := range paths {
		if err := s.add(path); err != nil {
			return nil, err
		}
	}
	p, buf := NewParser(s.opt), make([]byte, block)
	for i := range s.inputs {
		s.inputs[i].look(p, buf)
	}
	slices.SortStableFunc(s.inputs, func(a, b input) int {
		if d := cmp.Compare(rank(&a), rank(&b)); d != 0 {
			return d
		}
		return a.when.Compare(b.when)
	})
	return s, nil
}

// rank puts files without a time behind those that have one, and standard input last.
func rank(in *input) int {
	switch {
	case in.path == "-":
		return 2
	case in.when.IsZero():
		return 1
	}
	return 0
}

func (s *Set) add(path string) error {
	if slices.ContainsFunc(s.inputs, func(in input) bool { return in.path == path }) {
		return nil // named twice, as *.log and *.gz may do
	}
	if path == "-" {
		s.inputs = append(s.inputs, input{path: path})
		s.total = -1
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return i18n.Errorf("maillog.error.missing", "path", path, "usual", strings.Join(usual(), ", "))
	case errors.Is(err, fs.ErrPermission):
		return i18n.Errorf("maillog.error.permission", "path", path)
	case err != nil:
		return i18n.Errorf("maillog.error.open", "path", path, "cause", err.Error())
	case info.IsDir():
		return s.addMultilog(path)
	case slices.ContainsFunc(s.inputs, func(in input) bool { return in.info != nil && os.SameFile(in.info, info) }):
		return nil // another name of it: Plesk links its path to the system's
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return i18n.Errorf("maillog.error.permission", "path", path)
	case err != nil:
		return i18n.Errorf("maillog.error.open", "path", path, "cause", err.Error())
	}
	f.Close()
	in := input{path: path, mod: info.ModTime(), info: info}
	if info.Mode().IsRegular() {
		in.size = info.Size()
		if s.total >= 0 {
			s.total += in.size
		}
	} else {
		s.total = -1 // a pipe: it is read once, and not looked into before
	}
	s.inputs = append(s.inputs, in)
	return nil
}

// usual are the logs that are on this machine, for an error to name; the best known ones where none is.
func usual() []string {
	var there []string
	for _, path := range Known("") {
		if _, err := os.Stat(path); err == nil {
			there = append(there, path)
		}
	}
	if len(there) == 0 {
		there = Known("postfix")[:2]
	}
	return there
}

// addMultilog adds the files of a directory that multilog writes: "current" and "@40000000...", which end in .s, or in .u where
// multilog died.
func (s *Set) addMultilog(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return i18n.Errorf("maillog.error.open", "path", dir, "cause", err.Error())
	}
	found := false
	for _, e := range entries {
		name := e.Name()
		old := strings.HasPrefix(name, "@") && (strings.HasSuffix(name, ".s") || strings.HasSuffix(name, ".u"))
		if e.IsDir() || name != "current" && !old {
			continue
		}
		found = true
		if err := s.add(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if !found {
		return i18n.Errorf("maillog.error.directory", "path", dir)
	}
	return nil
}

// look finds the time of the first line. Trouble is left to Read, which tells of it.
func (in *input) look(p *Parser, buf []byte) {
	if in.path == "-" || in.size == 0 {
		return
	}
	r, err := in.open(nil)
	if err != nil {
		return
	}
	defer r.Close()
	latest := anchor(in.mod, p.opt.Now)
	if p.opt.Year == 0 {
		in.year = firstYear(in, p.opt.Location, latest)
	}
	p.clock.restart(latest, cmp.Or(in.year, p.opt.Year))
	p.last, p.journal.active = moment{}, false
	l := newLines(io.LimitReader(r, block), buf)
	for range 1000 {
		b, ok := l.next()
		if !ok {
			return
		}
		if p.emit = ignore; len(b) > 0 {
			p.line(b)
		}
		if p.last.ok {
			in.when = p.last.time(p.opt.Location)
			return
		}
	}
}

func ignore(*Event) error { return nil }

// anchor is what no line of a file is younger than: when it was last written to, unless that lies after now.
func anchor(mod, now time.Time) time.Time {
	if mod.IsZero() || !now.IsZero() && mod.After(now) {
		return now
	}
	return mod
}

// Paths returns the files in the order in which they are read.
func (s *Set) Paths() []string {
	paths := make([]string, len(s.inputs))
	for i := range s.inputs {
		paths[i] = s.inputs[i].path
	}
	return paths
}

// Read reads all files and calls emit for each event, in the order of the lines. It ends with the first error of emit, or with
// that of ctx; the Stats are right up to there. Trouble with a file is no error: it stands in Stats.Skipped, and the next one is
// read.
func (s *Set) Read(ctx context.Context, emit func(*Event) error) (Stats, error) {
	w := &walk{set: s, p: NewParser(s.opt), emit: emit, buf: make([]byte, block)}
	var err error
	for i := range s.inputs {
		if err = w.file(ctx, &s.inputs[i]); err != nil {
			break
		}
	}
	w.progress(true)
	st := w.p.Stats()
	st.Skipped = w.skipped
	if err == nil && st.Mail == 0 && st.Lines > 0 {
		st.Skipped = append(st.Skipped, i18n.Errorf("maillog.skipped.foreign", "lines", st.Lines))
	}
	return st, err
}

// walk is one reading of a set.
type walk struct {
	set     *Set
	p       *Parser
	emit    func(*Event) error
	buf     []byte
	done    int64 // octets from the disk
	told    int64
	skipped []error
}

// file reads one file. The error is that of emit or of the context.
func (w *walk) file(ctx context.Context, in *input) error {
	p := w.p
	p.clock.restart(anchor(in.mod, w.set.opt.Now), cmp.Or(in.year, w.set.opt.Year))
	r, err := in.open(func(n int) { w.done += int64(n) })
	if err != nil {
		w.skipped = append(w.skipped, trouble(in.path, err))
		return nil
	}
	defer r.Close()
	p.stats.Files++
	l := newLines(r, w.buf)
	before := p.stats.Lines
	err = w.lines(ctx, l)
	if err == nil {
		err = p.flush(w.emit)
	}
	p.stats.Lines += l.tooLong
	p.stats.TooLong += l.tooLong
	p.stats.Bytes += l.skipped
	w.buf = l.buf
	w.account(in, l, p.stats.Lines-before)
	return err
}

// lines reads line after line. The context is asked as often as the progress is told.
func (w *walk) lines(ctx context.Context, l *lines) error {
	for n := 0; ; n++ {
		if n&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			w.progress(false)
		}
		b, ok := l.next()
		if !ok {
			return nil
		}
		if err := w.p.Line(b, w.emit); err != nil {
			return err
		}
	}
}

// account says what was left out of a file.
func (w *walk) account(in *input, l *lines, read int64) {
	if l.tooLong > 0 {
		w.skipped = append(w.skipped, i18n.Errorf("maillog.skipped.long", "path", in.path, "lines", l.tooLong, "octets", l.skipped))
	}
	if l.err != nil && !errors.Is(l.err, io.EOF) {
		w.skipped = append(w.skipped, trouble(in.path, l.err))
	}
	if read == 0 && (l.err == nil || errors.Is(l.err, io.EOF)) {
		w.skipped = append(w.skipped, i18n.Errorf("maillog.skipped.empty", "path", in.path))
	}
}

// progress tells how far the reading is.
func (w *walk) progress(end bool) {
	if w.set.opt.Progress == nil || !end && w.done-w.told < block {
		return
	}
	w.told = w.done
	w.set.opt.Progress(w.done, max(w.set.total, 0))
}
