package smtpclient

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// readReply reads the first reply of an input.
func readReply(rd *reader, src io.Reader) (rawReply, error) {
	for {
		raw, ok, err := rd.scan()
		if ok || err != nil {
			return raw, err
		}
		if err := rd.fill(src); err != nil {
			return rawReply{}, err
		}
	}
}

func TestReply(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     string // as mail.Reply.String gives it
		lines    []string
	}{
		{"one line", "250 ok\r\n", "250 ok", []string{"ok"}},
		{"an enhanced status code", "250 2.1.0 ok\r\n", "250 2.1.0 ok", []string{"2.1.0 ok"}},
		{"several lines", "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n", "550 5.7.1 one two three", []string{"5.7.1 one", "5.7.1 two", "5.7.1 three"}},
		{"a status in the second line only", "550-hello\r\n550 5.1.1 who\r\n", "550 5.1.1 hello who", []string{"hello", "5.1.1 who"}},
		{"lines that end with LF", "250-a\n250 b\n", "250 a b", []string{"a", "b"}},
		{"no text", "250 \r\n", "250", []string{""}},
		{"no text and no space", "250\r\n", "250", []string{""}},
		{"no text in between", "250-a\r\n250-\r\n250 b\r\n", "250 a b", []string{"a", "", "b"}},
		{"several CR", "250 ok\r\r\n", "250 ok", []string{"ok"}},
		{"the last code counts", "250-a\r\n550 b\r\n", "550 a b", []string{"a", "b"}},
		{"control characters are made visible", "550 a\x1b[31mb\x00\tc\x7f\xc2\x85d\r\n", "550 a?[31mb? c??d", []string{"a?[31mb? c??d"}},
		{"what is not UTF-8 is marked", "550 \xff\xfe ü\r\n", "550 \ufffd\ufffd ü", []string{"\ufffd\ufffd ü"}},
		{"Japanese", "550 受信拒否\r\n", "550 受信拒否", []string{"受信拒否"}},
	} {
		for how, src := range map[string]io.Reader{"": strings.NewReader(test.in), ", octet by octet": iotest.OneByteReader(strings.NewReader(test.in))} {
			t.Run(test.name+how, func(t *testing.T) {
				raw, err := readReply(&reader{}, src)
				if err != nil {
					t.Fatal(err)
				}
				r := raw.reply()
				if r.String() != test.want || !slices.Equal(r.Lines, test.lines) || r.Code != raw.code {
					t.Errorf("%q with lines %q, want %q with %q", r.String(), r.Lines, test.want, test.lines)
				}
			})
		}
	}
}

func TestRepliesFollowEachOther(t *testing.T) {
	rd := new(reader)
	src := iotest.HalfReader(strings.NewReader("250 one\r\n250-two\r\n250 more\r\n354 three\r\n"))
	for _, want := range []string{"250 one", "250 two more", "354 three"} {
		raw, err := readReply(rd, src)
		if err != nil || raw.reply().String() != want {
			t.Errorf("%q, %v, want %q", raw.reply().String(), err, want)
		}
	}
	if rd.buffered() != 0 {
		t.Errorf("%d octets are left", rd.buffered())
	}
}

func TestWhatIsNoReply(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, test := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", io.EOF},
		{"half a line", "250 o", io.EOF},
		{"half a reply", "250-one\r\n", io.EOF},
		{"a short line", "25\r\n", errNotSMTP},
		{"an empty line", "\r\n", errNotSMTP},
		{"letters", "OK 250\r\n", errNotSMTP},
		{"no code of SMTP", "150 ok\r\n", errNotSMTP},
		{"a code too high", "600 ok\r\n", errNotSMTP},
		{"a code too long", "2500 ok\r\n", errNotSMTP},
		{"a tab", "250\tok\r\n", errNotSMTP},
		{"garbage in the second line", "250-ok\r\nok\r\n", errNotSMTP},
		{"too many lines", strings.Repeat("250-x\r\n", 101), errReplySize},
		{"a line too long", "250 " + strings.Repeat("x", 70_000) + "\r\n", errReplySize},
		{"a line without end", strings.Repeat("2", 200_000), errReplySize},
		{"lines too long together", strings.Repeat("250-"+long+"\r\n", 80), errReplySize},
	} {
		t.Run(test.name, func(t *testing.T) {
			if raw, err := readReply(&reader{}, strings.NewReader(test.in)); !errors.Is(err, test.want) {
				t.Errorf("%q, %v, want %v", raw.text, err, test.want)
			}
		})
	}
}

func TestAReplyMayBeAsLargeAsAllowed(t *testing.T) {
	in := strings.Repeat("250-"+strings.Repeat("x", 640)+"\r\n", 99) + "250 end\r\n"
	raw, err := readReply(&reader{}, strings.NewReader(in))
	if err != nil || len(raw.reply().Lines) != 100 {
		t.Errorf("%d lines, %v", len(raw.reply().Lines), err)
	}
}

func TestASourceThatGivesNothingIsAnError(t *testing.T) {
	if _, err := readReply(&reader{buf: make([]byte, 10)}, nothing{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

// However the octets arrive, the same replies are found, within the limits, and each can be told and stored.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "550-5.7.1 a\r\n550 5.7.1 b\r\n354\n", "250-\x00\r\n250 \xff\r\n", "421 4.7.0", "2\r\n", "250-a\r\n" + strings.Repeat("250-b\r\n", 120)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, slow := new(reader), new(reader)
		src, drip := bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))
		for {
			a, errA := readReply(whole, src)
			b, errB := readReply(slow, drip)
			if (errA == nil) != (errB == nil) || a.code != b.code || !bytes.Equal(a.text, b.text) {
				t.Fatalf("at once %d %q %v, octet by octet %d %q %v", a.code, a.text, errA, b.code, b.text, errB)
			}
			if errA != nil {
				return
			}
			r := a.reply()
			if r.Code < 200 || r.Code > 599 || len(r.Lines) != a.lines || a.lines > maxReplyLines || len(a.text) > maxReplySize {
				t.Fatalf("%d with %d lines of %d: %q", r.Code, len(r.Lines), a.lines, a.text)
			}
			for _, l := range r.Lines {
				if !utf8.ValidString(l) || strings.ContainsFunc(l, func(c rune) bool { return c < ' ' || c == 0x7f }) {
					t.Fatalf("line %q", l)
				}
			}
		}
	})
}

func FuzzExtensions(f *testing.F) {
	f.Add("mx.example.org\nSIZE 1000\nAUTH PLAIN\nLIMITS MAILMAX=5")
	f.Add("mx\nSIZE -1\nAUTH=\nLIMITS RCPTMAX=99999999999999999999")
	f.Fuzz(func(t *testing.T, lines string) {
		e := parseExtensions(strings.Split(lines, "\n"))
		if e.MaxSize < 0 || e.MailMax < 0 || e.RcptMax < 0 || e.RcptDomainMax < 0 {
			t.Errorf("%+v", e)
		}
	})
}
