package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLengthsOfTime(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"5d": 5 * day, "4h": 4 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1d12h": 36 * time.Hour,
		"0s": 0, "1.5s": 1500 * time.Millisecond, "100ms": 100 * time.Millisecond, "0.5d": 12 * time.Hour,
	} {
		if got, ok := parseDuration(in); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"", "5", "5 d", "-1h", "+1h", "d", "1d-1h", "1d2", "5w", "1h30", "99999999d", "1d99999999999h", "ten", "1µs", "1d2d"} {
		if got, ok := parseDuration(bad); ok {
			t.Errorf("parseDuration(%q) = %v", bad, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]Size{
		"50MB": 50_000_000, "50MiB": 52_428_800, "1 GB": 1e9, "0B": 0, "12kB": 12000, "12KB": 12000, "64KiB": 65536, "2TiB": 2 << 40,
	} {
		if got, ok := parseSize(in); !ok || got != want {
			t.Errorf("parseSize(%q) = %v, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"", "50", "MB", "-1MB", "1.5MB", "99999999999TiB", "50 mb", "50M"} {
		if got, ok := parseSize(bad); ok {
			t.Errorf("parseSize(%q) = %v", bad, got)
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(36500*day/time.Millisecond)).Draw(t, "ms")) * time.Millisecond
		if got, ok := parseDuration(formatDuration(d)); !ok || got != d {
			t.Fatalf("%v is written %q and read %v", d, formatDuration(d), got)
		}
		s := Size(rapid.Int64Range(0, 1<<50).Draw(t, "size")) * Size(rapid.SampledFrom([]int64{1, 1000, 1024}).Draw(t, "unit"))
		if got, ok := parseSize(s.String()); !ok || got != s {
			t.Fatalf("%d is written %q and read %v", int64(s), s, got)
		}
		text := rapid.String().Draw(t, "text")
		root, errs := parse([]byte("a = " + quote(text) + "\n"))
		if len(errs) > 0 || root.get("a").value.text != text {
			t.Fatalf("%q is written %s: %v", text, quote(text), errs)
		}
	})
}

func TestDidYouMean(t *testing.T) {
	words := []string{"listener", "egress", "pool", "password", "password_file", "tls"}
	for in, want := range map[string]string{
		"listner": "listener", "egres": "egress", "pasword": "password", "Pool": "pool", "tsl": "tls",
		"password_fiel": "password_file", "egress": "", "completely": "", "": "",
	} {
		got := Nearest(in, words)
		if got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"出口", "入口", 1}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestHostnames(t *testing.T) {
	for name, want := range map[string]bool{
		"mail.example.org": true, "localhost": true, "例え.jp": true, "_dmarc.example.org": true, "a-b.c": true,
		"": false, ".": false, "a..b": false, "a.b.": false, "-a.b": false, "a-.b": false, "a b": false, "a@b": false, "mx:25": false,
	} {
		if got := hostname(name); got != want {
			t.Errorf("hostname(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"[192.0.2.1]": true, "[IPv6:2001:db8::1]": true, "[2001:db8::1]": false, "192.0.2.1": false, "[x]": false, "[192.0.2.1": false,
	} {
		if got := literal(name); got != want {
			t.Errorf("literal(%q) = %v", name, got)
		}
	}
}

func TestPlacesAreCountedInCharacters(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		want place
	}{
		"behind Japanese": {"a = \"日本\" x\n", place{1, 10}},
		"no UTF-8":        {"a = 1\nb = \"日\xff\"\n", place{2, 7}},
		"CRLF":            {"a = 1\r\nb = = 2\r\n", place{2, 5}},
		"at the end":      {"a = 1\nb =", place{2, 3}},
	} {
		_, errs := parse([]byte(c.doc))
		if len(errs) != 1 || errs[0].at != c.want {
			t.Errorf("%s: %v, want one at %v", name, errs, c.want)
		}
	}
}

func TestSyntaxErrorsAreToldTogether(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		want []int // lines
	}{
		"three bad lines":                   {"a = \nb = 1\nc == 2\nd = 3\n[e\nf = 1\n[g]\nh = @\n", []int{1, 3, 5, 8}},
		"a key twice":                       {"a = 1\nb = 2\na = 3\nc = x\n", []int{3}},
		"a table twice, its keys unjudged":  {"[a]\nx = 1\n[a]\nx = 2\n[b]\ny = = 1\n", []int{3, 6}},
		"one mistake that spoils the rest":  {"a = [1,\nb = 2\nc = 3\nd = 4\n", []int{2}},
		"a string without an end":           {"a = \"x\nb = 1\nc = 2\n", []int{1}},
		"nothing but mistakes":              {"=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n\n=\n", []int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19}},
		"an inline table with a key missed": {"a = { b = 1, = 2 }\nc = 1\n", []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			root, errs := parse([]byte(c.doc))
			var got []int
			for _, e := range errs {
				got = append(got, e.at.line)
			}
			if root != nil || len(got) != len(c.want) {
				t.Fatalf("errors in lines %v, want %v: %v", got, c.want, errs)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("errors in lines %v, want %v: %v", got, c.want, errs)
				}
			}
		})
	}
}
