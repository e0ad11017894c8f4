package smtpclient

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestContentThatCannotBeReadIsNeverEnded(t *testing.T) {
	kaput := errors.New("bad block on disk")
	broken := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("0123456789\r\n", n)), iotest.ErrReader(kaput))
	}
	data := hello("PIPELINING") + "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nX: hang"
	bdat := hello("PIPELINING", "CHUNKING") + "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nS: 250 ok\nS: 250 ok\nX: hang"
	for _, test := range []struct {
		name, script string
		content      io.Reader
		size         int64
		want         error
	}{
		{"a short one", data, broken(10), 120, kaput},
		{"a long one", data, broken(50_000), 600_000, kaput},
		{"a short one by BDAT", bdat, broken(10), 240, kaput},
		{"a long one by BDAT", bdat, broken(50_000), 1_200_000, kaput},
		{"one that is shorter than promised", bdat, strings.NewReader("12345"), 6, errSize},
		{"one that is longer than promised", bdat, strings.NewReader("12345"), 4, errSize},
		{"one that is much longer than promised", bdat, strings.NewReader(strings.Repeat("x", 500_000)), 499_999, errSize},
		{"one that is longer than promised by just one block", bdat, strings.NewReader(strings.Repeat("x", 2*outSize)), outSize, errSize},
		{"one that is a little shorter than promised", bdat, strings.NewReader(strings.Repeat("x", 499_999)), 500_000, errSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(t, test.script)
			m := message("", "b@example.org")
			m.Content, m.Envelope.Size = test.content, test.size
			res := dialPeer(t, p, Options{}).Send(t.Context(), m)
			if want := "data the content could not be read: " + test.want.Error() + " (temporary)"; tellAll(res) != want {
				t.Errorf("%s, want %s", tellAll(res), want)
			}
			if !errors.Is(res.Broken, test.want) || res.ConnUsable || res.Stale {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestBDAT(t *testing.T) {
	long := strings.Repeat("0123456789abcde\n", 20_000)
	for _, test := range []struct{ name, content string }{
		{"short", ".\r\n.\r\nno line end"}, {"long", long}, {"a block to the octet", long[:outSize]}, {"a block and one", long[:outSize+1]},
		{"one less than a block", long[:outSize-1]}, {"a block with the command", long[:outSize-len("BDAT 65518 LAST\r\n")]},
		{"one less than a block with the command", long[:outSize-len("BDAT 65518 LAST\r\n")-1]}, {"one octet", "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := len(test.content)
			p := play(t, hello("PIPELINING", "CHUNKING")+fmt.Sprintf(`
				C: MAIL FROM:<a@sender.example>
				C: RCPT TO:<b@example.org>
				C: RCPT TO:<c@example.org>
				S: 250 ok
				S: 250 ok
				S: 550 no
				C: BDAT %d LAST
				B: %d
				S: 250 done`, n, n))
			res := dialPeer(t, p, Options{}).Send(t.Context(), message(test.content, "b@example.org", "c@example.org"))
			if got := tellAll(res); got != "end-of-data 250 done\nrcpt 550 no" {
				t.Error(got)
			}
			if got := p.content(); len(got) != 1 || got[0] != test.content {
				t.Error("the content was changed")
			}
		})
	}
}

func TestBDATIsNotSentForNobody(t *testing.T) {
	envelope := "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\n"
	p := play(t, hello("PIPELINING", "CHUNKING")+envelope+"S: 250 ok\nS: 550 no\nC: RSET\n"+envelope+"S: 250 ok\nS: 550 no\nS: 503 no\n"+envelope+`
		S: 250 ok
		S: 250 ok
		C: BDAT 37 LAST
		B: 37
		S: 250 done`)
	c := dialPeer(t, p, Options{})
	for _, want := range []string{"rcpt 550 no", "mail 550 no", "end-of-data 250 done"} {
		if got := tellAll(c.Send(t.Context(), message(body, "b@example.org"))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestDATAIsUsedWhereBDATIsOfNoUse(t *testing.T) {
	script := hello("PIPELINING", "CHUNKING") + "C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 done"
	t.Run("it is switched off", func(t *testing.T) {
		if got := tellAll(dialPeer(t, play(t, script), Options{NoChunking: true}).Send(t.Context(), message(body, "b@example.org"))); got != "end-of-data 250 done" {
			t.Error(got)
		}
	})
	t.Run("the size is not known", func(t *testing.T) {
		m := message(body, "b@example.org")
		m.Envelope.Size = 0
		if got := tellAll(dialPeer(t, play(t, script), Options{}).Send(t.Context(), m)); got != "end-of-data 250 done" {
			t.Error(got)
		}
	})
}

func TestAServerThatHasHadEnoughOfALongContentIsHeard(t *testing.T) {
	long := strings.Repeat("0123456789abcde\r\n", 1<<20)
	for name, script := range map[string]string{
		"DATA": "C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nB: 100000\nS: 552 5.3.4 too big\nX: ",
		"BDAT": fmt.Sprintf("S: 250 ok\nS: 250 ok\nC: BDAT %d LAST\nB: 100000\nS: 552 5.3.4 too big\nX: ", len(long)),
	} {
		for _, end := range []string{"pause", "close"} {
			t.Run(name+" and then "+end, func(t *testing.T) {
				ext := []string{"PIPELINING"}
				if name == "BDAT" {
					ext = append(ext, "CHUNKING")
				}
				p := play(t, hello(ext...)+"C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\n"+script+end)
				res := dialPeer(t, p, Options{}).Send(t.Context(), message(long, "b@example.org"))
				if got := tellAll(res); got != "end-of-data 552 5.3.4 too big" || res.ConnUsable {
					t.Errorf("%s, usable %v", got, res.ConnUsable)
				}
			})
		}
	}
}

func TestALongContentIsSentWhole(t *testing.T) {
	long := strings.Repeat(".0123456789\r\n..\r\n\r\n", 8_000)
	p := play(t, hello("PIPELINING")+strings.Repeat(`
		C: MAIL FROM:<a@sender.example>
		C: RCPT TO:<b@example.org>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go
		D:
		S: 250 done
		`, 5))
	c := dialPeer(t, p, Options{})
	for range 5 { // the listener of one must not disturb the next
		if res := c.Send(t.Context(), message(long, "b@example.org")); tellAll(res) != "end-of-data 250 done" || !res.ConnUsable {
			t.Fatal(tellAll(res))
		}
	}
	want := strings.ReplaceAll("\r\n"+long, "\r\n.", "\r\n..")[2:] + ".\r\n"
	for _, got := range p.content() {
		if got != want {
			t.Error("the content was changed")
		}
	}
}

func TestTheConnectionIsLostInALongContent(t *testing.T) {
	p := play(t, hello("PIPELINING")+"C: MAIL FROM:<a@sender.example>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nB: 100000\nX: reset")
	res := dialPeer(t, p, Options{}).Send(t.Context(), message(strings.Repeat("0123456789abcde\r\n", 1<<20), "b@example.org"))
	if got := tellAll(res); !strings.HasPrefix(got, "data ") || !strings.HasSuffix(got, "(temporary)") || res.ConnUsable || res.Broken != nil {
		t.Errorf("%s, usable %v, broken %v", got, res.ConnUsable, res.Broken)
	}
}
