package dsn

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// repeated is an endless text.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at]
		r.at = (r.at + 1) % len(r.text)
	}
	return len(p), nil
}

// bombs are mails that were made to make a reader work for hours or fill its memory.
func bombs() map[string]io.Reader {
	start := "From: MAILER-DAEMON@example.net\nSubject: failure notice\n"
	endless := func(head, text string) io.Reader {
		return io.LimitReader(io.MultiReader(strings.NewReader(head), &repeated{text: text}), 1<<30)
	}
	mixed := start + "Content-Type: multipart/mixed; boundary=b\n\n"
	var deep strings.Builder
	deep.WriteString(start)
	for i := range 20000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	var forwarded strings.Builder
	for range 20000 {
		forwarded.WriteString("Subject: failure notice\nContent-Type: message/rfc822\n\n")
	}
	report := start + "Content-Type: multipart/report; boundary=b; report-type=delivery-status\n\n--b\nContent-Type: message/delivery-status\n\n"
	return map[string]io.Reader{
		"a gigabyte in one line":          endless(start+"\n", "x"),
		"a gigabyte of addresses":         endless(start+"\n", "a@b "),
		"a gigabyte of lines with one":    endless(start+"\n\n", "<a@b.example>: 550 5.1.1 no\n\n"),
		"a gigabyte of one header":        endless(start, "x"),
		"a gigabyte of headers":           endless(start, "To: a@b.example\n"),
		"a gigabyte of one folded field":  endless(start+"Subject: x\n", " x\n"),
		"a gigabyte of carriage returns":  endless(start+"\n", "\r"),
		"a gigabyte of line ends":         endless(start+"\n", "\n"),
		"a gigabyte of NULs":              endless("", "\x00"),
		"parts without end":               endless(mixed, "--b\nContent-Type: text/plain\n\nx\n"),
		"ends of parts without end":       endless(mixed, "--b--\n"),
		"delimiters that are none":        endless(mixed, "--bx\n"),
		"parts within parts":              strings.NewReader(deep.String()),
		"messages within messages":        strings.NewReader(forwarded.String()),
		"a bomb of base64":                endless(mixed+"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n", "QUFB"),
		"a bomb of quoted-printable":      endless(mixed+"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n", "=41="),
		"many parts of base64":            endless(mixed, "--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat("QUFB", 5000)+"\n"),
		"recipients without end":          endless(report, "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n\n"),
		"a field that is not folded":      endless(report+"Final-Recipient: rfc822; a@b.example\nDiagnostic-Code: smtp; 550\n", "x\n"),
		"encoded words without end":       endless("Subject: ", "=?utf-8?B?QUFB?= "),
		"encoded words that do not end":   endless("Subject: ", "=?"),
		"a parameter without end":         endless(start+"Content-Type: text/plain; ", "a=b; "),
		"quotes without end":              endless(start+"Content-Type: multipart/mixed; boundary=\"", "\\\""),
		"a transcript without end":        endless(start+"\n", ">>> RCPT TO:<a@b.example>\n<<< 550 no\n"),
		"phrases without end":             endless(start+"\n", "original message could not be delivered to "),
		"escapes without end":             endless(start+"\n", "\x1b$B"),
		"shift-out without end":           endless(start+"\n\x1b$)C", "\x0e99"),
		"tags without end":                endless(start+"Content-Type: text/html\n\n", "<a"),
		"tags and styles":                 endless(start+"Content-Type: text/html\n\n", "<style>"),
		"quotation marks":                 endless(start+"\n", "> "),
		"at signs":                        endless(start+"\n", "@"),
		"quoted local parts":              endless(start+"\n", "\"@"),
		"codes":                           endless(start+"\n<a@b.example>:\n", "550-5.1.1 "),
		"notices without end":             endless(start+"\n{\"notificationType\":", "{\"a\":"),
		"UTF-7":                           endless(start+"Content-Type: text/plain; charset=utf-7\n\n", "+AAA"),
		"japanese without label":          endless(start+"\n", "\x83\x81\x81\x5b"),
		"what looks like a boundary":      endless(start+"\n", "--x\nContent-\n"),
		"forwarded reports in each other": endless(start+"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"),
	}
}

// TestBombsAreHarmless holds Read to its bounds: under a second and 64 MB, whatever comes. Time is measured with room for a busy
// machine; what grows faster than the input would need minutes.
func TestBombsAreHarmless(t *testing.T) {
	known()
	for name, in := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			r, err := ReadFrom(in, 0)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			checkReading(t, r)
			if took > time.Minute {
				t.Errorf("took %v", took)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 64 {
				t.Errorf("allocated %d MB", used)
			}
			t.Logf("%v, %d MB, %s, %d results, %q", took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20, r.Kind, len(r.Results), r.Skipped)
		})
	}
}

func TestWhatIsNotLookedAtIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a long mail":     {strings.Repeat("x", MaxBytes+1), "the mail is too long"},
		"many parts":      {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", MaxParts+1), "too many parts"},
		"a long header":   {strings.Repeat("X-A: b\n", MaxHeader/7+1) + "\nbody", "too long"},
		"a long line":     {"Subject: x\n\n" + strings.Repeat("x", MaxLine+1), "very long lines"},
		"many recipients": {"Content-Type: message/delivery-status\n\n" + strings.Repeat("Final-Recipient: rfc822; a@b.example\n\n", MaxResults+1), "too many"},
	} {
		if r := Read([]byte(c.in)); !strings.Contains(strings.Join(r.Skipped, "; "), c.want) {
			t.Errorf("%s: %q", name, r.Skipped)
		}
	}
}

func TestReportsBehindALongPreambleOfHeadersAreRead(t *testing.T) {
	b := readFile(t, "testdata/read/qmail.eml")
	b = append([]byte("From MAILER-DAEMON Mon Apr 15 09:00:00 2019\nX-Trace: "+strings.Repeat("x", 1<<16)+"\n"), b...)
	if r := Read(b); r.Format != "qmail" || len(r.Results) != 2 {
		t.Errorf("%s %d", r.Format, len(r.Results))
	}
	if !bytes.Contains(b, []byte("qmail-send")) {
		t.Fatal("the mail has changed")
	}
}
