package opensmtpd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// tree makes a root with an OpenSMTPD in it.
func tree(t *testing.T, conf string, more ...string) *mtaconf.System {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{"/etc/smtpd.conf": conf, "/usr/sbin/smtpd": "", "/usr/sbin/smtpctl": "", "/etc/init.d/opensmtpd": "",
		"/etc/group": "root:x:0:\nopensmtpd:x:117:\n", "/var/log/mail.log": ""}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	for name, text := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &mtaconf.System{Root: root}
}

// here is an ukai on this machine that knows the server by its address; away one in another network, with a password.
var (
	here = mtaconf.Peer{Host: "127.0.0.1", Port: 2525}
	away = mtaconf.Peer{Host: "ukai.example.net", Port: 587, Username: "box1", Password: "secret", TLS: true}
)

func plan(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) (*mtaconf.Plan, error) {
	t.Helper()
	found, err := New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v %v", found, err)
	}
	return New().Plan(sys, found[0], w)
}

const usual = `# mail of the house
table aliases file:/etc/aliases
listen on localhost

action "local" maildir alias <aliases>
action "out" relay helo mail.example.org # ours

match for local action "local"
match from local for any action "out"
`

func TestPlans(t *testing.T) {
	for name, c := range map[string]struct {
		conf string
		wish mtaconf.Wish
		want string // the file as it would be
	}{
		"a relay on this machine": {usual, mtaconf.Wish{Peer: here}, strings.Replace(usual, `relay helo`, `relay host "smtp://127.0.0.1:2525" helo`, 1)},
		"a relay with a password": {usual, mtaconf.Wish{Mode: mtaconf.Relay, Peer: away}, strings.Replace(usual, `action "out" relay helo`,
			"# ukai: the password for the relay.\ntable ukai_secrets file:/etc/ukai-secrets\n"+`action "out" relay host "smtp+tls://ukai@ukai.example.net:587" auth <ukai_secrets> helo`, 1)},
		"a relay with a password on this machine": {`action out relay
match for any action out
`, mtaconf.Wish{Peer: mtaconf.Peer{Host: "::1", Port: 587, Username: "a", Password: "b", TLS: true}}, `# ukai: the password for the relay.
table ukai_secrets file:/etc/ukai-secrets
action out relay host "smtp+tls://ukai@[::1]:587" auth <ukai_secrets> tls no-verify
match for any action out
`},
		"two actions, a backup MX, and lines that go on": {`action "a" \
	relay
action "b" relay\
	helo b.example # a comment \
action "not" relay
action "mx" relay backup
match for any action "a"
`, mtaconf.Wish{Peer: here}, `action "a" \
	relay host "smtp://127.0.0.1:2525"
action "b" relay host "smtp://127.0.0.1:2525"\
	helo b.example # a comment \
action "not" relay
action "mx" relay backup
match for any action "a"
`},
		"steering": {usual, mtaconf.Wish{Mode: mtaconf.Steer, Peer: here}, strings.Replace(usual, "match from local for any",
			`# ukai: mail for the domains of this file takes the detour. ukai writes it while a provider refuses this server.
table ukai_blocked file:/etc/ukai-blocked
action "ukai_detour" relay host "smtp://127.0.0.1:2525"
match from local for domain <ukai_blocked> action "ukai_detour"
match from local for any`, 1)},
		"steering, with each rule's own conditions": {`lan = "192.0.2.0/24"
action "direct" relay
action "smart" relay host smtp://relay.example
match from src $lan mail-from "@a.example" for any action "smart"
match from src $lan for any action "direct"
match auth \
  from any for any action direct
match for domain "partner.example" action direct
match ! from local for ! any action direct
match tag X for any reject
`, mtaconf.Wish{Mode: mtaconf.Steer, Peer: away}, `lan = "192.0.2.0/24"
action "direct" relay
action "smart" relay host smtp://relay.example
match from src $lan mail-from "@a.example" for any action "smart"
# ukai: mail for the domains of this file takes the detour. ukai writes it while a provider refuses this server.
table ukai_blocked file:/etc/ukai-blocked
table ukai_secrets file:/etc/ukai-secrets
action "ukai_detour" relay host "smtp+tls://ukai@ukai.example.net:587" auth <ukai_secrets>
match from src $lan for domain <ukai_blocked> action "ukai_detour"
match from src $lan for any action "direct"
match auth \
  from any for domain <ukai_blocked> action "ukai_detour"
match auth \
  from any for any action direct
match for domain "partner.example" action direct
match ! from local for ! any action direct
match tag X for any reject
`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(t, tree(t, c.conf), c.wish)
			if err != nil {
				t.Fatal(err)
			}
			last := p.Files[len(p.Files)-1] // what it names comes before it
			if last.Path != "/etc/smtpd.conf" || string(last.Text) != c.want {
				t.Errorf("%s becomes\n%s\nwant\n%s", last.Path, last.Text, c.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		conf string
		wish mtaconf.Wish
		key  string
	}{
		"another mode":               {usual, mtaconf.Wish{Mode: mtaconf.SafetyNet, Peer: here}, "mode"},
		"live lookups":               {usual, mtaconf.Wish{Mode: mtaconf.Steer, Peer: here, Live: "127.0.0.1:8026"}, "live"},
		"no ukai":                    {usual, mtaconf.Wish{}, "peer"},
		"a password without TLS":     {usual, mtaconf.Wish{Peer: mtaconf.Peer{Host: "a", Port: 1, Username: "u"}}, "password"},
		"a password with a blank":    {usual, mtaconf.Wish{Peer: mtaconf.Peer{Host: "a", Port: 1, Username: "u", Password: "a b", TLS: true}}, "signs"},
		"another file":               {"include \"/etc/more.conf\"\n" + usual, mtaconf.Wish{Peer: here}, "include"},
		"the language of before":     {"accept from local for any relay\n", mtaconf.Wish{Peer: here}, "old"},
		"names of ours":              {"table ukai_blocked file:/x\n" + usual, mtaconf.Wish{Peer: here}, "taken"},
		"a smarthost":                {"action \"o\" relay host \"smtp://relay.example\" tls\n", mtaconf.Wish{Peer: here}, "smarthost"},
		"a smarthost for each name":  {"action \"o\" relay domain <routes>\n", mtaconf.Wish{Peer: here}, "smarthost"},
		"an address to send from":    {"action \"o\" relay src <addresses>\n", mtaconf.Wish{Peer: here}, "src"},
		"TLS at any price":           {"action \"o\" relay tls\n", mtaconf.Wish{Peer: here}, "tls"},
		"what stands in a macro":     {"how = \"relay helo a.example\"\naction \"o\" $how\n", mtaconf.Wish{Peer: here}, "macro"},
		"a rule in a macro":          {"to = \"any\"\naction \"o\" relay\nmatch for $to action \"o\"\n", mtaconf.Wish{Mode: mtaconf.Steer, Peer: here}, "macro_rule"},
		"nothing that goes out":      {"action \"l\" maildir\nmatch for local action \"l\"\n", mtaconf.Wish{Peer: here}, "no_relay"},
		"no rule for everything":     {"action \"o\" relay\nmatch for domain \"a.example\" action \"o\"\n", mtaconf.Wish{Mode: mtaconf.Steer, Peer: here}, "no_rule"},
		"a quote without an end":     {"action \"o relay\n", mtaconf.Wish{Peer: here}, "unread"},
		"a brace without an end":     {"table x { \"a\", \"b\"\n", mtaconf.Wish{Peer: here}, "unread"},
		"a macro that is not there":  {"action \"o\" relay helo $name\n", mtaconf.Wish{Peer: here}, "unread"},
		"rules for smarthosts alone": {"action \"o\" relay host smtp://a.example\nmatch for any action \"o\"\n", mtaconf.Wish{Mode: mtaconf.Steer, Peer: here}, "no_rule"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan(t, tree(t, c.conf), c.wish)
			var refused *i18n.Error
			if !errors.As(err, &refused) || refused.Key != "mtaconf.opensmtpd."+c.key {
				t.Errorf("got %v, want %s", err, c.key)
			}
		})
	}
}

func TestWhatGoesWithAPlan(t *testing.T) {
	sys := tree(t, "listen on 192.0.2.1 port 465 smtps\nlisten on eth0\nlisten on 127.0.0.1 port submission tag X\n"+usual)
	p, err := plan(t, sys, mtaconf.Wish{Mode: mtaconf.Steer, Peer: away})
	if err != nil {
		t.Fatal(err)
	}
	if p.Alive != "127.0.0.1:587" || len(p.Logs) != 1 || p.Logs[0] != "/var/log/mail.log" {
		t.Errorf("alive %s, logs %v", p.Alive, p.Logs)
	}
	if got := strings.Join(p.Check[0].Args, " "); got != "/usr/sbin/smtpd -n -f /etc/smtpd.conf" {
		t.Error(got)
	}
	if got := strings.Join(p.Reload[0].Args, " "); got != "/etc/init.d/opensmtpd restart" {
		t.Error(got)
	}
	r := p.Routes[0]
	if got := strings.Join(r.Then.Args, " "); got != "/usr/sbin/smtpctl update table ukai_blocked" || !r.Block || r.Format != mtaconf.DomainList {
		t.Errorf("%s %+v", got, r)
	}
	for _, f := range p.Files {
		switch f.Path {
		case r.Path:
			if !f.Moving || !strings.Contains(string(f.Text), "\n"+empty+"\n"+mtaconf.BlockBegin+"\n") {
				t.Errorf("%+v %s", f, f.Text)
			}
		case "/etc/ukai-secrets":
			if !f.Secret || f.Perm != 0o640 || f.GID != 117 || !strings.HasSuffix(string(f.Text), "\nukai box1:secret\n") {
				t.Errorf("%+v %s", f, f.Text)
			}
		}
	}
	if len(p.Found) == 0 || len(p.Does) < 2 || len(p.Gaps) < 3 {
		t.Errorf("%v %v %v", p.Found, p.Does, p.Gaps)
	}
	for _, n := range append(append(p.Found, p.Does...), p.Gaps...) {
		if s := i18n.Text(i18n.EN, n.Key, n.Args...); strings.ContainsAny(s, "{}") {
			t.Errorf("%s: %s", n.Key, s)
		}
	}
}

func TestSystemdStartsItWhereItRuns(t *testing.T) {
	p, err := plan(t, tree(t, usual, "/run/systemd/system/x", "", "/lib/systemd/system/opensmtpd.service", ""), mtaconf.Wish{Peer: here})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Reload[0].Args, " "); got != "systemctl restart opensmtpd.service" {
		t.Error(got)
	}
}

func TestAProgramOfTheSameNameIsNoInstallation(t *testing.T) {
	sys := &mtaconf.System{Root: t.TempDir()}
	if found, err := New().Find(sys); err != nil || len(found) != 0 {
		t.Errorf("%v %v", found, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(usual)
	f.Add("a = \"x y\"\nlisten on $a { \"b\", 'c\\'d' } # e \\\n f\nmatch \\\n for any")
	f.Add("$a\n}{\"")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parse(text)
		if err != nil {
			return
		}
		at := 0
		for _, s := range list {
			for _, tok := range s.tokens {
				if tok.from < at || tok.to < tok.from || tok.to > len(text) {
					t.Fatalf("%q: token %+v behind %d", text, tok, at)
				}
				if !tok.ofMacro {
					at = tok.to
				}
			}
		}
	})
}
