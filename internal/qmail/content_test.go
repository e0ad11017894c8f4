package qmail

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestLineEndsOfAFileBecomeThoseOfSMTP(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"as qmail keeps it", "a\n\nb\n", "a\r\n\r\nb\r\n"},
		{"as a program on the web left it", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
		{"twice too many", "a\r\r\nb\n", "a\r\nb\r\n"},
		{"a CR alone", "a\rb\n", "a\r\nb\r\n"},
		{"the last line has no end", "a\nb", "a\r\nb\r\n"},
		{"the last line ends in a CR", "a\nb\r", "a\r\nb\r\n"},
		{"nothing", "", ""},
		{"dots are left alone", ".\n..\n", ".\r\n..\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, src := range map[string]io.Reader{"at once": strings.NewReader(c.in), "by octets": iotest.OneByteReader(strings.NewReader(c.in)), "with its end": iotest.DataErrReader(strings.NewReader(c.in))} {
				b, err := io.ReadAll(&crlfReader{src: src})
				if err != nil || string(b) != c.out {
					t.Errorf("%s: %q %v", name, b, err)
				}
			}
		})
	}
}

func TestAContentHasNoLineEndThatIsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOf(rapid.SampledFrom([]rune("ab.\r\n"))).Draw(t, "in")
		b, err := io.ReadAll(&crlfReader{src: strings.NewReader(in)})
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.ReplaceAll(string(b), "\r\n", "")
		if strings.ContainsAny(rest, "\r\n") || len(b) > 0 && !bytes.HasSuffix(b, []byte("\r\n")) {
			t.Fatalf("%q became %q", in, b)
		}
		if want := strings.NewReplacer("\r", "", "\n", "").Replace(in); rest != want {
			t.Fatalf("%q became %q", in, b)
		}
	})
}

func TestAMessageIsReadAsOftenAsNeeded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(name, []byte("before\nSubject: x\n\n\xe3\x81\x82\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "Subject: x\r\n\r\n\xe3\x81\x82\r\n"
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(w, "Subject: x\n\n\xe3\x81\x82\n")
		w.Close()
	}()
	for name, in := range map[string]*os.File{"a file that is open in its midst": file, "a pipe": r} {
		t.Run(name, func(t *testing.T) {
			m, err := openMessage(in)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			for range 2 {
				size, eightBit, err := m.measure()
				if err != nil || size != int64(len(want)) || !eightBit {
					t.Errorf("%d %v %v", size, eightBit, err)
				}
				if err := m.rewind(); err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(m.f) // what the original reads
				if err != nil || string(raw) != strings.ReplaceAll(want, "\r\n", "\n") {
					t.Errorf("%q %v", raw, err)
				}
				b, err := io.ReadAll(m.content())
				if err != nil || string(b) != want {
					t.Errorf("%q %v", b, err)
				}
			}
		})
	}
}
