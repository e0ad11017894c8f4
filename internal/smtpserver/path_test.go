package smtpserver

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ukai/internal/mail"
)

func TestParsePath(t *testing.T) {
	l63 := strings.Repeat("l", 63)
	for in, want := range map[string]string{
		"<>":                        "",
		"<a@b>":                     "a@b",
		"<A.b-c+d@Example.TEST>":    "A.b-c+d@Example.TEST",
		"<postmaster>":              "postmaster",
		"<PostMaster>":              "PostMaster",
		"<postmaster@test>":         "postmaster@test",
		"<@a.test:u@test>":          "u@test",
		"<@a.test,@b.test:u@test>":  "u@test",
		`<"a b"@test>`:              `"a b"@test`,
		`<"a@b"@test>`:              `"a@b"@test`,
		`<"a>b"@test>`:              `"a>b"@test`,
		`<"a\"\\b"@test>`:           `"a\"\\b"@test`,
		"<!#$%&'*+-/=?^_`{|}~@t>":   "!#$%&'*+-/=?^_`{|}~@t",
		"<u@[192.0.2.1]>":           "u@[192.0.2.1]",
		"<u@[IPv6:2001:db8::1]>":    "u@[IPv6:2001:db8::1]",
		"<u@[ipv6:::ffff:1.2.3.4]>": "u@[ipv6:::ffff:1.2.3.4]",
		"<u@1.2.3>":                 "u@1.2.3",
		"<u@a_b.test>":              "u@a_b.test",
		"<ü@bücher.test>":           "ü@bücher.test",
		`<"ü"@漢字.test>`:             `"ü"@漢字.test`,
		"<u@xn--bcher-kva.test>":    "u@xn--bcher-kva.test",
		"<" + strings.Repeat("l", 100) + "@test>":                   strings.Repeat("l", 100) + "@test",
		"<u@" + l63 + "." + l63 + "." + l63 + ".test>":              "u@" + l63 + "." + l63 + "." + l63 + ".test",
		"<" + strings.Repeat("l", 249) + "@test>":                   strings.Repeat("l", 249) + "@test",
		"<@" + l63 + "." + l63 + "." + l63 + "." + l63 + ":u@test>": "u@test",
	} {
		p, rest, err := parsePath([]byte(in + " X=y"))
		if err != nil || p.addr != want || string(rest) != " X=y" {
			t.Errorf("%s: %q, rest %q, %v; want %q", in, p.addr, rest, err, want)
		}
		if p.utf8 == isASCII(want) {
			t.Errorf("%s: utf8 %v", in, p.utf8)
		}
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func TestParsePathRefuses(t *testing.T) {
	l64 := strings.Repeat("l", 64)
	for in, want := range map[string]error{
		"":                        errPathBrackets,
		"<":                       errPathBrackets,
		"a@b":                     errPathBrackets,
		"<a@b":                    errPathBrackets,
		"<a@b c>":                 errPathBrackets,
		"<a@b@c>":                 errPathBrackets,
		"<a":                      errPathBrackets,
		`<"a"`:                    errPathBrackets,
		"<a>":                     errPathNoDomain,
		"<a@>":                    errPathNoDomain,
		"<a@":                     errPathNoDomain,
		"<@b>":                    errPathRoute,
		"<@>":                     errPathRoute,
		"<@":                      errPathRoute,
		"<@a.test>":               errPathRoute,
		"<@a.test,b.test:u@test>": errPathRoute,
		"<@a.test,@:u@test>":      errPathRoute,
		"<@a.test:>":              errPathLocal,
		"< a@b>":                  errPathLocal,
		"<a b@test>":              errPathLocal,
		"<.a@b>":                  errPathLocal,
		"<a.@b>":                  errPathLocal,
		"<a..b@c>":                errPathLocal,
		"<.>":                     errPathLocal,
		"<a\x00@b>":               errPathLocal,
		"<a\x7f@b>":               errPathLocal,
		"<a(x)@b>":                errPathLocal,
		"<\xff@b>":                errPathLocal,
		"<a\u0085@b>":             errPathLocal,
		`<""@b>`:                  errPathLocal,
		`<"a@b>`:                  errPathLocal,
		`<"a"b@c>`:                errPathLocal,
		`<"a\`:                    errPathLocal,
		"<\"a\\\x01\"@b>":         errPathLocal,
		"<\"a\x01\"@b>":           errPathLocal,
		"<\"\xff\"@b>":            errPathLocal,
		"<postmasterx>":           errPathNoDomain,
		"<a@.b>":                  errPathDomain,
		"<a@b..c>":                errPathDomain,
		"<a@b.>":                  errPathDomain,
		"<a@-b>":                  errPathDomain,
		"<a@b->":                  errPathDomain,
		"<a@b-.c>":                errPathDomain,
		"<a@\xff>":                errPathDomain,
		"<a@" + l64 + ".test>":    errPathDomain,
		"<a@" + l64 + ">":         errPathDomain,
		"<a@[1.2.3]>":             errPathDomain,
		"<a@[1.2.3.4>":            errPathDomain,
		"<a@[IPv6:1.2.3.4]>":      errPathDomain,
		"<a@[2001:db8::1]>":       errPathDomain,
		"<a@[IPv6:fe80::1%eth0]>": errPathDomain,
		"<a@[x400:y]>":            errPathDomain,
		"<" + strings.Repeat("l", 250) + "@test>": errPathLong,
		"<a@" + strings.Repeat("l.", 130) + "l>":  errPathDomain,
		"<a@" + strings.Repeat("l.", 127) + "l>":  errPathLong,
	} {
		if p, _, err := parsePath([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%.60s: %q, %v; want %v", in, p.addr, err, want)
		}
	}
}

// FuzzPath: what is accepted is safe to write into a header or a command, keeps the limits and reads the same again.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<>", "<a@b>", "<@a,@b:c@d> SIZE=1", `<"a\" b"@[IPv6:::1]>`, "<postmaster>", "<ü@ö>", "<a@b\r\nRCPT>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, rest, err := parsePath(b)
		if err != nil {
			return
		}
		if len(p.addr) > maxAddress || !utf8.ValidString(p.addr) || strings.ContainsFunc(p.addr, unicode.IsControl) {
			t.Fatalf("accepted %q", p.addr)
		}
		if !strings.HasSuffix(string(b), p.addr+">"+string(rest)) {
			t.Fatalf("%q: address %q, rest %q", b, p.addr, rest)
		}
		if p.addr != "" && mail.Domain(p.addr) == "" && !strings.EqualFold(p.addr, "postmaster") {
			t.Fatalf("no domain in %q", p.addr)
		}
		again, rest, err := parsePath([]byte("<" + p.addr + ">"))
		if err != nil || again != p || len(rest) != 0 {
			t.Fatalf("%q reads as %q, %v the second time", p.addr, again.addr, err)
		}
	})
}

func TestValidHelo(t *testing.T) {
	for in, want := range map[string]bool{
		"mail.example.test": true, "localhost": true, "WIN-PC_1": true, "[192.0.2.1]": true, "[IPv6:::1]": true, "192.0.2.1": true, "::1": true,
		"": false, "a b": false, "[x]": false, "[1.2.3.4]x": false, "ü": false, "a(b)": false, "a\x00": false, strings.Repeat("a", 256): false,
	} {
		if got := validHelo([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
