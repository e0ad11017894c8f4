package watch

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"ukai/internal/maillog"
)

// LogOptions say which log is followed.
type LogOptions struct {
	Name string
	// Paths are files or patterns ("/var/log/mail*.log"). A rotated file that a pattern fits is not followed by itself.
	Paths []string
	// Server is the name of the mail server that writes the log; empty: the host that stands in its lines.
	Server string
	// Egress is the egress whose address the server sends from; empty: it has paths of its own.
	Egress string
	// FromStart has a log that was never read before read from its beginning; what stands there is late. Else it is read
	// from its end.
	FromStart bool
	// Poll is how often a file is looked at; 0: 500 ms.
	Poll time.Duration
}

// Tail follows a log. It remembers where it stopped, by inode, offset and the first octets of the file, so that it finds the
// rest of what was rotated away while nobody looked.
//
// A file is polled, not watched: the notices of the kernel do not come over network file systems, get lost under load, and
// have to be backed by polling anyway.
type Tail struct {
	gauge
	o      LogOptions
	places *Places
	lines  func() lineReader // of one file: what joins its lines
	files  []*follower
	until  time.Time // when the patterns are looked at again
	begun  bool      // they were looked at before: what appears is new
}

// lineReader takes a line of a log, without its end.
type lineReader func(line []byte, late bool, see func(Observation))

// NewTail returns a Source that follows a log.
func NewTail(o LogOptions, k Knowledge, places *Places, log *slog.Logger) *Tail {
	if o.Poll == 0 {
		o.Poll = 500 * time.Millisecond
	}
	t := &Tail{o: o, places: places}
	t.log = log.With("source", o.Name)
	t.g = Gauge{Kind: "log", Where: strings.Join(o.Paths, ", ")}
	t.lines = func() lineReader { return t.reader(k) }
	return t
}

// Name returns the name in the settings.
func (t *Tail) Name() string { return t.o.Name }

// longSilence is when a log has been silent for so long that nothing of what it said goes on, and that a year may have turned.
const longSilence = 24 * time.Hour

// reader returns what turns the lines of one file into observations.
func (t *Tail) reader(k Knowledge) lineReader {
	var parser *maillog.Parser
	var last time.Time
	return func(line []byte, late bool, see func(Observation)) {
		now := time.Now()
		if parser == nil || now.Sub(last) > longSilence {
			parser = maillog.NewParser(maillog.Options{Now: now}) // what has no year is of the year before now
		}
		last = now
		// The parser fails only where emit does.
		_ = parser.Line(line, func(e *maillog.Event) error {
			o, ok := k.event(e)
			if !ok {
				return nil
			}
			o.Source, o.Late, o.Outcome.Egress = t.o.Name, late, t.o.Egress
			if t.o.Server != "" {
				o.Server = t.o.Server
			}
			see(o)
			return nil
		})
	}
}

const (
	lookAgain = 5 * time.Second // how often the patterns are looked at
	turn      = 4 << 20         // octets that one file may read before it is the next one's turn
)

// Run follows the files until ctx ends, and saves where it stopped.
func (t *Tail) Run(ctx context.Context, see func(Observation)) error {
	defer t.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return t.save(context.WithoutCancel(ctx))
		case <-timer.C:
		}
		busy, err := t.round(ctx, see)
		if err != nil && ctx.Err() == nil {
			return errors.Join(err, t.save(context.WithoutCancel(ctx)))
		}
		wait := t.o.Poll
		if busy {
			wait = 0
		}
		timer.Reset(wait)
	}
}

// round gives every file a turn; busy tells that one of them has more. An error is one of the database.
func (t *Tail) round(ctx context.Context, see func(Observation)) (busy bool, err error) {
	now := time.Now()
	if !now.Before(t.until) {
		t.until = now.Add(lookAgain)
		t.expand()
	}
	var trouble error
	var lines int64
	for _, f := range t.files {
		n, more, err := f.turn(ctx, see)
		lines, busy = lines+n, busy || more
		if err != nil && trouble == nil {
			trouble = err
		}
		if err := f.save(ctx, now, false); err != nil {
			return false, err
		}
	}
	if trouble != nil {
		t.ill(trouble)
		t.read(lines)
		return busy, nil
	}
	t.well(now, lines)
	return busy, nil
}

// read counts lines while there is trouble with another file.
func (g *gauge) read(n int64) {
	g.mu.Lock()
	g.g.Read += n
	g.mu.Unlock()
}

// expand finds the files that the patterns fit, and keeps those that it knows.
func (t *Tail) expand() {
	for _, pattern := range t.o.Paths {
		names := []string{pattern}
		if strings.ContainsAny(pattern, "*?[") {
			names, _ = filepath.Glob(pattern) // a bad pattern was told with the settings
		}
		for _, name := range names {
			known := slices.ContainsFunc(t.files, func(f *follower) bool { return f.path == name })
			if known || name != pattern && rotated.MatchString(filepath.Base(name)) {
				continue
			}
			t.files = append(t.files, &follower{t: t, path: name, lines: t.lines(), fresh: t.begun})
		}
	}
	t.begun = true
}

// rotated fits the names that programs give to old logs: mail.log.1, mail.log-20260401.gz, mail.log.old, mail-20260401.log,
// and multilog's @4000000065....s.
var rotated = regexp.MustCompile(`([.-]\d[\d._T-]*(\.[a-z]+)?|\.old|~)(\.(gz|zst|xz|bz2))?$|\.(gz|zst|xz|bz2)$|^@[0-9a-f]{24}\.[su]$`)

func (t *Tail) save(ctx context.Context) error {
	var errs []error
	for _, f := range t.files {
		errs = append(errs, f.save(ctx, time.Now(), true))
	}
	return errors.Join(errs...)
}

func (t *Tail) close() {
	for _, f := range t.files {
		f.close()
	}
	t.files, t.until = nil, time.Time{}
}
