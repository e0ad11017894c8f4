package smtpserver

import (
	"strings"
	"testing"
	"testing/synctest"
)

// The ends of data that one server or another was found to take for CRLF "." CRLF: Longin, "SMTP Smuggling", 2023; the lists of
// the Postfix and Exim advisories (CVE-2023-51764, CVE-2023-51766); variants with NUL and with doubled CR.
var falseEnds = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r.\n", "\n.\r", "\r\n.\r\r\n", "\n\n.\r\n", "\r\n\x00.\r\n",
	"\r\n.\x00\r\n", "\r\n..\n\r\n", "\r\r\n.\r\r\n", "\n\r.\n\r", "\n.\n\r\n", "\r\n\x00.\x00\r\n", "\n.\r\r\n",
}

const smuggled = "MAIL FROM:<admin@test>\r\nRCPT TO:<victim@test>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo\r\n.\r\n"

func TestNoFalseEndOfDataEndsTheData(t *testing.T) {
	for _, end := range falseEnds {
		// One write, an octet at a time, and cut in the middle of the false end.
		for _, cut := range []int{0, 1, len(end)} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{MaxErrors: 1000}, ListenerOptions{}, &box{}, nil)
				p := r.dial()
				p.want("220*")
				p.hello()
				p.send("MAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\n")
				p.want("250*", "250*", "354*")
				whole := "Subject: x\r\n\r\nhello" + end + smuggled
				switch cut {
				case 0:
					p.send(whole)
				case 1:
					for i := range len(whole) {
						p.send(whole[i : i+1])
					}
				default:
					p.send(whole[:strings.Index(whole, end)+len(end)/2])
					p.send(whole[strings.Index(whole, end)+len(end)/2:])
				}
				// The real end is the one of the smuggled message: one reply for all of it.
				p.want("550 5.6.0*")
				p.send("NOOP\r\n")
				p.want("250 2.0.0 OK")
				if len(r.box.delivered) != 0 || len(r.box.asked) != 2 || r.box.aborted != 1 {
					t.Errorf("%q: delivered %v, asked %q, aborted %d", end, r.box.delivered, r.box.asked, r.box.aborted)
				}
				p.message() // the session lives
			})
		}
	}
}

func TestContentMayHoldWhatLooksLikeAnEnd(t *testing.T) {
	for in, want := range map[string]string{
		"..\r\n.\r\n":            ".\r\n",
		"...\r\n.\r\n":           "..\r\n",
		".x\r\n.\r\n":            "x\r\n", // RFC 5321, section 4.5.2: the dot goes, whatever follows
		"a\r\n.b\r\nc\r\n.\r\n":  "a\r\nb\r\nc\r\n",
		"a\r\n..\r\n..\r\n.\r\n": "a\r\n.\r\n.\r\n",
		"a .\r\n.\r\n":           "a .\r\n",
		"\r\n.\r\n":              "\r\n",
		".\r\n":                  "",
	} {
		for _, step := range []int{1, 2, 3, len(in)} {
			var got strings.Builder
			var scan scanner
			scan.start(&sink{&got}, 1000, 100)
			if rest := feed(&scan, in, step); rest != "" || got.String() != want || scan.broken != noBreach {
				t.Errorf("%q in steps of %d: got %q, left %q, broken %d; want %q", in, step, got.String(), rest, scan.broken, want)
			}
		}
	}
}

// sink is a Content that keeps what it gets.
type sink struct{ *strings.Builder }
