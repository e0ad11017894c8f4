package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ukai/internal/i18n"
)

func TestWhereTheDataIs(t *testing.T) {
	dir := t.TempDir()
	site := filepath.Join(dir, "site.toml")
	other := filepath.Join(dir, "other.toml")
	broken := filepath.Join(dir, "broken.toml")
	for name, text := range map[string]string{site: "data = \"/srv/site\"\n", other: "data = \"/srv/other\"\n", broken: "mode = 1\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		config, data string
		environ      map[string]string
		site, want   string
	}{
		"nothing is said":                            {"", "", nil, "none", "ukai-data"},
		"the system's own settings":                  {"", "", nil, site, "/srv/site"},
		"settings of the environment go before":      {"", "", map[string]string{"UKAI_CONFIG": other}, site, "/srv/other"},
		"--config goes before both":                  {other, "", map[string]string{"UKAI_CONFIG": broken}, site, "/srv/other"},
		"--data goes before the settings":            {other, "/srv/flag", nil, site, "/srv/flag"},
		"--data helps where the settings are broken": {broken, "/srv/flag/", nil, site, "/srv/flag"},
		"data of the environment":                    {other, "", map[string]string{"UKAI_DATA": "/srv/env"}, site, "/srv/env"},
		"--data goes before the environment":         {other, "/srv/flag", map[string]string{"UKAI_DATA": "/srv/env"}, site, "/srv/flag"},
		"broken settings":                            {broken, "", nil, site, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			e := at(&out, &errs, c.environ)
			e.configFlag, e.dataFlag, e.site = c.config, c.data, c.site
			got, err := e.dataDir()
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestATableKeepsItsColumnsInEveryScript(t *testing.T) {
	tab := newTable("id", "状態")
	tab.row("1", "保留中", "x")
	tab.row("long one", "ok\nok", "y")
	tab.row("é", "")
	var b strings.Builder
	tab.write(&b)
	want := "ID        状態\n1         保留中  x\nlong one  ok ok   y\né\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	for s, n := range map[string]int{"": 0, "abc": 3, "迂回": 4, "ｶﾅ": 2, "한": 2, "e\u0301": 1, "🐟": 2, "「」": 4} {
		if got := width(s); got != n {
			t.Errorf("width(%q) = %d, want %d", s, got, n)
		}
	}
}

func TestProgressKeepsQuietWhereNobodyWatches(t *testing.T) {
	var out, errs strings.Builder
	p := at(&out, &errs, nil).progress()
	p.update("1 of 2")
	p.done()
	if errs.Len() > 0 {
		t.Errorf("it says %q", errs.String())
	}
	var b strings.Builder
	p = &progress{w: &b}
	p.update("1 of 2")
	p.update("2")
	p.done()
	p.update("too late")
	p.done()
	if want := "\r1 of 2\x1b[K\r2\x1b[K\r\x1b[K"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if terminal(null) || terminal(io.Discard) {
		t.Error("a file is taken for a terminal")
	}
}

func TestTheExitCodeSaysHowItEnded(t *testing.T) {
	cause := i18n.Errorf("cli.serve.unavailable")
	for name, c := range map[string]struct {
		err  error
		code int
		said bool
	}{
		"done":              {nil, exitDone, false},
		"failed":            {cause, exitFailed, true},
		"found something":   {errFound, exitFailed, false},
		"could not tell":    {unknown(cause), exitUnknown, true},
		"wrong usage":       {usage("cli.usage.lang", "value", "x"), exitUsage, true},
		"some other error":  {errors.New("disk on fire"), exitFailed, true},
		"wrapped, but ours": {errors.Join(errors.New("context"), unknown(cause)), exitUnknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			e := at(&out, &errs, nil)
			if code := e.report(newRoot(e), c.err); code != c.code || (errs.Len() > 0) != c.said {
				t.Errorf("exit %d, want %d; it says %q", code, c.code, errs.String())
			}
		})
	}
}
