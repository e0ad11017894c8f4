package maillog

import (
	"slices"
	"testing"
)

func TestAReplyOnOneLineIsTakenApart(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		code   int
		status string
		lines  []string
	}{
		"one line":                            {"550 5.1.1 no", 550, "5.1.1", []string{"5.1.1 no"}},
		"without enhanced status":             {"550 no", 550, "", []string{"no"}},
		"a code alone":                        {"550", 550, "", []string{""}},
		"no code":                             {"Connection refused", 0, "", nil},
		"a number that is no code":            {"1234 x", 0, "", nil},
		"two lines":                           {"550-5.7.1 a 550 5.7.1 b", 550, "5.7.1", []string{"5.7.1 a", "5.7.1 b"}},
		"another code in the text":            {"550-5.7.1 a 421 b 550 5.7.1 c", 550, "5.7.1", []string{"5.7.1 a 421 b", "5.7.1 c"}},
		"the code in the text":                {"550-5.7.1 error 550 was seen 550 5.7.1 c", 550, "5.7.1", []string{"5.7.1 error 550 was seen", "5.7.1 c"}},
		"a host name in the first line":       {"554-mx.example.com 554 denied", 554, "", []string{"mx.example.com", "denied"}},
		"a status in the last line only":      {"554-mx.example.com 554 5.7.1 denied", 554, "5.7.1", []string{"mx.example.com", "5.7.1 denied"}},
		"cut off before the last line":        {"550-5.7.1 a 550-5.7.1 b", 550, "5.7.1", []string{"5.7.1 a", "5.7.1 b"}},
		"a code that is part of a longer one": {"550-a x550 b 550 c", 550, "", []string{"a x550 b", "c"}},
		"a code at the very end":              {"550-a 550", 550, "", []string{"a 550"}},
		"a hyphen and nothing":                {"550-", 550, "", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := readReply(c.text)
			if r.Code != c.code || r.Status.String() != c.status || !slices.Equal(r.Lines, c.lines) {
				t.Errorf("%d %s %q", r.Code, r.Status, r.Lines)
			}
		})
	}
}

func TestAListIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; x": "zen.spamhaus.org",
		"Client host [192.0.2.1] blocked using ZEN.Spamhaus.ORG.":                        "zen.spamhaus.org",
		"192.0.2.1 is in a black list at bl.example.org":                                 "bl.example.org",
		"Mail from 192.0.2.1 refused by blackhole site bl.example.org":                   "bl.example.org",
		"rejected found in dnsbl zen.spamhaus.org":                                       "zen.spamhaus.org",
		"Rejected: 192.0.2.1 listed at sbl-xbl.spamhaus.org":                             "sbl-xbl.spamhaus.org",
		"blocked using 192.0.2.1":                                                        "",
		"User unknown, not listed in table":                                              "",
		"found in the queue of mx.exampleo.":                                             "",
	} {
		if got := listName([]byte(text)); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}
