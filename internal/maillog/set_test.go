package maillog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"ukai/internal/i18n"
)

const sent = " mail postfix/smtp[1]: %s: to=<a@example.com>, relay=mx.example.com[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)\n"

func sentAt(when, id string) string { return when + fmt.Sprintf(sent, id) }

// write puts a file into the test's directory.
func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, storyTime, storyTime); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(t *testing.T, s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t *testing.T, s string, o ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(s), nil)
}

// readSet returns the queue IDs of the events, the statistics and what was skipped.
func readSet(t *testing.T, paths ...string) (ids []string, st Stats, skipped string) {
	t.Helper()
	s, err := Open(paths, Options{Now: storyTime, Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	st, err = s.Read(context.Background(), func(e *Event) error {
		ids = append(ids, e.Queue)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range st.Skipped {
		said = append(said, strings.ReplaceAll(i18n.ErrorText(i18n.EN, e), filepath.Dir(paths[0])+"/", ""))
	}
	return ids, st, strings.Join(said, "; ")
}

func TestARotatedSetIsReadOldestFirst(t *testing.T) {
	dir := t.TempDir()
	paths := []string{
		write(t, dir, "maillog", []byte(sentAt("Nov 22 10:00:00", "ABCDEF4"))),
		write(t, dir, "maillog.1", []byte(sentAt("Nov 15 10:00:00", "ABCDEF3"))),
		write(t, dir, "maillog.2.gz", gz(t, sentAt("Jan  2 10:00:00", "ABCDEF2"))),
		write(t, dir, "maillog.3", zst(t, sentAt("Dec 20 10:00:00", "ABCDEF1"))), // packed, whatever its name
		write(t, dir, "empty", nil),
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(paths[0], link); err != nil {
		t.Fatal(err)
	}
	ids, st, skipped := readSet(t, append(paths, paths[0], link)...) // one is named three times
	if want := []string{"ABCDEF1", "ABCDEF2", "ABCDEF3", "ABCDEF4"}; !slices.Equal(ids, want) {
		t.Errorf("read %v, want %v", ids, want)
	}
	if st.Files != 5 || st.Lines != 4 || st.First.Year() != 2025 || st.Last != day(t, "2026-11-22 10:00:00") || st.PerMTA[Postfix] != 4 {
		t.Errorf("statistics: %+v", st)
	}
	if skipped != "empty is empty." {
		t.Errorf("skipped %q", skipped)
	}
}

func TestAMultilogIsReadFromItsDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "current", []byte("@40000000655dc5601dcd6500 rblsmtpd: 192.0.2.2 pid 1: 451 b\n"))
	write(t, dir, "@40000000655dc5501dcd6500.s", []byte("@40000000655dc5401dcd6500 rblsmtpd: 192.0.2.1 pid 1: 451 a\n"))
	write(t, dir, "lock", []byte("x"))
	s, err := Open([]string{dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var from []string
	if _, err := s.Read(context.Background(), func(e *Event) error {
		from = append(from, e.Client.String())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(from, []string{"192.0.2.1", "192.0.2.2"}) {
		t.Errorf("read %v", from)
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	good := sentAt("Nov 22 10:00:00", "ABCDEF1")
	many := strings.Repeat(good, 5000)
	packed := gz(t, many)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-6] ^= 0xff // its checksum
	for name, c := range map[string]struct {
		content []byte
		events  bool
		skipped string
	}{
		"gzip that breaks off":       {packed[:len(packed)/2], true, "log breaks off (unexpected EOF): what stands before that was read."},
		"gzip with a wrong checksum": {flipped, true, "log breaks off (gzip: invalid checksum): what stands before that was read."},
		"gzip in several members":    {append(gz(t, good), gz(t, good)...), true, ""},
		"a head of gzip alone":       {packed[:5], false, "log breaks off (unexpected EOF): what stands before that was read."},
		"xz":                         {[]byte("\xfd7zXZ\x00rest"), false, "log is packed in a way that is not read here"},
		"zstd with a large window":   {zst(t, strings.Repeat(many, 20), zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false)), false, "log was packed with a window above 8 MB"},
		"an empty file":              {nil, false, "log is empty."},
		"a file without line end":    {[]byte(strings.TrimSuffix(good, "\n")), true, ""},
		"lines that end in CR LF":    {[]byte(strings.ReplaceAll(good, "\n", "\r\n")), true, ""},
		"a log of another program":   {[]byte("Nov 22 10:00:00 host sshd[1]: x\nno log\n"), false, "none of its lines (2) is from a mail server: is it the log of another program?"},
		"octets that are no text":    {bytes.Repeat([]byte{0, 1, 0xff, '\n', 'N', 'o', 'v'}, 1000), false, "none of its lines (1001) is from a mail server: is it the log of another program?"},
		"a line of 3 MB between":     {[]byte(good + strings.Repeat("x", 3<<20) + "\n" + good), true, "log: 1 lines of more than 1 MB were left out, 3145728 octets in all. No mail server writes such lines."},
		"a line of 3 MB at the end":  {[]byte(good + strings.Repeat("\x00", 3<<20)), true, "log: 1 lines of more than 1 MB were left out, 3145728 octets in all. No mail server writes such lines."},
		"a line of just 1 MB":        {[]byte(good + strings.Repeat("x", 1<<20) + "\n" + good), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ids, _, skipped := readSet(t, write(t, t.TempDir(), "log", c.content))
			if (len(ids) > 0) != c.events {
				t.Errorf("%d events", len(ids))
			}
			if skipped != c.skipped && (c.skipped == "" || !strings.HasPrefix(skipped, c.skipped)) {
				t.Errorf("skipped %q, want %q", skipped, c.skipped)
			}
		})
	}
}

func TestABombOfGzipIsLeftOutLineByLine(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 64 {
		w.Write(zeros)
	}
	w.Write([]byte("\n" + sentAt("Nov 22 10:00:00", "ABCDEF1")))
	w.Close()
	ids, st, skipped := readSet(t, write(t, t.TempDir(), "bomb.gz", b.Bytes()))
	if len(ids) != 1 || st.TooLong != 1 || !strings.Contains(skipped, "67108864 octets") {
		t.Errorf("%d events, %+v, %q", len(ids), st, skipped)
	}
}

func TestAPathThatIsNoLogIsAnError(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ path, want string }{
		"a file that is missing": {filepath.Join(dir, "no"), "maillog.error.missing"},
		"a directory":            {dir, "maillog.error.directory"},
		"a path below a file":    {filepath.Join(write(t, dir, "file", nil), "x"), "maillog.error.open"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open([]string{c.path}, Options{})
			var e *i18n.Error
			if !errors.As(err, &e) || e.Key != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestReadingStopsWhenItIsToldTo(t *testing.T) {
	path := write(t, t.TempDir(), "log", []byte(strings.Repeat(sentAt("Nov 22 10:00:00", "ABCDEF1"), 10)))
	s, err := Open([]string{path}, Options{Now: storyTime})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	n := 0
	st, err := s.Read(context.Background(), func(*Event) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 || st.Lines != 3 {
		t.Errorf("%v after %d events and %d lines", err, n, st.Lines)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Read(ctx, func(*Event) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestProgressReachesTheTotal(t *testing.T) {
	content := gz(t, strings.Repeat(sentAt("Nov 22 10:00:00", "ABCDEF1"), 20000))
	path := write(t, t.TempDir(), "log.gz", content)
	var done, total int64
	s, err := Open([]string{path}, Options{Progress: func(d, t int64) { done, total = d, t }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(context.Background(), func(*Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if done != int64(len(content)) || total != done {
		t.Errorf("%d of %d, want %d", done, total, len(content))
	}
}

func TestStandardInputIsReadLast(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = r
	t.Cleanup(func() { os.Stdin = old })
	if _, err := w.Write([]byte(sentAt("Nov 22 10:00:00", "ABCDEF2"))); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ids, _, _ := readSet(t, "-", write(t, t.TempDir(), "log", []byte(sentAt("Nov 22 11:00:00", "ABCDEF1"))))
	if !slices.Equal(ids, []string{"ABCDEF1", "ABCDEF2"}) {
		t.Errorf("read %v", ids)
	}
}

func TestTheUsualPathsAreKnown(t *testing.T) {
	for name, want := range map[string]string{
		"postfix": "/usr/local/psa/var/log/maillog", "exim": "/var/log/exim_mainlog", "qmail": "/var/log/qmail/current",
		"sendmail": "/var/log/maillog", "opensmtpd": "/var/log/maillog", "": "/var/log/exim4/mainlog",
	} {
		if !slices.Contains(Known(name), want) {
			t.Errorf("%q: %v lacks %s", name, Known(name), want)
		}
	}
	if got := Known("courier"); got != nil {
		t.Errorf("a server that is not understood has %v", got)
	}
}

func TestALogThatNobodyRotatedForYearsGetsItsYears(t *testing.T) {
	var b strings.Builder
	first := day(t, "2024-03-10 00:00:00")
	for at := first; at.Before(storyTime); at = at.Add(7 * time.Hour) {
		b.WriteString(sentAt(at.Format(time.Stamp), "ABCDEF1"))
	}
	s, err := Open([]string{write(t, t.TempDir(), "log", []byte(b.String()))}, Options{Now: storyTime, Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Read(context.Background(), func(*Event) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if st.First != first || st.Last.Before(storyTime.Add(-7*time.Hour)) || st.Last.After(storyTime) {
		t.Errorf("from %v to %v", st.First, st.Last)
	}
}

func TestAYearThatWasGivenHoldsForAFile(t *testing.T) {
	path := write(t, t.TempDir(), "log", []byte(sentAt("Apr 15 09:12:00", "ABCDEF1")))
	s, err := Open([]string{path}, Options{Now: storyTime, Location: time.UTC, Year: 2019})
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Read(context.Background(), func(*Event) error { return nil })
	if err != nil || st.First != day(t, "2019-04-15 09:12:00") {
		t.Errorf("%v, %v", st.First, err)
	}
}
