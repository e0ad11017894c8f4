package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ukai/internal/api/apitest"
	"ukai/internal/config"
	"ukai/internal/i18n"
)

var update = flag.Bool("update", false, "rewrite what the transcripts expect")

// at makes an env as a test wants it: nothing of this machine shows.
func at(out, err *strings.Builder, environ map[string]string) *env {
	return &env{
		in: strings.NewReader(""), out: out, err: err, site: "none",
		getenv: func(name string) string { return environ[name] },
		now:    func() time.Time { return apitest.Now }, who: func() string { return "hanako" },
		build: func() buildInfo {
			return buildInfo{Version: "v1.2.3", Revision: "0123abc", Modified: true, Time: "2026-01-02T03:04:05Z", Go: "go1.26", Platform: "linux/amd64"}
		},
		start: func(context.Context, *config.Config, serveOptions) (server, error) {
			return nil, i18n.Errorf("cli.serve.unavailable")
		},
	}
}

// A transcript is a session at a terminal: files that are there ("-- file NAME --"), then commands ("$ ukai ...") with what
// they write to standard output, to standard error ("! "), and their exit code where it is not 0 ("= 3"). A line "-- running
// DIR --" puts an inside of ukai with a story behind the control socket in that data directory. A command may be fed:
// "$ echo TEXT | ukai ...". What is different in each run is masked: passwords that were made up, the time of accounts.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) < 4 {
		t.Fatalf("transcripts: %d, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			path, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, name, got, string(want))
		})
	}
}

// TestMain makes the test's place one without a time zone, before anybody looks at a clock.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// compare shows the first lines that differ, with the command they belong to.
func compare(t *testing.T, name, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	command := ""
	for i := range max(len(g), len(w)) {
		if i < len(g) && strings.HasPrefix(g[i], "$ ") {
			command = g[i]
		}
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Errorf("%s:%d (rewritten by go test -update), in %q:\ngot:\n%s\nwant:\n%s", name, i+1, command,
				strings.Join(g[min(i, len(g)):min(i+5, len(g))], "\n"), strings.Join(w[min(i, len(w)):min(i+5, len(w))], "\n"))
			return
		}
	}
}

// replay makes the files, runs the commands and writes the transcript anew.
func replay(t *testing.T, script string) string {
	t.Helper()
	var b strings.Builder
	files := map[string]string{}
	file, inFile := "", true
	for _, line := range strings.SplitAfter(script, "\n") {
		name, isHead := strings.CutPrefix(line, "-- file ")
		if dir, ok := strings.CutPrefix(line, "-- running "); ok && inFile {
			start(t, strings.TrimSuffix(strings.TrimSpace(dir), " --"))
			b.WriteString(line)
			continue
		}
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isHead && inFile:
			file = strings.TrimSuffix(strings.TrimSpace(name), " --")
		case isCommand:
			if inFile {
				for name, text := range files {
					if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(name, []byte(strings.TrimSuffix(text, "\n")), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			inFile = false
			b.WriteString(line + session(strings.TrimSpace(command)))
			continue
		case inFile && file != "":
			files[file] += line
		}
		if inFile {
			b.WriteString(line)
		}
	}
	return b.String()
}

// start puts a story behind the control socket in a data directory.
func start(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	x := apitest.New(t, dir)
	apitest.Tell(t, x)
	x.Serve(t, dir)
}

// masks are what differs from run to run.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[A-Z2-7]{26}`), "MADEUPPASSWORD"},
	{regexp.MustCompile(`(since |"created": "|"suspended": ")20\d\d-[-0-9T:. Z+]+\d`), "${1}THEN"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d( から停止中)`), "THEN$1"},
	{regexp.MustCompile(`"(created|suspended)": "[^"]*"`), `"$1": "THEN"`},
	{regexp.MustCompile(`"index_lag_ns": \d+`), `"index_lag_ns": 0`},
}

// session runs one command line, with variables of the environment in front of it or a text that is fed to it.
func session(line string) string {
	var out, errs, b strings.Builder
	environ := map[string]string{}
	e := at(&out, &errs, environ)
	args := words(line)
	for len(args) > 0 && args[0] != "ukai" {
		if args[0] == "echo" {
			e.in = strings.NewReader(args[1] + "\n")
			args = args[3:]
			continue
		}
		name, value, _ := strings.Cut(args[0], "=")
		environ[name] = value
		args = args[1:]
	}
	code := run(args[1:], e)
	b.WriteString(out.String())
	if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
		b.WriteString("\n(no line end)\n")
	}
	for line := range strings.Lines(errs.String()) {
		b.WriteString(strings.TrimRight("! "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	if code != exitDone {
		fmt.Fprintf(&b, "= %d\n", code)
	}
	b.WriteString("\n")
	text := b.String()
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.with)
	}
	return text
}

// words parts a command line at blanks, those between single quotes left out.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

func TestEveryCommandHasItsTextsInBothLanguages(t *testing.T) {
	for _, l := range []i18n.Lang{i18n.EN, i18n.JA} {
		var out, errs strings.Builder
		e := at(&out, &errs, nil)
		e.lang = l
		all := newRoot(e).Commands()
		for len(all) > 0 {
			c := all[0]
			all = append(all[1:], c.Commands()...)
			if strings.HasPrefix(c.Short, "cli.") || c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.HasSuffix(c.Short, "。") {
				t.Errorf("%s: %q is no short text (a phrase without a full stop)", c.CommandPath(), c.Short)
			}
			if c.RunE == nil {
				t.Errorf("%s does nothing", c.CommandPath())
			}
		}
	}
}

func TestCompletionKnowsTheCommandsAndTheLanguages(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, wants := range map[string][]string{
		"__complete conf":             {"config\t"},
		"__complete config ":          {"check\t", "show\t", "example\t"},
		"__complete --lang ":          {"ja\t日本語", "en\tEnglish"},
		"__complete help config ":     {"check\t"},
		"completion bash":             {"__start_ukai"},
		"completion zsh":              {"#compdef ukai"},
		"completion fish":             {"complete -c ukai"},
		"completion pwsh":             {"Register-ArgumentCompleter"},
		"completion powershell":       {"Register-ArgumentCompleter"},
		"__complete completion ":      {"bash\t", "zsh\t", "fish\t", "powershell\t"},
		"__complete config check ":    {":8"}, // files with the ending
		"__complete version nothing ": {":4"}, // no files
	} {
		var out, errs strings.Builder
		list := strings.Split(args, " ")
		if code := run(list, at(&out, &errs, nil)); code != exitDone {
			t.Errorf("ukai %s: exit %d: %s", args, code, errs.String())
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("ukai %s: no %q in %s", args, want, out.String())
			}
		}
	}
}

func TestWhatIsPrintedAsJSONIsOneObject(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bad.toml", []byte("mod = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"version", "config show", "config example", "config check", "config check bad.toml", "config check missing.toml",
		"-c bad.toml config show", "serve", "nonsense", "version --nonsense", "--lang xx version",
	} {
		var out, errs strings.Builder
		run(append([]string{"--json"}, strings.Fields(args)...), at(&out, &errs, nil))
		var v map[string]any
		d := json.NewDecoder(strings.NewReader(out.String()))
		if err := d.Decode(&v); err != nil || d.More() || len(v) == 0 {
			t.Errorf("ukai --json %s: %v: %s", args, err, out.String())
		}
		if errs.Len() > 0 {
			t.Errorf("ukai --json %s: besides it says %s", args, errs.String())
		}
	}
}

func TestMainReadsTheEnvironmentAndTheBuild(t *testing.T) {
	t.Setenv("LC_ALL", "ja_JP.UTF-8")
	var out, errs strings.Builder
	if code := Main([]string{"version"}, strings.NewReader(""), &out, &errs); code != exitDone || !strings.Contains(out.String(), "プラットフォーム") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
	out.Reset()
	t.Setenv("LC_ALL", "C")
	if code := Main([]string{"version"}, strings.NewReader(""), &out, &errs); code != exitDone || !strings.Contains(out.String(), "Platform") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}
