package dns

import (
	"strings"
	"testing"
	"unicode/utf8"

	mdns "github.com/miekg/dns"
)

func TestASCII(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"example.org":            "example.org",
		"Example.ORG.":           "example.org",
		"_dmarc.example.org":     "_dmarc.example.org",
		"a+b.example":            "a+b.example",
		"例え.jp":                  "xn--r8jz45g.jp",
		"例え。ＪＰ":                  "xn--r8jz45g.jp",
		"BÜCHER.example":         "xn--bcher-kva.example",
		"straße.example":         "xn--strae-oqa.example",
		"日本語。ｊｐ。":                "xn--wgv71a119e.jp",
		"☃.example":              "xn--n3h.example", // UTS 46 lets symbols pass in a lookup
		"中島・みゆき.example":         "xn--w8j5eva08bo91j4ss.example",
		long + "." + long + ".x": long + "." + long + ".x",
	} {
		if got, err := ASCII(in); err != nil || got != want {
			t.Errorf("ASCII(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", "a..b", ".a", "a b", "a\x00b", "a\nb", `a\b`, "a\x7fb", long + "a.org", strings.Repeat("a.", 127) + "b",
		"例 え.jp", "例\xff.jp", "a。。b", "例え/.jp", "xx--例.jp", strings.Repeat("例", 60) + ".jp", strings.Repeat("例", 2000),
	} {
		if got, err := ASCII(in); err == nil {
			t.Errorf("ASCII(%q) = %q, want an error", in, got)
		}
	}
}

// The samples of RFC 3492, section 7.1, that are names by RFC 5891: no upper case, no punctuation.
func TestULabelsBecomeTheExamplesOfRFC3492(t *testing.T) {
	for in, want := range map[string]string{
		"他们为什么不说中文":                    "ihqwcrb4cv8a8dqg056pqjye",
		"他們爲什麽不說中文":                    "ihqwctvzc91f659drss3x8bo0yb",
		"なぜみんな日本語を話してくれないのか":           "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
		"почемужеонинеговорятпорусски": "b1abfaaepdrnnbgefbadotcwatmq2g4l",
		"ひとつ屋根の下2":                     "2-u9tlzr9756bt3uc0v",
		"そのスピードで":                      "d9juau41awczczp",
	} {
		if got, err := ASCII(in + ".example"); err != nil || got != "xn--"+want+".example" {
			t.Errorf("ASCII(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestIsHost(t *testing.T) {
	for in, want := range map[string]bool{
		"mx.example.org": true, "mx_1.example.org": true, "a": true, "mx.4sale": true, "": false, "192.0.2.1": false, "a.1": false,
		"[192.0.2.1]": false, "2001:db8::1": false, `a\032b.org`: false, "mx.example.org/": false, "MX.example": false,
	} {
		if got := isHost(in); got != want {
			t.Errorf("isHost(%q) = %v", in, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", `a\"b`: `a"b`, `a\\b`: `a\b`, `\195\164`: "ä", `\`: `\`, `\1`: "1", `\12`: "12", `\0651`: "A1", `a\`: `a\`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestASCIIOfAPlainNameCostsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = ASCII("mail.example.org") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzASCII(f *testing.F) {
	for _, s := range []string{"example.org", "例え。jp", "Bücher.example.", "xn--r8jz45g.jp", "a\\b", "\xff", "１２３"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ASCII(in)
		if err != nil {
			return
		}
		if again, err := ASCII(got); err != nil || again != got {
			t.Errorf("ASCII(%q) = %q, and of that %q, %v", in, got, again, err)
		}
		for i := range len(got) {
			if got[i] >= utf8.RuneSelf || got[i] <= ' ' || got[i] >= 'A' && got[i] <= 'Z' {
				t.Errorf("ASCII(%q) = %q", in, got)
			}
		}
		q := new(mdns.Msg).SetQuestion(mdns.Fqdn(got), mdns.TypeMX)
		if _, err := q.Pack(); err != nil {
			t.Errorf("ASCII(%q) = %q, which cannot be asked for: %v", in, got, err)
		}
	})
}

// A character string of any octets comes back from the wire as it went in.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte("v=spf1 -all"))
	f.Add([]byte{0, '"', '\\', 0xff, '1', '2', '3'})
	f.Fuzz(func(t *testing.T, octets []byte) {
		if len(octets) > 255 {
			octets = octets[:255]
		}
		var esc strings.Builder
		for _, b := range octets {
			esc.WriteString(`\` + string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10}))
		}
		m := &mdns.Msg{Answer: []mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: "e.", Rrtype: mdns.TypeTXT, Class: mdns.ClassINET}, Txt: []string{esc.String()}}}}
		wire, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		back := new(mdns.Msg)
		if err := back.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		a := collect(question{"e", mdns.TypeTXT}, back.Answer)
		if len(a.text) != 1 || a.text[0] != string(octets) {
			t.Errorf("%q came back as %q", octets, a.text)
		}
	})
}

// Whatever a server sends, reading it ends, and an answer has records or an error but not both.
func FuzzResponse(f *testing.F) {
	for _, lines := range []string{records, "example.org. 60 CNAME example.org.", "example.org. 60 MX 0 ."} {
		m := new(mdns.Msg).SetQuestion("example.org.", mdns.TypeMX)
		m.Answer = zone(lines)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, mdns.TypeMX)
	}
	f.Fuzz(func(t *testing.T, wire []byte, qtype uint16) {
		m := new(mdns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		q := question{"example.org", qtype}
		r := read(m, q)
		_ = judge(m)
		_ = negativeTTL(m)
		if len(r.found) == 0 {
			return
		}
		a := collect(q, r.found)
		if n := len(a.mx) + len(a.addrs) + len(a.text); (n == 0) != (a.err != nil) {
			t.Errorf("%d records and %v", n, a.err)
		}
		for i := range a.mx {
			if a.mx[i].Host == "" && len(a.mx) > 1 || i > 0 && a.mx[i].Pref < a.mx[i-1].Pref {
				t.Errorf("%v", a.mx)
			}
		}
	})
}
