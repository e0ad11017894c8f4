package soften

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPhrasesAsPatterns(t *testing.T) {
	for phrase, c := range map[string]struct{ fits, not []string }{
		"sending ip address": {[]string{"the sending ip address", "sending 550-5.7.1 ip  address", "sending ip 550-5.7.1 address"}, []string{"sendingip address", "sending an ip address"}},
		"|rbl|":              {[]string{"an rbl.", " rbl"}, []string{"garble", "rbls"}},
		"your ip * block":    {[]string{"your ip is on a block list", "your ipblock"}, []string{"your ip " + strings.Repeat("x", 40) + " block"}},
		"{ip} listed":        {[]string{"[192.0.2.1] listed", "2001:db8::1 listed", "(ipv6:2001:db8::1) listed"}, []string{"1.2.3 listed", "host listed"}},
		"from {addr} to":     {[]string{"from <a.b@example.org> to", "from a@b to"}, []string{"from me to"}},
		"refusé ici":         {[]string{"refuse ici", "refus\xe9 ici", "refus\xc3\xa9 ici"}, []string{"refus ici "[:6] + "ici"}},
		"a(b)[c].d/e\\f$":    {[]string{"a(b)[c].d/e\\f$"}, []string{"abc d/e"}},
		"spamhaus sbl ":      {[]string{"in spamhaus sbl now", "in spamhaus sbl"}, []string{"spamhaus sblcss"}},
		"拒否":                 {[]string{"それは拒否です"}, []string{"それは"}},
	} {
		re, err := regexp.CompilePOSIX(octets(either([]string{phrase}, nothing)))
		if err != nil {
			t.Errorf("%s: %v", phrase, err)
			continue
		}
		for _, s := range c.fits {
			if !re.MatchString(octets(s)) {
				t.Errorf("%q does not fit %q: %s", phrase, s, re)
			}
		}
		for _, s := range c.not {
			if re.MatchString(octets(s)) {
				t.Errorf("%q fits %q: %s", phrase, s, re)
			}
		}
	}
}

func TestRangesOfNumbersFitTheirNumbersOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.IntRange(0, 1200).Draw(t, "from")
		b := rapid.IntRange(a, 1300).Draw(t, "to")
		re := regexp.MustCompilePOSIX("^(" + strings.Join(between(a, b), "|") + ")$")
		for n := max(0, a-30); n <= b+30; n++ {
			if got := re.MatchString(strconv.Itoa(n)); got != (n >= a && n <= b) {
				t.Fatalf("%d in %d-%d: %t by %s", n, a, b, got, re)
			}
		}
	})
}

func TestLastLinesOfExamples(t *testing.T) {
	for example, want := range map[string]string{
		"550-5.7.1 one 550-5.7.1 two 550 5.7.1 https://help.example/1, thanks": "550 5.7.1 |https://help.example/1",
		"554-one 554 see http://help.example/?a=1.":                            "554 see |http://help.example/?a=1",
		"550 5.7.1 in one line https://help.example/":                          "|",
		"550-5.7.1 one 550 5.7.1 without a link":                               "|",
		"550-5.7.1 without an end https://help.example/":                       "|",
		"421-4.7.0 one 421 4.7.0 https://help.example/":                        "|",
		"": "|",
	} {
		head, url := tail(example)
		if got := fmt.Sprintf("%s|%s", head, url); got != want {
			t.Errorf("%s: %s", example, got)
		}
	}
}
