package cli

import (
	"strings"
	"testing"
)

func TestQmailsArgumentsAreNotReadAsOptions(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want bool
	}{
		"a delivery":                       {[]string{"qmail-remote", "h", "f", "r@h"}, true},
		"a host that looks like an option": {[]string{"qmail-remote", "--lang", "f", "r@--lang"}, true},
		"a host that looks like a plea":    {[]string{"qmail-remote", "--help", "f", "r@--help"}, true},
		"a look at the settings":           {[]string{"qmail-remote", "--check", "f"}, true},
		"help":                             {[]string{"qmail-remote", "--help"}, false},
		"nothing":                          {[]string{"qmail-remote"}, false},
		"something else":                   {[]string{"queue", "list", "x"}, false},
	} {
		if asQmailRemote(c.args) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
	var out, errs strings.Builder
	if code := Main([]string{"qmail-remote", "--check", "/no/such/settings"}, strings.NewReader(""), &out, &errs); code != 1 || errs.Len() > 0 || out.Len() == 0 {
		t.Errorf("%d %q %q", code, out.String(), errs.String())
	}
}

func TestQmailRemoteExplainsItself(t *testing.T) {
	var out, errs strings.Builder
	if code := Main([]string{"qmail-remote", "--help"}, strings.NewReader(""), &out, &errs); code != exitDone || !strings.Contains(out.String(), "--settings") {
		t.Errorf("%d %s %s", code, out.String(), errs.String())
	}
}
