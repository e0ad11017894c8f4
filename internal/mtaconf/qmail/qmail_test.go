package qmail

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// elf stands for a compiled program.
const elf = "\x7fELF\x02\x01\x00 a program\n"

// netqmail is an installation as netqmail's instructions leave it.
func netqmail() map[string]string {
	return map[string]string{
		"etc/passwd":                 "root:x:0:0::/:/bin/sh\nqmaild:x:81:80::/var/qmail:/bin/false\nqmailr:x:86:81::/var/qmail:/bin/false\n",
		"var/qmail/control/me":       "mail.sender.example\n",
		"var/qmail/bin/qmail-send":   elf,
		"var/qmail/bin/qmail-remote": elf + "remote",
		"var/qmail/bin/qmail-rspawn": elf,
		"var/qmail/doc/INSTALL":      "text\n",
		"var/log/qmail/current":      "@4000000000000000 status\n",
	}
}

func with(base map[string]string, more ...string) map[string]string {
	all := maps.Clone(base)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// tree makes a root; "-> x" is a link to x.
func tree(t *testing.T, files map[string]string) *mtaconf.System {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if to, link := strings.CutPrefix(text, "-> "); err == nil && link {
			err = os.Symlink(to, full)
		} else if err == nil {
			err = os.WriteFile(full, []byte(text), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &mtaconf.System{Root: root}
}

var wish = mtaconf.Wish{Server: "web1", Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525}, Program: "/usr/bin/ukai"}

func wished(mode mtaconf.Mode, change ...func(*mtaconf.Wish)) mtaconf.Wish {
	w := wish
	w.Mode = mode
	for _, f := range change {
		f(&w)
	}
	return w
}

func plan(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) (*mtaconf.Plan, error) {
	t.Helper()
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	return New().Plan(sys, found[0], w)
}

func file(t *testing.T, p *mtaconf.Plan, name string) mtaconf.File {
	t.Helper()
	for _, f := range p.Files {
		if f.Path == name {
			return f
		}
	}
	t.Fatalf("%s is not in the plan: %v", name, paths(p))
	return mtaconf.File{}
}

func paths(p *mtaconf.Plan) []string {
	var all []string
	for _, f := range p.Files {
		all = append(all, f.Path)
	}
	return all
}

func keys(notes []mtaconf.Note) string {
	var all []string
	for _, n := range notes {
		all = append(all, strings.TrimPrefix(n.Key, "mtaconf.qmail."))
	}
	return strings.Join(all, " ")
}

func TestInstallationsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"netqmail":              {netqmail(), "/var/qmail"},
		"in Debian's directory": {map[string]string{"etc/qmail/me": "x\n", "var/lib/qmail/control": "-> /etc/qmail", "var/lib/qmail/bin": "-> /usr/sbin", "usr/sbin/qmail-send": elf, "usr/sbin/qmail-remote": elf}, "/var/lib/qmail"},
		"under two names":       {with(netqmail(), "var/lib/qmail", "-> /var/qmail"), "/var/qmail"},
		"mailboxes of Plesk":    {map[string]string{"var/qmail/mailnames/x/y": "", "var/qmail/bin/auth": elf}, ""},
		"nothing":               {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := New().Find(tree(t, c.files))
			var dirs []string
			for _, i := range found {
				dirs = append(dirs, i.Dir)
			}
			if err != nil || strings.Join(dirs, " ") != c.want {
				t.Errorf("%v %v", dirs, err)
			}
		})
	}
}

func TestTheSafetyNetPutsAScriptInThePlaceOfTheProgram(t *testing.T) {
	p, err := plan(t, tree(t, netqmail()), wished(""))
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(p); !slices.Equal(got, []string{"/var/qmail/bin/qmail-remote.ukai-original", "/var/qmail/control/ukai", "/var/qmail/bin/qmail-remote"}) {
		t.Errorf("files %v", got)
	}
	if f := file(t, p, "/var/qmail/bin/qmail-remote.ukai-original"); string(f.Text) != elf+"remote" || f.Perm != 0o711 || f.GID != 81 {
		t.Errorf("original: %+v", f)
	}
	if f := file(t, p, "/var/qmail/bin/qmail-remote"); !f.Whole || f.Perm != 0o755 || !bytes.HasPrefix(f.Text, []byte("#!/bin/sh\n")) {
		t.Errorf("script: %+v", f)
	}
	f := file(t, p, "/var/qmail/control/ukai")
	want := "# Written by ukai connect, for ukai qmail-remote.\nto=127.0.0.1:2525\ntls=none\nmode=safety-net\nserver=web1\noriginal=/var/qmail/bin/qmail-remote.ukai-original\n"
	if string(f.Text) != want || f.Perm != 0o640 || f.GID != 81 || f.Secret {
		t.Errorf("settings: %+v\n%s", f, f.Text)
	}
	if p.Mode != mtaconf.SafetyNet || len(p.Check) != 1 || len(p.Reload) != 0 || !slices.Equal(p.Logs, []string{"/var/log/qmail/current"}) {
		t.Errorf("%+v", p)
	}
	if got := keys(p.Found) + " | " + keys(p.Does) + " | " + keys(p.Gaps); got != "found.kind found.concurrency | does.net does.open | gap.blind gap.update gap.start" {
		t.Errorf("notes: %s", got)
	}
}

func TestModesDiffer(t *testing.T) {
	login := func(w *mtaconf.Wish) {
		w.Peer = mtaconf.Peer{Host: "relay.example", Port: 587, Username: "web1", Password: "secret=1", TLS: true}
	}
	for _, c := range []struct {
		name     string
		wish     mtaconf.Wish
		files    string
		settings string // a part
	}{
		{"steer by a file", wished(mtaconf.Steer), "qmail-remote.ukai-original ukai-routes ukai qmail-remote", "routes=/var/qmail/control/ukai-routes\n"},
		{"steer by lookups", wished(mtaconf.Steer, func(w *mtaconf.Wish) { w.Live, w.Secret = "127.0.0.1:8026", "word" }), "qmail-remote.ukai-original ukai qmail-remote", "mode=steer\nlive=127.0.0.1:8026\nserver=web1\nsecret=word\n"},
		{"relay by a route", wished(mtaconf.Relay), "smtproutes", ""},
		{"relay with a password", wished(mtaconf.Relay, login), "qmail-remote.ukai-original ukai qmail-remote", "to=relay.example:587\ntls=required\nusername=web1\npassword=secret=1\nmode=relay\n"},
		{"relay over IPv6", wished(mtaconf.Relay, func(w *mtaconf.Wish) { w.Peer.Host = "::1" }), "qmail-remote.ukai-original ukai qmail-remote", "to=[::1]:2525\ntls=none\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plan(t, tree(t, netqmail()), c.wish)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range p.Files {
				names = append(names, filepath.Base(f.Path))
				if f.Path == "/var/qmail/control/ukai" && (!strings.Contains(string(f.Text), c.settings) || f.Secret != (c.wish.Peer.Password+c.wish.Secret != "")) {
					t.Errorf("settings: %v\n%s", f.Secret, f.Text)
				}
			}
			if strings.Join(names, " ") != c.files {
				t.Errorf("files %v", names)
			}
			if (p.Answer != "") != (c.wish.Mode == mtaconf.Steer && c.wish.Live != "") {
				t.Errorf("answer %q", p.Answer)
			}
			if (len(p.Routes) > 0) != strings.Contains(c.files, "ukai-routes") {
				t.Errorf("routes %+v", p.Routes)
			}
			for _, n := range slices.Concat(p.Found, p.Does, p.Gaps) {
				for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
					if text := i18n.Text(l, n.Key, n.Args...); strings.Contains(text, "{") || text == n.Key {
						t.Errorf("%s: %s", n.Key, text)
					}
				}
			}
		})
	}
}

func TestAsARelayTheRoutesOfOthersStay(t *testing.T) {
	for name, c := range map[string]struct{ before, want string }{
		"some":                      {"inside.example:10.0.0.1\n.corp.example:\n", "inside.example:10.0.0.1\n.corp.example:\n:127.0.0.1:2525\n"},
		"the last line has no end":  {"inside.example:10.0.0.1", "inside.example:10.0.0.1\n:127.0.0.1:2525\n"},
		"a default that is no more": {"#:old.example\n", "#:old.example\n:127.0.0.1:2525\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(t, tree(t, with(netqmail(), "var/qmail/control/smtproutes", c.before)), wished(mtaconf.Relay))
			if err != nil {
				t.Fatal(err)
			}
			if f := file(t, p, "/var/qmail/control/smtproutes"); string(f.Text) != c.want {
				t.Errorf("%q", f.Text)
			}
		})
	}
}

func TestTheScriptGoesBelowWhatSignsMail(t *testing.T) {
	signing := "#!/bin/sh\n# version 7\n[ \"$DKREMOTE\" ] || DKREMOTE=\"/var/qmail/bin/qmail-remote.orig\"\n(cat sig; cat) | \"$DKREMOTE\" \"$@\"\n"
	for name, c := range map[string]struct {
		files map[string]string
		inner string
	}{
		"a script":                  {with(netqmail(), "var/qmail/bin/qmail-remote", signing, "var/qmail/bin/qmail-remote.orig", elf+"inner"), "qmail-remote.orig"},
		"a script behind a link":    {with(netqmail(), "opt/sign", signing, "var/qmail/bin/qmail-remote", "-> /opt/sign", "var/qmail/bin/qmail-remote.orig", elf+"inner"), "qmail-remote.orig"},
		"a program of Plesk":        {with(netqmail(), "usr/local/psa/version", "18.0\n", "var/qmail/bin/qmail-remote", elf+"/var/qmail/bin/qmail-remote.moved\x00", "var/qmail/bin/qmail-remote.moved", elf+"inner"), "qmail-remote.moved"},
		"an old copy lies about":    {with(netqmail(), "var/qmail/bin/qmail-remote", signing, "var/qmail/bin/qmail-remote.orig", elf+"inner", "var/qmail/bin/qmail-remote.orig.2019", elf), "qmail-remote.orig"},
		"two scripts, one by one":   {with(netqmail(), "var/qmail/bin/qmail-remote", "#!/bin/sh\nexec ./qmail-remote.2 \"$@\"\n", "var/qmail/bin/qmail-remote.2", signing, "var/qmail/bin/qmail-remote.orig", elf+"inner"), "qmail-remote.orig"},
		"a program beside, unnamed": {with(netqmail(), "var/qmail/bin/qmail-remote", elf+"inner", "var/qmail/bin/qmail-remote.2010", elf), "qmail-remote"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(t, tree(t, c.files), wished(""))
			if err != nil {
				t.Fatal(err)
			}
			if f := file(t, p, "/var/qmail/bin/"+c.inner+originalSuffix); string(f.Text) != elf+"inner" {
				t.Errorf("%q", f.Text)
			}
			if f := file(t, p, "/var/qmail/bin/"+c.inner); !f.Whole {
				t.Errorf("%+v", f)
			}
			if (c.inner != "qmail-remote") != strings.Contains(keys(p.Found), "found.inner") {
				t.Errorf("found %s", keys(p.Found))
			}
		})
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		wish  mtaconf.Wish
		key   string
	}{
		"a script that calls nobody knows what": {with(netqmail(), "var/qmail/bin/qmail-remote", "#!/usr/bin/perl\nexec @x;\n"), wished(""), "script"},
		"a script that calls one of two":        {with(netqmail(), "var/qmail/bin/qmail-remote", "#!/bin/sh\n[ x ] && exec qmail-remote.a\nexec qmail-remote.b\n", "var/qmail/bin/qmail-remote.a", elf, "var/qmail/bin/qmail-remote.b", elf), wished(""), "several"},
		"scripts that call each other":          {with(netqmail(), "var/qmail/bin/qmail-remote", "#!/bin/sh\nexec qmail-remote.b\n", "var/qmail/bin/qmail-remote.b", "#!/bin/sh\nexec qmail-remote\n"), wished(""), "script"},
		"another program is started":            {with(netqmail(), "var/qmail/rc", "#!/bin/sh\nexec env - PATH=/var/qmail/bin QMAILREMOTE=/opt/filter qmail-start ./Mailbox\n"), wished(""), "started"},
		"a smarthost, and ukai as a relay":      {with(netqmail(), "var/qmail/control/smtproutes", "a:b\n:relay.example:587\n"), wished(mtaconf.Relay), "smarthost"},
		"a smarthost, and a relay with login":   {with(netqmail(), "var/qmail/control/smtproutes", ":relay.example\n"), wished(mtaconf.Relay, func(w *mtaconf.Wish) { w.Peer.TLS = true }), "smarthost"},
		"what an earlier wrapper left":          {with(netqmail(), "var/qmail/bin/qmail-remote.ukai-original", elf), wished(""), "left"},
		"a password that nobody could keep":     {with(netqmail(), "etc/passwd", "root:x:0:0::/:/bin/sh\n"), wished("", func(w *mtaconf.Wish) { w.Secret = "x" }), "user"},
		"a password of two lines":               {netqmail(), wished("", func(w *mtaconf.Wish) { w.Peer.Password = "a\nroutes=/etc/passwd" }), "newline"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(t, tree(t, c.files), c.wish)
			var refusal *i18n.Error
			if !errors.As(err, &refusal) || refusal.Key != "mtaconf.qmail."+c.key {
				t.Fatalf("%v %v", p, err)
			}
			for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
				if text := refusal.Text(l); strings.Contains(text, "{") {
					t.Errorf("%s", text)
				}
			}
		})
	}
}

func TestKindsAreToldApart(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"netqmail":    netqmail(),
		"notqmail":    with(netqmail(), "var/qmail/bin/qmail-rspawn", elf+"QMAILREMOTE\x00"),
		"s/qmail":     with(netqmail(), "var/qmail/bin/qmail-smtpam", elf),
		"Plesk qmail": with(netqmail(), "opt/psa/version", "12.5\n"),
	} {
		p, err := plan(t, tree(t, with(files, "var/qmail/control/concurrencyremote", "120\n", "var/qmail/supervise/qmail-send/run", "#!/bin/sh\nexec softlimit -m 30000000 /var/qmail/rc\n")), wished(""))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(p.Found); !strings.Contains(got, want) || !strings.Contains(got, "120") || !strings.Contains(got, "softlimit") {
			t.Errorf("%s: %s", want, got)
		}
	}
}

// The script is what stands between a broken ukai and bounced mail: qmail-rspawn takes every exit code but 0 and 111 for final.
func TestTheScriptBouncesNothing(t *testing.T) {
	report := "r\x00K192.0.2.1 accepted message.\n\x00"
	for name, c := range map[string]struct {
		ukai string // a script; empty: there is none
		mode os.FileMode
		sh   string // before the script, in the same shell
		code int
		by   string // who said it
	}{
		"ukai delivers":                 {"#!/bin/sh\nshift 6; echo ukai \"$@\"\n", 0o755, "", 0, "ukai h f r@h\n"},
		"ukai is not there":             {"", 0, "", 0, report},
		"ukai may not be run":           {"#!/bin/sh\n", 0o644, "", 0, report},
		"ukai has lost its interpreter": {"#!/nowhere/sh\n", 0o755, "", 0, report},
		"ukai wants to be asked again":  {"#!/bin/sh\nexit 111\n", 0o755, "", 111, ""},
		"ukai dies of itself":           {"#!/bin/sh\necho panic >&2; exit 2\n", 0o755, "", 111, ""},
		"ukai is killed":                {"#!/bin/sh\nkill -9 $$\n", 0o755, "", 111, ""},
		"address space is short":        {"#!/bin/sh\necho ukai\n", 0o755, "ulimit -v 500000; ", 0, report},
		"memory is short":               {"#!/bin/sh\necho ukai\n", 0o755, "ulimit -d 500000; ", 0, report},
		"memory is limited but ample":   {"#!/bin/sh\necho ukai\n", 0o755, "ulimit -v 2000000; ", 0, "ukai\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := &draft{wish: mtaconf.Wish{Program: filepath.Join(dir, "it's ukai")}}
			files := map[string]string{"original": "#!/bin/sh\nprintf 'r\\000K192.0.2.1 accepted message.\\n\\000'\n", "qmail-remote": d.script("/settings", filepath.Join(dir, "original"))}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if c.ukai != "" {
				if err := os.WriteFile(d.wish.Program, []byte(c.ukai), c.mode); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("/bin/sh", "-c", c.sh+`exec "$0" h f r@h`, filepath.Join(dir, "qmail-remote"))
			cmd.Env = []string{"PATH=" + dir}
			out, err := cmd.Output()
			var ended *exec.ExitError
			if err != nil && !errors.As(err, &ended) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || c.code == 0 && string(out) != c.by {
				t.Errorf("exit code %d, %q", code, out)
			}
		})
	}
}

func TestTheFilesOfAPlanAreNotSeenAgain(t *testing.T) {
	sys := tree(t, netqmail())
	first, err := plan(t, sys, wished(mtaconf.Steer))
	if err != nil {
		t.Fatal(err)
	}
	// As package connect shows it to a planner afterwards: the changes taken out.
	sys.Instead = map[string][]byte{"/var/qmail/bin/qmail-remote.ukai-original": nil, "/var/qmail/control/ukai": nil, "/var/qmail/control/ukai-routes": nil, "/var/qmail/bin/qmail-remote": []byte(elf + "remote")}
	for _, f := range first.Files {
		if err := os.WriteFile(filepath.Join(sys.Root, f.Path), f.Text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	again, err := plan(t, sys, wished(mtaconf.Steer))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range again.Files {
		if f.Path != first.Files[i].Path || !bytes.Equal(f.Text, first.Files[i].Text) {
			t.Errorf("%s: %q", f.Path, f.Text)
		}
	}
}

func FuzzMentions(f *testing.F) {
	f.Add("exec /var/qmail/bin/qmail-remote.orig \"$@\"", "qmail-remote.orig")
	f.Fuzz(func(t *testing.T, text, name string) {
		if name == "" {
			return
		}
		if mentions([]byte(text), name) && !strings.Contains(text, name) {
			t.Errorf("%q in %q", name, text)
		}
	})
}
