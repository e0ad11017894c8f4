package qmail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/mtaconf"
	planner "ukai/internal/mtaconf/qmail"
	"ukai/internal/smtpclient"
)

func TestSettingsAreRead(t *testing.T) {
	s, err := ParseSettings("# ukai\nto=[::1]:2525\ntls=required\nusername=a b\npassword= p=w \r\n\nmode=steer\nroutes=/r\nlive=127.0.0.1:8026\nserver=web1\nsecret=s\noriginal=/o\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{Host: "::1", Port: 2525, TLS: smtpclient.Required, Username: "a b", Password: " p=w ", Routes: "/r", Steer: true,
		Live: "127.0.0.1:8026", Server: "web1", Secret: "s", Original: "/o"}
	if *s != want {
		t.Errorf("%+v", *s)
	}
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nowhere to go": "server=x\n", "no port": "to=host\n", "port 0": "to=h:0\n", "no host": "to=:25\n", "no value": "to=h:25\nhello\n",
		"a key that is not known": "to=h:25\nTo=h:25\n", "tls": "to=h:25\ntls=maybe\n", "mode": "to=h:25\nmode=best\n",
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := ParseSettings(text); err == nil {
				t.Errorf("%+v", s)
			}
		})
	}
	name := filepath.Join(t.TempDir(), "ukai")
	if err := os.WriteFile(name, []byte(strings.Repeat("#\n", maxSettings)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSettings(name); err == nil {
		t.Error("a file without end is read")
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add("to=127.0.0.1:2525\nserver=web1\n")
	f.Add("to=[::1]:25\ntls=none\nmode=relay\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSettings(text); err == nil && (s.Host == "" || s.Port == 0) {
			t.Errorf("%+v", s)
		}
	})
}

func TestRoutesAreRead(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	for name, text := range map[string]string{"list": "# blocked\nExample.com\n.sub.example\n", "smtproutes": "inside.example:10.0.0.1\n.af.mil:\n:relay.example:26\n#x.example:y\nmixed.Example:a\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for domain, want := range map[string]bool{"example.com": true, "EXAMPLE.COM.": true, "www.example.com": false, "a.sub.example": true, "sub.example": false, "": false, "# blocked": false} {
		if domain != "# blocked" && listed(list, domain) != want {
			t.Errorf("listed %q: %v", domain, !want)
		}
	}
	for host, want := range map[string]bool{"inside.example": true, "x.af.mil": false, "af.mil": true, "anything": true, "MIXED.example": true} {
		if routed(dir, host) != want {
			t.Errorf("routed %q: %v", host, !want)
		}
	}
	if listed(filepath.Join(dir, "none"), "example.com") || routed(filepath.Join(dir, "none"), "example.com") {
		t.Error("a file that is not there has entries")
	}
}

func TestAddressesGetTheQuotesTheyNeed(t *testing.T) {
	for in, want := range map[string]string{
		"a.b+c@example.com": "a.b+c@example.com", "a b@example.com": `"a b"@example.com`, `a"b\@example.com`: `"a\"b\\"@example.com`, "": "",
		"a@b@example.com": `"a@b"@example.com`, ".a@example.com": `".a"@example.com`, "a..b@example.com": `"a..b"@example.com`, "@example.com": `""@example.com`,
		"postmaster": "postmaster", "あ@example.com": "あ@example.com",
	} {
		if got := address(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestOptionsCountOnlyBeforeTheirEnd(t *testing.T) {
	for name, c := range map[string]struct {
		args                     []string
		settings, original, host string
	}{
		"as the script calls it":                          {[]string{"--settings", "/s", "--original", "/o", "--", "h", "f", "r@h"}, "/s", "/o", "h"},
		"as qmail calls it":                               {[]string{"h", "f", "r@h"}, DefaultSettings, "", "h"},
		"an address that looks like an option":            {[]string{"--original", "--", "x@--original"}, DefaultSettings, "", "--original"},
		"a host that looks like the end of options":       {[]string{"--settings", "/s", "--", "--", "f", "r@--"}, "/s", "", "--"},
		"a host that looks like an option behind the end": {[]string{"--settings", "/s", "--", "--original", "--", "r@--original"}, "/s", "", "--original"},
		"no delivery": {nil, DefaultSettings, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := parseCall(c.args)
			if got.settings != c.settings || got.original != c.original || got.host != c.host {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatThePlannerWritesIsUnderstood(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"etc/passwd": "qmailr:x:1:2::/:/bin/false\n", "var/qmail/control/me": "m.example\n", "var/qmail/bin/qmail-send": "\x7fELF", "var/qmail/bin/qmail-remote": "\x7fELF"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := mtaconf.Wish{Mode: mtaconf.Steer, Server: "web1", Secret: "word", Live: "/run/ukai/steer", Peer: mtaconf.Peer{Host: "relay.example", Port: 587, Username: "u", Password: "p =#", TLS: true}}
	plan, err := planner.New().Plan(&mtaconf.System{Root: root}, mtaconf.Instance{MTA: mtaconf.Qmail, Dir: "/var/qmail"}, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan.Files {
		if f.Path != DefaultSettings {
			continue
		}
		s, err := ParseSettings(string(f.Text))
		want := Settings{Host: "relay.example", Port: 587, TLS: smtpclient.Required, Username: "u", Password: "p =#", Steer: true, Live: "/run/ukai/steer",
			Server: "web1", Secret: "word", Original: DefaultOriginal}
		if err != nil || *s != want {
			t.Errorf("%+v %v", s, err)
		}
		return
	}
	t.Error("no settings in the plan")
}
