package smtpclient

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

// sendAll puts a content through blocks and returns what would go over the wire.
func sendAll(t *testing.T, s *content) []byte {
	t.Helper()
	b := getBlock()
	defer putBlock(b)
	var wire []byte
	for {
		last, err := s.next(b)
		if err != nil {
			t.Fatal(err)
		}
		if cap(b.out) != outSize {
			t.Fatalf("a block has grown to %d octets", cap(b.out))
		}
		wire = append(wire, b.out...)
		if last {
			return wire
		}
	}
}

func TestDotsAreDoubled(t *testing.T) {
	for in, want := range map[string]string{
		"":                       ".\r\n",
		"a\r\n":                  "a\r\n.\r\n",
		".\r\n":                  "..\r\n.\r\n",
		"..\r\n":                 "...\r\n.\r\n",
		"a\r\n.\r\nb\r\n":        "a\r\n..\r\nb\r\n.\r\n",
		"a.\r\n":                 "a.\r\n.\r\n",
		"\r\n\r\n.":              "\r\n\r\n..\r\n.\r\n",
		"no end":                 "no end\r\n.\r\n",
		"ends with CR\r":         "ends with CR\r\r\n.\r\n",
		"ends with LF\n":         "ends with LF\n\r\n.\r\n",
		"x\n.\nMAIL FROM:<>\r\n": "x\n..\nMAIL FROM:<>\r\n.\r\n",
		".":                      "..\r\n.\r\n",
	} {
		if got := sendAll(t, &content{src: strings.NewReader(in)}); string(got) != want {
			t.Errorf("%q is sent as %q, want %q", in, got, want)
		}
		if got := sendAll(t, &content{src: iotest.OneByteReader(strings.NewReader(in))}); string(got) != want {
			t.Errorf("%q, octet by octet, is sent as %q, want %q", in, got, want)
		}
	}
}

// receive does what a server does with DATA (RFC 5321, section 4.5.2). With anyLF, a line ends with LF alone too.
func receive(wire []byte, anyLF bool) (content, rest []byte) {
	lineEnd := []byte("\r\n")
	if anyLF {
		lineEnd = []byte("\n")
	}
	for len(wire) > 0 {
		i := bytes.Index(wire, lineEnd)
		if i < 0 {
			break
		}
		line := wire[:i+len(lineEnd)]
		wire = wire[len(line):]
		if string(bytes.TrimRight(line, "\r\n")) == "." && (anyLF || len(line) == 3) {
			return content, wire
		}
		content = append(content, bytes.TrimPrefix(line, []byte("."))...)
	}
	return content, []byte("no end")
}

// Whatever the content, a server finds its end where it is, and one that keeps to CRLF finds the content unchanged if that
// has no LF without CR. Around the block size, everything holds as well.
func FuzzContent(f *testing.F) {
	f.Add([]byte(body), 0)
	f.Add([]byte("\r\n.\r\n.\r\n"), inSize-4)
	f.Add([]byte(".\n.\n.\r\n"), inSize-1)
	f.Fuzz(func(t *testing.T, in []byte, pad int) {
		if pad > 0 {
			in = append(bytes.Repeat([]byte("."), pad%(3*inSize)), in...)
		}
		wire := sendAll(t, &content{src: bytes.NewReader(in)})
		for _, anyLF := range []bool{false, true} {
			got, rest := receive(wire, anyLF)
			if len(rest) > 0 {
				t.Fatalf("a server that takes LF (%v) finds the end early: %q is left", anyLF, rest)
			}
			want := in
			if len(want) > 0 && !bytes.HasSuffix(want, []byte("\r\n")) {
				want = append(bytes.Clone(in), '\r', '\n')
			}
			if bare := bytes.Count(in, []byte("\n")) != bytes.Count(in, []byte("\r\n")); !bare && !bytes.Equal(got, want) {
				t.Fatalf("%q arrives as %q", want, got)
			}
		}
		if len(in) > 0 {
			head, data, _ := strings.Cut(string(sendAll(t, &content{src: bytes.NewReader(in), bdat: true, size: int64(len(in))})), "\r\n")
			if data != string(in) || !strings.HasPrefix(head, "BDAT ") {
				t.Fatalf("%q arrives by %s as %q", in, head, data)
			}
		}
	})
}
