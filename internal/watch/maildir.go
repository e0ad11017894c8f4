package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ukai/internal/dsn"
	"ukai/internal/i18n"
)

// MaildirOptions say which mailbox is read.
type MaildirOptions struct {
	Name   string
	Dir    string // holds new, cur and tmp
	Server string // see Mail
	Egress string
	// Move puts the reports that were read into the folder .ukai-done; else they are marked as seen.
	Move bool
	// Poll is how often it is looked into; 0: 10 s.
	Poll time.Duration
}

// Maildir reads the reports in a mailbox, as https://cr.yp.to/proto/maildir.html describes it: what is in new and cur is
// complete, and nobody else may change a file there, so there is nothing to lock. What is in tmp is being delivered, and left
// alone.
//
// A report is read first and moved afterwards, so after a crash it may be read twice (which the Hub notices as long as it
// runs), and never not at all. Mail that reports nothing stays where it is, as it is.
type Maildir struct {
	gauge
	o     MaildirOptions
	hub   *Hub
	other map[string]bool // mail that reports nothing: by its name without flags, so that it is read once
}

// doneFolder is the folder for reports that were read (Maildir++: a folder's name begins with a dot).
const doneFolder = ".ukai-done"

// NewMaildir returns a Source that reads a Maildir.
func NewMaildir(o MaildirOptions, h *Hub, log *slog.Logger) *Maildir {
	if o.Poll == 0 {
		o.Poll = 10 * time.Second
	}
	m := &Maildir{o: o, hub: h, other: make(map[string]bool)}
	m.log = log.With("source", o.Name)
	m.g = Gauge{Kind: "maildir", Where: o.Dir}
	return m
}

// Name returns the name in the settings.
func (m *Maildir) Name() string { return m.o.Name }

// Run reads until ctx ends.
func (m *Maildir) Run(ctx context.Context, see func(Observation)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		n, err := m.round(ctx, see)
		switch {
		case err != nil && ctx.Err() == nil:
			m.ill(err)
			m.read(n)
		case err == nil:
			m.well(time.Now(), n)
		}
		timer.Reset(m.o.Poll)
	}
}

// round reads what is there. What is in new comes to cur, or to the folder, only when it is a report.
func (m *Maildir) round(ctx context.Context, see func(Observation)) (mails int64, err error) {
	still := make(map[string]bool)
	for _, part := range []string{"new", "cur"} {
		n, err := m.part(ctx, part, still, see)
		mails += n
		if err != nil || ctx.Err() != nil {
			maps.Copy(m.other, still)
			return mails, err
		}
	}
	m.other = still
	return mails, nil
}

// namesAtOnce bounds how many names of a directory are held.
const namesAtOnce = 1000

func (m *Maildir) part(ctx context.Context, part string, still map[string]bool, see func(Observation)) (mails int64, err error) {
	dir, err := os.Open(filepath.Join(m.o.Dir, part))
	if err != nil {
		return 0, m.cannot(part, err)
	}
	defer dir.Close()
	for ctx.Err() == nil {
		entries, err := dir.ReadDir(namesAtOnce)
		for _, e := range entries {
			if ctx.Err() != nil || e.Name()[0] == '.' || !e.Type().IsRegular() || seen(part, e.Name()) {
				continue
			}
			key := unique(e.Name())
			if m.other[key] {
				still[key] = true
				continue
			}
			report, err := m.mail(ctx, part, e.Name(), see)
			if err != nil {
				return mails, err
			}
			mails++
			if !report {
				still[key] = true
			}
		}
		if errors.Is(err, io.EOF) {
			return mails, nil
		}
		if err != nil {
			return mails, m.cannot(part, err)
		}
	}
	return mails, nil
}

// mail reads one mail, and moves it when it is a report.
func (m *Maildir) mail(ctx context.Context, part, name string, see func(Observation)) (report bool, err error) {
	path := filepath.Join(m.o.Dir, part, name)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // another program has moved it: the next round finds it
	}
	if err != nil {
		return false, m.cannot(part, err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return false, m.cannot(part, err)
	}
	reading, err := dsn.ReadFrom(file, 0)
	if err != nil {
		return false, m.cannot(part, err)
	}
	about := Mail{Source: m.o.Name, Server: m.o.Server, Egress: m.o.Egress, Arrived: st.ModTime()}
	if !m.hub.report(ctx, about, reading, see) {
		return false, nil
	}
	if err := m.done(path, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, m.cannot(part, err)
	}
	return true, nil
}

// done puts a report where it is not read again. Where another mail has its name already, which no two mails should, it takes
// another one: rename would take that mail's place.
func (m *Maildir) done(path, name string) error {
	dir := filepath.Join(m.o.Dir, "cur")
	if m.o.Move {
		folder := filepath.Join(m.o.Dir, doneFolder)
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(folder, sub), 0o700); err != nil {
				return err
			}
		}
		dir = filepath.Join(folder, "cur")
	}
	to := filepath.Join(dir, withSeen(name))
	for n := 1; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(path, to)
		}
		to = filepath.Join(dir, withSeen(fmt.Sprintf("%s_%d%s", unique(name), n, name[len(unique(name)):])))
	}
}

// unique is the name of a mail without its flags.
func unique(name string) string {
	base, _, _ := strings.Cut(name, ":2,")
	return base
}

// seen tells whether a mail in cur has the flag S.
func seen(part, name string) bool {
	_, flags, _ := strings.Cut(name, ":2,")
	return part == "cur" && strings.Contains(flags, "S")
}

// withSeen adds the flag S; flags stand in the order of the alphabet.
func withSeen(name string) string {
	base, flags, _ := strings.Cut(name, ":2,")
	if strings.Contains(flags, "S") {
		return name
	}
	at := strings.IndexFunc(flags, func(r rune) bool { return r > 'S' })
	if at < 0 {
		at = len(flags)
	}
	return base + ":2," + flags[:at] + "S" + flags[at:]
}

// cannot says what to do about a Maildir that cannot be read.
func (m *Maildir) cannot(part string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return i18n.Errorf("watch.maildir.missing", "dir", m.o.Dir, "part", part)
	case errors.Is(err, fs.ErrPermission):
		return i18n.Errorf("watch.maildir.denied", "dir", m.o.Dir, "cause", err)
	}
	return i18n.Errorf("watch.maildir.unreadable", "dir", m.o.Dir, "cause", err)
}
