package watch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/store"
)

// logs is a log of ukai that a test reads while it is written.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func database(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "test.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func places(t *testing.T) *Places {
	t.Helper()
	p, err := OpenPlaces(t.Context(), database(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after 30 s there is still no %s", what)
		}
	}
}

// reading is a Tail that writes down the lines it reads.
type reading struct {
	t      *testing.T
	tail   *Tail
	log    *logs
	cancel context.CancelFunc
	done   chan error

	mu  sync.Mutex
	got []string // late ones begin with "late "
}

// follow starts a Tail on paths.
func follow(t *testing.T, p *Places, o LogOptions) *reading {
	t.Helper()
	o.Name, o.Poll = "log", time.Millisecond
	r := &reading{t: t, log: &logs{}, done: make(chan error, 1)}
	r.tail = NewTail(o, Knowledge{}, p, r.log.logger())
	r.tail.lines = func() lineReader {
		return func(line []byte, late bool, _ func(Observation)) {
			text := string(line)
			if late {
				text = "late " + text
			}
			r.mu.Lock()
			r.got = append(r.got, text)
			r.mu.Unlock()
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.tail.Run(ctx, func(Observation) {}) }()
	t.Cleanup(r.stop)
	return r
}

func (r *reading) stop() {
	r.cancel()
	if r.done == nil {
		return
	}
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	r.done = nil
}

func (r *reading) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// want waits for lines, and then a little for those that must not come.
func (r *reading) want(lines ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%q in the lines", lines), func() bool { return len(r.lines()) >= len(lines) })
	r.rounds(3)
	if got := r.lines(); !slices.Equal(got, lines) {
		r.t.Fatalf("read %q, want %q\n%s", got, lines, r.log)
	}
}

// rounds waits until the files have been looked at so many times.
func (r *reading) rounds(n int) {
	r.t.Helper()
	for range n {
		before := r.tail.Gauge().Contact
		eventually(r.t, "round", func() bool {
			g := r.tail.Gauge()
			return g.Contact.After(before) || g.Trouble != nil
		})
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
}

// pack makes path.gz of path, as gzip does: the time of the file is kept.
func pack(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(text)
	if err := errors.Join(err, z.Close(), os.WriteFile(path+".gz", b.Bytes(), 0o644), os.Chtimes(path+".gz", st.ModTime(), st.ModTime()), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
}

func aged(t *testing.T, path string, ago time.Duration) {
	t.Helper()
	at := time.Now().Add(-ago)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestALogIsReadFromItsEndTheFirstTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	put(t, file, "old 1\nold 2\nhalf")
	r := follow(t, places(t), LogOptions{Paths: []string{file}})
	r.rounds(3)
	put(t, file, " a line\nnew 1\n")
	r.want("new 1")
	put(t, file, "new")
	r.rounds(3)
	put(t, file, " 2\nnew 3\n")
	r.want("new 1", "new 2", "new 3")
}

func TestFromTheStartWhatIsThereIsLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	put(t, file, "old 1\nold 2\n")
	r := follow(t, places(t), LogOptions{Paths: []string{file}, FromStart: true})
	r.want("late old 1", "late old 2")
	put(t, file, "new\n")
	r.want("late old 1", "late old 2", "new")
}

func TestALogThatIsNotThereIsWaitedForAndReadFromItsStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	r := follow(t, places(t), LogOptions{Paths: []string{file}})
	eventually(t, "trouble", func() bool { return r.tail.Gauge().Trouble != nil })
	put(t, file, "first\n")
	r.want("first")
	eventually(t, "word that it is there", func() bool { return strings.Contains(r.log.String(), "there again") })
	if n := strings.Count(r.log.String(), "source cannot be read"); n != 1 {
		t.Errorf("told %d times:\n%s", n, r.log)
	}
	if g := r.tail.Gauge(); g.Trouble != nil || g.Read != 1 || g.Contact.IsZero() {
		t.Errorf("%+v", g)
	}
}

func TestRotationByRenameLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	put(t, file, "old\n")
	r := follow(t, places(t), LogOptions{Paths: []string{file + "*"}})
	r.rounds(3)
	put(t, file, "1\n")
	r.want("1")
	rename(t, file, file+".1")
	put(t, file+".1", "2 by the writer that was not told yet\n")
	put(t, file, "")
	r.rounds(5)
	put(t, file+".1", "3\nlast without an end")
	r.want("1", "2 by the writer that was not told yet", "3")
	put(t, file, "4\n")
	want := []string{"1", "2 by the writer that was not told yet", "3", "last without an end", "4"}
	r.want(want...)
	rename(t, file+".1", file+".2")
	rename(t, file, file+".1")
	put(t, file, "5\n")
	r.want(append(want, "5")...)
}

func TestWhatWasRotatedWhileNobodyLookedIsRead(t *testing.T) {
	for name, rotate := range map[string]func(t *testing.T, file string){
		"renamed": func(t *testing.T, file string) { rename(t, file, file+".1") },
		"renamed by date": func(t *testing.T, file string) {
			rename(t, file, file+"-20260401")
		},
		"date before the extension": func(t *testing.T, file string) {
			rename(t, file, strings.TrimSuffix(file, ".log")+"-20260401.log")
		},
		"renamed and packed": func(t *testing.T, file string) {
			rename(t, file, file+".1")
			pack(t, file+".1")
		},
		"copied and emptied": func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			put(t, file+".1", string(text))
			truncate(t, file)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, p := filepath.Join(dir, "mail.log"), places(t)
			put(t, filepath.Join(dir, "mail.log.9"), "of another time\n")
			aged(t, filepath.Join(dir, "mail.log.9"), 48*time.Hour)
			put(t, filepath.Join(dir, "mail.logger"), "of another program\n")
			put(t, file, "old\n")
			r := follow(t, p, LogOptions{Paths: []string{file}})
			r.rounds(3)
			put(t, file, "1\nhalf of")
			r.want("1")
			r.stop()
			put(t, file, " 2\n3\n")
			aged(t, file, time.Hour)
			rotate(t, file)
			put(t, file, "4\n")
			again := follow(t, p, LogOptions{Paths: []string{file}})
			again.want("half of 2", "3", "4")
		})
	}
}

func TestSeveralRotationsWhileNobodyLookedAreReadInOrder(t *testing.T) {
	file, p := filepath.Join(t.TempDir(), "mail.log"), places(t)
	put(t, file, "old\n")
	r := follow(t, p, LogOptions{Paths: []string{file}})
	r.rounds(3)
	r.stop()
	put(t, file, "1\n")
	aged(t, file, 3*time.Hour)
	rename(t, file, file+".3")
	pack(t, file+".3")
	put(t, file+".2", "2\n")
	aged(t, file+".2", 2*time.Hour)
	pack(t, file+".2")
	put(t, file+".1", "3\n")
	aged(t, file+".1", time.Hour)
	put(t, file, "4\n")
	follow(t, p, LogOptions{Paths: []string{file}}).want("1", "2", "3", "4")
}

func TestALogThatIsEmptiedWhileItIsReadGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	put(t, file, "old\n")
	r := follow(t, places(t), LogOptions{Paths: []string{file}})
	r.rounds(3)
	put(t, file, "1\n2\n")
	r.want("1", "2")
	truncate(t, file)
	put(t, file, "3\n")
	r.want("1", "2", "3")
	r.rounds(3)
	truncate(t, file)
	put(t, file, "another beginning, and longer than what was there\n") // between two looks
	r.want("1", "2", "3", "another beginning, and longer than what was there")
}

func TestARestartGoesOnWhereItStopped(t *testing.T) {
	file, p := filepath.Join(t.TempDir(), "mail.log"), places(t)
	put(t, file, "old\n")
	r := follow(t, p, LogOptions{Paths: []string{file}})
	r.rounds(3)
	put(t, file, "1\nhalf")
	r.want("1")
	r.stop()
	put(t, file, " line\n2\n")
	r = follow(t, p, LogOptions{Paths: []string{file}, FromStart: true})
	r.want("half line", "2")
	r.stop()
	r = follow(t, p, LogOptions{Paths: []string{file}})
	put(t, file, "3\n")
	r.want("3")
}

// A kill leaves what was saved at most a second before: what came since is read again, and nothing is left out.
func TestAfterAKillNothingIsLeftOut(t *testing.T) {
	file, p := filepath.Join(t.TempDir(), "mail.log"), places(t)
	put(t, file, "old\n")
	r := follow(t, p, LogOptions{Paths: []string{file}})
	r.rounds(3)
	put(t, file, "1\n")
	r.want("1")
	var killed place
	eventually(t, "place", func() bool {
		ok, err := p.load(t.Context(), "log", file, &killed)
		return ok && err == nil && killed.Offset >= 4
	})
	put(t, file, "2\n3\n")
	r.want("1", "2", "3")
	r.stop()
	if err := p.save(t.Context(), "log", file, killed); err != nil { // as if the last save had not been
		t.Fatal(err)
	}
	put(t, file, "4\n")
	rename(t, file, file+".1")
	put(t, file, "5\n")
	r = follow(t, p, LogOptions{Paths: []string{file}})
	eventually(t, "last line", func() bool { l := r.lines(); return len(l) > 0 && l[len(l)-1] == "5" })
	got := r.lines()
	if want := []string{"1", "2", "3", "4", "5"}; !slices.Equal(got[max(0, len(got)-4):], want[1:]) {
		t.Errorf("read %q", got)
	}
}

func TestALineWithoutAnEndIsNoDanger(t *testing.T) {
	file, p := filepath.Join(t.TempDir(), "mail.log"), places(t)
	put(t, file, "")
	r := follow(t, p, LogOptions{Paths: []string{file}})
	r.rounds(3)
	for range 40 {
		put(t, file, strings.Repeat("x", 10_000))
	}
	r.rounds(5)
	r.stop()
	var f follower
	for range 100 {
		f.hold(make([]byte, 10_000))
	}
	if cap(f.part) > 2*maxLine || !f.skip || f.at.Offset != 1_000_000 {
		t.Errorf("it holds %d octets and stands at %d", cap(f.part), f.at.Offset)
	}
	put(t, file, "the end of it\nshort\n")
	r = follow(t, p, LogOptions{Paths: []string{file}})
	r.want("short")
}

func TestManyLinesAtOnceAreReadInTurnsWithTheOtherFiles(t *testing.T) {
	dir := t.TempDir()
	big, small := filepath.Join(dir, "big.log"), filepath.Join(dir, "small.log")
	put(t, big, "")
	put(t, small, "")
	r := follow(t, places(t), LogOptions{Paths: []string{filepath.Join(dir, "*.log")}})
	r.rounds(3)
	var b strings.Builder
	const n = 300_000
	for i := range n {
		fmt.Fprintf(&b, "%060d\n", i)
	}
	put(t, small, "small\n")
	put(t, big, b.String())
	eventually(t, "end", func() bool { return r.tail.Gauge().Read == n+1 })
	at := slices.Index(r.lines(), "small")
	if at < 0 || at > 2*turn/61 {
		t.Errorf("the other file's line is number %d", at)
	}
}

func TestAFileThatAppearsUnderAPatternIsNewAndARotatedOneIsNot(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.log"), "old\n")
	put(t, filepath.Join(dir, "a.log.1"), "older\n")
	put(t, filepath.Join(dir, "a.log-20260101.gz"), "no gzip\n")
	r := follow(t, places(t), LogOptions{Paths: []string{filepath.Join(dir, "*")}})
	r.rounds(3)
	put(t, filepath.Join(dir, "b.log"), "b\n")
	eventually(t, "line of the new file", func() bool { return slices.Equal(r.lines(), []string{"b"}) })
}

func TestALogThatMayNotBeReadNamesTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mail.log")
	put(t, file, "")
	err := unreadable(file, &fs.PathError{Op: "open", Path: file, Err: fs.ErrPermission})
	var e *i18n.Error
	if !errors.As(err, &e) || e.Key != "watch.log.denied" {
		t.Fatal(err)
	}
	group := groupOf(file)
	for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
		if text := e.Text(l); !strings.Contains(text, "usermod -aG "+group+" ukai") || group == "" {
			t.Error(text)
		}
	}
	if g := groupOf(filepath.Join(file, "hidden", "mail.log")); g != group {
		t.Errorf("behind a closed directory: %q", g)
	}
	r := follow(t, places(t), LogOptions{Paths: []string{t.TempDir()}})
	eventually(t, "trouble", func() bool { return r.tail.Gauge().Trouble != nil })
	if text := r.tail.Gauge().Trouble.Error(); !strings.Contains(text, "plain file") {
		t.Error(text)
	}
}

// A log without years that nobody writes to for months says its first word in another year.
func TestALogThatWasSilentOverTheTurnOfTheYearIsOfToday(t *testing.T) {
	know := newHouse(t, Options{}).know
	synctest.Test(t, func(t *testing.T) {
		tail := NewTail(LogOptions{Name: "log"}, know, nil, slog.New(slog.DiscardHandler))
		line := tail.reader(know)
		for _, wait := range []time.Duration{100 * 24 * time.Hour, 200 * 24 * time.Hour, 150 * 24 * time.Hour, time.Minute} {
			time.Sleep(wait)
			now := time.Now()
			var seen []Observation
			for _, l := range []string{
				"qmgr[11]: 4Xk0001z: from=<taro@example.jp>, size=612, nrcpt=1 (queue active)",
				"smtp[13]: 4Xk0001z: to=<u@gmail.com>, relay=gmail-smtp-in.l.google.com[203.0.113.26]:25, delay=1, delays=0.1/0/0.5/0.4, dsn=2.0.0, status=sent (250 2.0.0 OK)",
			} {
				line([]byte(now.Local().Format(time.Stamp)+" mx1 postfix/"+l), false, func(o Observation) { seen = append(seen, o) })
			}
			if len(seen) != 1 || now.Sub(seen[0].Outcome.At).Abs() > time.Minute {
				t.Fatalf("%v: %+v", now, seen)
			}
			if o := seen[0]; o.Server != "mx1" || o.Outcome.Provider != "google" || o.Verdict.Class != "delivered" || o.Source != "log" {
				t.Errorf("%+v", o)
			}
		}
	})
}

func TestNamesOfRotatedLogs(t *testing.T) {
	for name, want := range map[string]bool{
		"mail.log": false, "mail.info": false, "maillog": false, "mail.log.1": true, "mail.log.12.gz": true, "mail.log-20260401": true,
		"maillog-20260401.gz": true, "mail-20260401.log": true, "mail.1.log": true, "mail.log.old": true, "mail.log.2026-04-01_12": true,
		"current": false, "@4000000065a1b2c3d4e5f607.s": true, "mail.log~": true, "mail.zst": true, "exim_mainlog.3.zst": true, "mx1.log": false,
		"plesk-18.log": true,
	} {
		if rotated.MatchString(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
