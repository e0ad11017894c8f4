package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ukai/internal/i18n"
)

var update = flag.Bool("update", false, "rewrite what the cases expect")

// environ is the environment of the cases.
func environ(name string) string { return map[string]string{"RELAY_PASSWORD": "s3cret"}[name] }

// A case is a family: NAME.toml, and NAME.txt with every problem in both languages, or the settings that are in force.
func TestEveryMistakeIsToldWithItsPlaceAndWhatIsAllowed(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(names) < 10 {
		t.Fatalf("cases: %d, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".toml"), func(t *testing.T) {
			doc, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, all := Parse(filepath.ToSlash(name), doc, environ)
			if c != nil || len(all) == 0 {
				t.Fatal("it is taken")
			}
			var b strings.Builder
			for _, p := range all {
				fmt.Fprintf(&b, "%s %s\n%s\nen: %s\nja: %s\n\n", p.Where(), p.Key, p.Source, p.Text(i18n.EN), p.Text(i18n.JA))
			}
			golden(t, strings.TrimSuffix(name, ".toml")+".txt", b.String())
		})
	}
}

func TestSettingsAreReadAndShown(t *testing.T) {
	names, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(names) < 2 {
		t.Fatalf("cases: %d, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".toml"), func(t *testing.T) {
			doc, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, all := Parse(filepath.ToSlash(name), doc, environ)
			for _, p := range all {
				t.Error(p.Error())
			}
			if c == nil {
				return
			}
			golden(t, strings.TrimSuffix(name, ".toml")+".txt", string(c.TOML()))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (rewritten by go test -update):\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestWhatIsShownIsReadAgain(t *testing.T) {
	doc, err := os.ReadFile("testdata/good/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	first, all := Parse("testdata/good/full.toml", doc, environ)
	if len(all) > 0 {
		t.Fatal(all[0].Error())
	}
	for i := range first.Egresses { // stars are no password
		if first.Egresses[i].Password != "" {
			first.Egresses[i].Password, first.Egresses[i].PasswordFile = "********", ""
		}
	}
	second, all := Parse("again.toml", absolute(t, first), environ)
	if len(all) > 0 {
		t.Fatalf("%s\n%s", all[0].Error(), first.TOML())
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("first:\n%s\nsecond:\n%s", first.TOML(), second.TOML())
	}
}

// absolute makes the names of files independent of where the settings lie.
func absolute(t *testing.T, c *Config) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c.resolve(dir)
	return c.TOML()
}

func TestTheDefaultIsARelayForThisMachine(t *testing.T) {
	c, all := Load("")
	if len(all) > 0 {
		t.Fatal(all[0].Error())
	}
	if again, all := Parse("default.toml", c.TOML(), environ); len(all) > 0 {
		t.Errorf("the defaults break a rule: %s", all[0].Error())
	} else if again.Data = c.Data; !reflect.DeepEqual(c, again) {
		t.Errorf("the defaults are not what they say:\n%s\n%s", c.TOML(), again.TOML())
	}
	other := Default()
	other.Listeners[0].Relay = other.Listeners[0].Relay[:1]
	if !c.DefaultListeners() || other.DefaultListeners() {
		t.Error("which listeners are those by default?")
	}
	l := c.Listeners[0]
	if len(c.Listeners) != 1 || l.Address != "127.0.0.1:2525" || l.Auth != AuthOff || l.TLS != NoTLS {
		t.Errorf("listeners: %+v", c.Listeners)
	}
	for _, n := range l.Relay {
		if !n.Addr().IsLoopback() {
			t.Errorf("by default, %s may relay", n)
		}
	}
	if len(c.Egresses) != 1 || c.Egresses[0].Kind != Direct || c.Egresses[0].TLS != Opportunistic || c.Egresses[0].Port != 25 {
		t.Errorf("egresses: %+v", c.Egresses)
	}
	if len(c.Pools) != 1 || len(c.Pools[0].Egresses) != 1 || c.Pools[0].Egresses[0] != "direct" {
		t.Errorf("pools: %+v", c.Pools)
	}
	if c.Mode != Act || c.HTTP.Listen != "127.0.0.1:8025" || c.Data != "ukai-data" {
		t.Errorf("mode %s, HTTP %s, data %s", c.Mode, c.HTTP.Listen, c.Data)
	}
}

func TestAFileThatIsNotThereIsToldWithAWayOut(t *testing.T) {
	for name, c := range map[string]struct{ path, want string }{
		"missing":     {filepath.Join(t.TempDir(), "ukai.toml"), "config example"},
		"a directory": {t.TempDir(), "cannot be read"},
	} {
		_, all := Load(c.path)
		if len(all) != 1 || !strings.Contains(all[0].Text(i18n.EN), c.want) || all[0].Where() != c.path {
			t.Errorf("%s: %v", name, all)
		}
	}
}

func TestFilesAreLookedForBesideTheSettings(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ukai.toml")
	text := "data = \"spool\"\n[[egress]]\nname = \"r\"\nkind = \"smarthost\"\nhost = \"r.example.net\"\nusername = \"u\"\npassword_file = \"pw\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\nrelay = [\"127.0.0.1\"]\n"
	for name, body := range map[string]string{path: text, filepath.Join(dir, "pw"): "s3cret\n"} {
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, all := Load(path)
	if len(all) > 0 {
		t.Fatal(all[0].Error())
	}
	if c.Data != filepath.Join(dir, "spool") || c.Egresses[0].Password != "s3cret" {
		t.Errorf("data %q, password %q", c.Data, string(c.Egresses[0].Password))
	}
}

func TestEveryMistakeInOnesOwnKnowledgeIsToldByItself(t *testing.T) {
	k := &checker{problems: newProblems("ukai.toml", nil)}
	k.knowledge("classify.dir", "rules", errors.Join(errors.New("one"), errors.Join(i18n.Errorf("config.check.empty"), fmt.Errorf("three: %w", os.ErrNotExist))))
	k.knowledge("classify.dir", "rules", nil)
	if len(k.problems.all) != 3 || k.problems.all[1].what.Key != "config.check.empty" {
		t.Errorf("got %v", k.problems.all)
	}
}

func TestASecretIsNowhereToBeSeen(t *testing.T) {
	c := Default()
	c.Egresses[0].Password = "hunter2"
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"TOML": string(c.TOML()), "JSON": string(j), "%v": fmt.Sprintf("%v", c.Egresses[0]), "%+v": fmt.Sprintf("%+v", c.Egresses),
	} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the password: %s", what, text)
		}
	}
	if !strings.Contains(string(c.TOML()), `password = "********"`) {
		t.Error("that there is a password is to be seen")
	}
}

func TestJSONHasTheKeysOfTheFile(t *testing.T) {
	j, err := json.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Queue    map[string]any
		Listener []map[string]any
	}
	if err := json.Unmarshal(j, &got); err != nil {
		t.Fatal(err)
	}
	if got.Queue["lifetime"] != "5d" || got.Queue["min_free"] != "512MiB" || got.Listener[0]["auth"] != false {
		t.Errorf("%s", j)
	}
}

var settingLine = regexp.MustCompile(`(?m)^#([a-z_]+ = |\[)`)

func TestTheExampleExplainsEveryKeyAndSetsNothing(t *testing.T) {
	for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
		doc := Example(l)
		c, all := Parse("ukai.toml", doc, environ)
		if len(all) > 0 {
			t.Fatal(all[0].Error())
		}
		if !reflect.DeepEqual(c, Default()) {
			t.Errorf("%s: the example sets\n%s", l, c.TOML())
		}
		inForce := settingLine.ReplaceAll(doc, []byte("$1"))
		eachKeyIsIn(t, l, inForce)
		c, all = Parse("ukai.toml", inForce, environ)
		for _, p := range all {
			if !strings.Contains(p.Text(i18n.EN), "no such file") && p.Key != "classify.dir" {
				t.Errorf("%s, all marks taken away: %s", l, p.Error())
			}
		}
		if c != nil {
			t.Errorf("%s: the files of the example are there?", l)
		}
	}
	strip := func(doc []byte) string {
		return regexp.MustCompile(`(?m)^(# .*|#|)\n`).ReplaceAllString(string(doc), "")
	}
	if en, ja := strip(Example(i18n.EN)), strip(Example(i18n.JA)); en != ja {
		t.Errorf("the examples differ in more than words:\n%s\n%s", en, ja)
	}
}

func eachKeyIsIn(t *testing.T, l i18n.Lang, doc []byte) {
	t.Helper()
	root, errs := parse(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var walk func(typ reflect.Type, nodes []*node, path string)
	walk = func(typ reflect.Type, nodes []*node, path string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			var below []*node
			for _, n := range nodes {
				if field := n.get(keyOf(f)); field != nil {
					below = append(below, field.value)
					below = append(below, field.value.items...)
				}
			}
			sub := join(path, keyOf(f))
			if len(below) == 0 && sub != "egress.password" && sub != "watch.imap.password" && sub != "notify.heartbeat.url" && sub != "lists.key.password" { // stands in a comment of its neighbour
				t.Errorf("%s: the example does not show %s", l, sub)
			}
			switch elem := f.Type; {
			case elem.Kind() == reflect.Struct && elem.PkgPath() != "net/netip":
				walk(elem, below, sub)
			case elem.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.Struct && elem.Elem().PkgPath() != "net/netip":
				walk(elem.Elem(), below, sub)
			}
		}
	}
	walk(reflect.TypeFor[Config](), []*node{root}, "")
}

// What the example calls a default in its tables is one.
func TestTheExampleShowsTheRealDefaults(t *testing.T) {
	doc := settingLine.ReplaceAll(Example(i18n.EN), []byte("$1"))
	root, _ := parse(doc)
	c := base()
	(&binder{newProblems("", doc)}).table(root, reflect.ValueOf(c).Elem(), "")
	want := base()
	c.DNS.Servers = nil
	for _, pair := range [][2]any{{c.Mode, want.Mode}, {c.Data, want.Data}, {c.Log, want.Log}, {c.DNS, want.DNS}, {c.HTTP, want.HTTP}, {c.Limits, want.Limits}, {c.Queue, want.Queue}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("the example shows %+v, the default is %+v", pair[0], pair[1])
		}
	}
	if c.Health.Window != 10*time.Minute || c.Health.BlockCount != 3 {
		t.Errorf("the thresholds were not read: %+v", c.Health)
	}
}

func TestEverySettingCanBeReadAndHasASoundRange(t *testing.T) {
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			elem := f.Type
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if elem.Kind() == reflect.Struct && elem.PkgPath() != "net/netip" {
				walk(elem)
				continue
			}
			// A value of the wrong kind is told; a type or a range that the binder cannot read panics.
			b := &binder{newProblems("", nil)}
			n := &node{kind: dateNode, raw: "1979-05-27"}
			v := reflect.New(elem).Elem()
			b.value(n, v, slot{f.Name, f.Tag.Get("range")})
			if len(b.all) == 0 {
				t.Errorf("%s.%s takes a date", typ.Name(), f.Name)
			}
			if tag := f.Tag.Get("range"); tag != "" {
				for _, bound := range strings.Split(tag, "..") {
					if !readable(elem, bound) {
						t.Errorf("%s.%s: the bound %q cannot be read", typ.Name(), f.Name, bound)
					}
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func readable(t reflect.Type, bound string) bool {
	var ok bool
	switch t {
	case reflect.TypeFor[time.Duration]():
		_, ok = parseDuration(bound)
	case reflect.TypeFor[Size]():
		_, ok = parseSize(bound)
	default:
		_, ok = parseInt(bound)
	}
	return ok
}

func TestTheMachineHasANameWhateverTheFileSays(t *testing.T) {
	if got := (&Config{Hostname: "mx.example.org"}).Name(); got != "mx.example.org" {
		t.Errorf("got %q", got)
	}
	if got := Default().Name(); got == "" {
		t.Error("no name")
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.toml", "testdata/good/*.toml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if doc, err := os.ReadFile(name); err == nil {
				f.Add(doc)
			}
		}
	}
	f.Add(Example(i18n.JA))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if bytes.Contains(doc, []byte("/dev/")) { // reading a terminal or a random file never ends
			return
		}
		c, all := Parse("fuzz.toml", doc, environ)
		if (c == nil) != (len(all) > 0) {
			t.Fatalf("settings %v with %d problems", c != nil, len(all))
		}
		lines := bytes.Count(doc, []byte("\n")) + 1
		for _, p := range all {
			if p.Line > lines || p.Col < 0 || p.Text(i18n.EN) == "" || strings.Contains(p.Text(i18n.JA), "{") != strings.Contains(p.Text(i18n.EN), "{") {
				t.Fatalf("%+v: %s", p, p.Text(i18n.EN))
			}
		}
		if c == nil {
			return
		}
		for _, l := range c.Listeners {
			for _, n := range l.Relay {
				if n.Contains(netip.MustParseAddr("198.51.100.7")) && n.Contains(netip.MustParseAddr("8.8.8.8")) {
					t.Fatalf("the world may relay: %v", n)
				}
			}
		}
	})
}

func TestAPasswordIsNotShownWithItsMistake(t *testing.T) {
	for _, line := range []string{`password = "hunter2`, `password = hunter2`, `x = { password = 'hunter2' }`, `"password" = "hunter2" "`, `PASSWORD=hunter2`, `password = ["hunter2"]`} {
		_, all := Parse("ukai.toml", []byte("[[egress]]\n"+line+"\n"), environ)
		if len(all) == 0 {
			t.Errorf("%s is taken", line)
		}
		for _, p := range all {
			if shown := p.Source + p.Error() + p.Text(i18n.JA); strings.Contains(shown, "hunter2") {
				t.Errorf("%s is shown: %s", line, shown)
			}
		}
	}
}
