package maillog

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// seeds are the lines of all stories.
func seeds(f *testing.F) []string {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no stories", err)
	}
	var all []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		log, _, _ := strings.Cut(string(raw), divider)
		for line := range strings.Lines(log) {
			all = append(all, strings.TrimSuffix(line, "\n"))
		}
	}
	return all
}

// sound tells what an event must hold whatever the line was.
func sound(t *testing.T, e *Event) {
	if e.Kind < Delivered || e.Kind > Accepted || e.MTA < Postfix || e.MTA > OpenSMTPD {
		t.Fatalf("an event of kind %d by %d", e.Kind, e.MTA)
	}
	if e.Reply.Code != 0 && (e.Reply.Code < 200 || e.Reply.Code > 599) {
		t.Fatalf("a reply with code %d", e.Reply.Code)
	}
	if e.Delay < 0 || e.Size < 0 {
		t.Fatalf("delay %v, size %d", e.Delay, e.Size)
	}
	for _, s := range append([]string{e.Host, e.Queue, e.From, e.To, e.OrigTo, e.Relay, e.Helo, e.ClientName, e.Account, e.Text, e.MessageID, e.List}, e.Reply.Lines...) {
		if i := strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }); i >= 0 {
			t.Fatalf("a control character in %q", s)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add([]byte(s), byte(0))
	}
	f.Add([]byte("to=<>,"), byte(Postfix))
	f.Add([]byte("10Hma"), byte(Exim))
	f.Fuzz(func(t *testing.T, b []byte, server byte) {
		p := NewParser(Options{Now: storyTime, Location: time.UTC, MTA: MTA(server % byte(MTAs)), Remember: 4})
		n := 0
		for range 2 { // the second time, the first is known
			if err := p.Line(b, func(e *Event) error { n++; sound(t, e); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		s := p.Stats()
		if s.Lines != 2 || s.Events != int64(n) || s.Mail+s.Foreign+s.TooLong > 2 || s.Unknown > s.Mail {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzSet(f *testing.F) {
	all := strings.Join(seeds(f), "\n")
	for chunk := 0; chunk < len(all); chunk += 1024 {
		f.Add([]byte(all[chunk:min(len(all), chunk+1024)]))
	}
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x00"))
	f.Add([]byte("BZh91AY"))
	path := filepath.Join(f.TempDir(), "log")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open([]string{path}, Options{Now: storyTime, Location: time.UTC, Remember: 16})
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.Read(context.Background(), func(e *Event) error { sound(t, e); return nil })
		if err != nil {
			t.Fatal(err)
		}
		plain := !bytes.HasPrefix(b, magicGzip) && !bytes.HasPrefix(b, magicZstd) && !bytes.HasPrefix(b, magicBzip2) && !bytes.HasPrefix(b, magicXz) && !bytes.HasPrefix(b, magicZip)
		if want := int64(bytes.Count(b, []byte("\n"))); plain && st.Lines < want {
			t.Fatalf("%d lines of %d were read", st.Lines, want)
		}
	})
}
