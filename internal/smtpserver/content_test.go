package smtpserver

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ukai/internal/mail"
)

func (s *sink) Commit(context.Context) mail.Reply { return mail.Reply{Code: 250} }
func (s *sink) Abort()                            {}

// feed shows in to the scanner as a connection would that delivers step octets at a time; it returns what was left at the end.
func feed(scan *scanner, in string, step int) (left string) {
	var have []byte
	for {
		n, end := scan.data(have)
		have = have[n:]
		if end {
			return string(have) + in
		}
		if in == "" {
			return "no end"
		}
		k := min(step, len(in))
		have, in = append(have, in[:k]...), in[k:]
	}
}

// unstuff is RFC 5321, section 4.5.2, said simply.
func unstuff(body string) string {
	var out strings.Builder
	for line := range strings.SplitAfterSeq(body, "\r\n") {
		out.WriteString(strings.TrimPrefix(line, "."))
	}
	return out.String()
}

// judge is the rules for content, said simply.
func judge(content string, maxSize, maxLine int) breach {
	plain := strings.ReplaceAll(content, "\r\n", "")
	switch {
	case strings.ContainsAny(plain, "\r\n"):
		return bareLineEnd
	case strings.Contains(content, "\x00"):
		return nulOctet
	case len(content) > maxSize:
		return tooBig
	}
	for line := range strings.SplitSeq(content, "\r\n") {
		if len(line) > maxLine {
			return lineTooLong
		}
	}
	return noBreach
}

func TestTheScannerFindsTheEndAndTheContentHoweverItIsCut(t *testing.T) {
	piece := rapid.SampledFrom([]string{"\r\n", "\r\n", "\r\n", ".", "..", "\r", "\n", "abc", "\x00", "ä", strings.Repeat("x", 30), strings.Repeat("y", 5000)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "text"), "") + "\r\n.\r\n"
		maxLine := rapid.SampledFrom([]int{25, 6000}).Draw(t, "maxLine")
		maxSize := rapid.SampledFrom([]int{40, 1 << 20}).Draw(t, "maxSize")

		// Where the end is, said simply: the first CRLF "." CRLF, or a lone dot at the very start.
		body, after, _ := strings.Cut(text, "\r\n.\r\n")
		body += "\r\n"
		if rest, at := strings.CutPrefix(text, ".\r\n"); at {
			body, after = "", rest
		}
		// An oddity of Cut: CRLF CR LF ... is found where it begins, which is what is wanted.
		wantBreach := judge(body, 1<<30, 1<<30)
		content := unstuff(body)
		if wantBreach == noBreach {
			wantBreach = judge(content, maxSize, maxLine)
		}

		var got strings.Builder
		var scan scanner
		scan.start(&sink{&got}, int64(maxSize), maxLine)
		left := feed(&scan, text, rapid.IntRange(1, 7000).Draw(t, "step"))
		if left != after {
			t.Fatalf("left %q, want %q", left, after)
		}
		if (scan.broken == noBreach) != (wantBreach == noBreach) {
			t.Fatalf("broken %d, want %d", scan.broken, wantBreach)
		}
		if scan.taken != int64(len(text)-len(after)) {
			t.Fatalf("took %d of %d", scan.taken, len(text)-len(after))
		}
		if wantBreach == noBreach && (got.String() != content || scan.size != int64(len(content)) || scan.eightBit != strings.Contains(content, "ä")) {
			t.Fatalf("content %q, size %d, eightBit %v; want %q", got.String(), scan.size, scan.eightBit, content)
		}
	})
}

func TestChunksAreTakenHoweverTheyAreCut(t *testing.T) {
	piece := rapid.SampledFrom([]string{"\r\n", "\r\n", ".", "\r", "\n", "abc", "ä", strings.Repeat("y", 5000)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "text"), "")
		step := rapid.IntRange(1, 7000).Draw(t, "step")
		var got strings.Builder
		var scan scanner
		scan.start(&sink{&got}, 1<<20, 1<<20)
		for rest := text; rest != ""; {
			k := min(step, len(rest))
			scan.chunk([]byte(rest[:k]))
			rest = rest[k:]
		}
		scan.finishChunks()
		want := judge(text, 1<<30, 1<<30)
		if (scan.broken == noBreach) != (want == noBreach) {
			t.Fatalf("broken %d, want %d", scan.broken, want)
		}
		if text != "" && !strings.HasSuffix(text, "\r\n") {
			text += "\r\n"
		}
		if want == noBreach && got.String() != text {
			t.Fatalf("content %q, want %q", got.String(), text)
		}
	})
}

func TestALineWithoutEndIsNotKept(t *testing.T) {
	var got strings.Builder
	var scan scanner
	scan.start(&sink{&got}, 1<<30, 1<<30)
	long := bytes.Repeat([]byte("x"), 20000)
	if n, end := scan.data(long); n != len(long) || end || got.Len() != len(long) {
		t.Errorf("took %d, handed on %d", n, got.Len())
	}
	// The dot behind it is in the middle of a line, and so is this one's.
	if n, end := scan.data([]byte(".\r\n.\r\n")); n != 6 || !end || got.Len() != len(long)+3 {
		t.Errorf("took %d, end %v, handed on %d", n, end, got.Len())
	}
}

func TestHasHighBit(t *testing.T) {
	for n := range 70 {
		b := bytes.Repeat([]byte{'a'}, n)
		if hasHighBit(b) {
			t.Fatalf("%d octets of ASCII", n)
		}
		for i := range b {
			b[i] = 0x80
			if !hasHighBit(b) {
				t.Fatalf("octet %d of %d", i, n)
			}
			b[i] = 'a'
		}
	}
}
