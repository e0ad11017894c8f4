package smtpserver

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"ukai/internal/mail"
)

// FuzzSession speaks anything to a server. It must neither panic nor hang, and what it took for commands and for content must
// be what a second, simple reading of RFC 5321 takes for them: then no command was executed out of a content.
//
// A 0x01 in the input cuts it: what stands behind is sent when all before has been read and answered.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\x01hello\r\n..dot\r\n.\r\nMAIL FROM:<e@f>\r\nRSET\r\nQUIT\r\n",
		"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\x01hello\r\n\x01.\r\x01\nNOOP\r\n",
		"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\x01hello\n.\nMAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n",
		"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nMAIL FROM:<evil@x>\r\n.\r\n",
		"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nab\r\nQBDAT 6 LAST\r\nUIT\r\nxRSET\r\n",
		"EHLO c\r\nMAIL FROM:<no@b>\r\nRCPT TO:<c@d>\r\nBDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
		"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<no@d>\r\nDATA\r\nBDAT 6\r\nQUIT\r\nNOOP\nNOOP\r\nNOOP\r\r\nBDAT x\r\n",
		"EHLO c\r\nMAIL FROM:<a@b> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\nRSET\r\nAUTH PLAIN\r\n*\r\nVRFY x\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) <= 60000 {
			speak(t, input)
		}
	})
}

// TestNoCommandComesOutOfAContent is FuzzSession with sessions put together from pieces that mean something.
func TestNoCommandComesOutOfAContent(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"EHLO c\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "RCPT TO:<no@d>\r\n", "DATA\r\n\x01", "DATA\r\n", "BDAT 3\r\n", "BDAT 7 LAST\r\n", "BDAT 0 LAST\r\n",
		"RSET\r\n", "hello\r\n", ".\r\n", "\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r", "\n", ".", "..", "\x01", "x", "ab\r\n", "\x00",
		"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\x01", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4\r\n", strings.Repeat("y", 1100), strings.Repeat("z", 5000),
	})
	rapid.Check(t, func(r *rapid.T) {
		speak(t, []byte("HELO c\r\n"+strings.Join(rapid.SliceOfN(pieces, 1, 40).Draw(r, "pieces"), "")))
	})
}

// speak sends the input to a server and compares what it took with what the simple reading takes.
func speak(t *testing.T, input []byte) {
	b := &box{replies: map[string]*mail.Reply{"RCPT no@d": {Code: 550, Lines: []string{"5.1.1 No"}}}}
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{MaxSize: 3000, MaxErrors: 50}, ListenerOptions{}, b, nil)
		conn := r.raw("192.0.2.7:1")
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(&out, conn)
		}()
		for part := range bytes.SplitSeq(input, []byte{1}) {
			if len(part) == 0 {
				continue
			}
			if _, err := conn.Write(part); err != nil {
				break // it has had enough
			}
			synctest.Wait()
		}
		conn.Close()
		<-done
		r.stop()
	})
	ref := read(bytes.ReplaceAll(input, []byte{1}, nil), out.String())
	var delivered, asked []string
	for _, d := range b.delivered {
		delivered = append(delivered, d.body)
	}
	for _, a := range b.asked {
		if strings.HasPrefix(a, "MAIL") {
			asked = append(asked, a)
		}
	}
	if !slices.Equal(delivered, ref.contents) {
		t.Fatalf("input %q\ndelivered %q\nwant      %q\nreplies %q", input, delivered, ref.contents, out.String())
	}
	if len(asked) != ref.mails {
		t.Fatalf("input %q\nasked %q, want %d of them\nreplies %q", input, asked, ref.mails, out.String())
	}
}

// reading is what the simple reading of a session finds.
type reading struct {
	contents []string // of accepted messages
	mails    int      // accepted MAIL commands
}

var bdatLine = regexp.MustCompile(`(?i)^bdat +([0-9]{1,20})( +last)?[ \t]*\r\n$`)

// read goes through the input with the replies in hand: each belongs to a line, to a chunk or to a content.
func read(input []byte, replies string) (r reading) {
	in := string(input)
	var chunks strings.Builder
	var body *string                            // of DATA, whose reply comes next
	for _, reply := range finals(replies)[1:] { // the first is the greeting
		if body != nil {
			if strings.HasPrefix(reply, "250") {
				r.contents = append(r.contents, unstuff(*body))
			}
			body = nil
			continue
		}
		line := in
		if i := strings.IndexByte(in, '\n'); i >= 0 {
			line = in[:i+1]
		}
		in = in[len(line):]
		if strings.HasPrefix(reply, "421") {
			return r
		}
		ok := strings.HasPrefix(reply, "250")
		switch m := bdatLine.FindStringSubmatch(line); {
		case m != nil && len(line) <= 512 && !strings.HasPrefix(reply, "500"):
			n, err := strconv.Atoi(m[1])
			if err != nil || n > len(in) {
				return r
			}
			if chunks.WriteString(in[:n]); !ok {
				chunks.Reset()
			}
			in = in[n:]
			if ok && m[2] != "" {
				r.contents = append(r.contents, withEnd(chunks.String()))
				chunks.Reset()
			}
		case strings.HasPrefix(reply, "354"):
			i := strings.Index("\r\n"+in, "\r\n.\r\n")
			if i < 0 {
				return r
			}
			content := in[:i]
			body, in = &content, in[i+3:]
		case ok && len(line) > 4 && strings.EqualFold(line[:4], "MAIL"):
			chunks.Reset()
			r.mails++
		}
	}
	return r
}

func withEnd(s string) string {
	if s != "" && !strings.HasSuffix(s, "\r\n") {
		s += "\r\n"
	}
	return s
}

// finals returns the last line of each reply.
func finals(replies string) (out []string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(replies, "\r\n"), "\r\n") {
		if len(line) > 3 && line[3] != '-' {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		out = []string{""}
	}
	return out
}
