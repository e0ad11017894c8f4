package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

const root = "../.."

// starts are the pages that everybody begins with: they show both commands and settings.
var starts = []string{"README.md", "README.ja.md", "docs/guide.md", "docs/guide.ja.md"}

// otherFiles are pages that show TOML files of another kind: rules, scenarios, catalogues.
var otherFiles = []string{"docs/classify.md", "docs/rehearse.md", "docs/rehearse.ja.md", "docs/listed.md", "docs/listed.ja.md"}

// documents are all pages for users.
func documents(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) < 10 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	all := []string{"README.md", "README.ja.md"}
	for _, name := range names {
		all = append(all, "docs/"+filepath.Base(name))
	}
	return all
}

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	settingsBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")
	commandSpan   = regexp.MustCompile("`(?:[A-Z_]+=[^ `]* )?(?:\\./)?(ukai [a-z][^`]*)`|(?m)^go run \\./cmd/(ukai [a-z]+)")
)

// A file that a page names is not there on this machine; everything else in its settings must be right.
func TestTheSettingsOnThePagesAreGood(t *testing.T) {
	for _, name := range documents(t) {
		if slices.Contains(otherFiles, name) {
			continue
		}
		blocks := settingsBlock.FindAllStringSubmatch(page(t, name), -1)
		if len(blocks) == 0 && slices.Contains(starts, name) {
			t.Errorf("%s shows no settings", name)
		}
		for _, block := range blocks {
			c, problems := config.Parse(name, []byte(block[1]), func(key string) string { return map[string]string{"RELAY_PASSWORD": "x"}[key] })
			for i := range problems {
				if text := problems[i].Text(i18n.EN); !strings.Contains(text, "no such file") {
					t.Errorf("%s: %s", problems[i].Where(), text)
				}
			}
			if c == nil && len(problems) == 0 {
				t.Errorf("%s: nothing came of\n%s", name, block[1])
			}
		}
	}
}

func TestTheCommandsOnThePagesAreThere(t *testing.T) {
	for _, name := range documents(t) {
		found := commandSpan.FindAllStringSubmatch(page(t, name), -1)
		if len(found) < 3 && slices.Contains(starts, name) {
			t.Errorf("%s shows %d commands", name, len(found))
		}
		for _, f := range found {
			var out, errs strings.Builder
			e := at(&out, &errs, nil)
			line := words(strings.ReplaceAll(f[1]+f[2], `"`, "'"))
			cmd, rest, err := newRoot(e).Find(line[1:])
			if err != nil || cmd.Name() == "ukai" {
				t.Errorf("%s: %q: no such command, %v", name, f[0], err)
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", name, f[0], err)
				continue
			}
			if given := cmd.Flags().Args(); cmd.Args != nil && len(given) > 0 && !strings.Contains(f[0], "|") {
				if err := cmd.Args(cmd, given); err != nil {
					t.Errorf("%s: %q: %v", name, f[0], err)
				}
			}
			if len(cmd.Commands()) > 0 {
				t.Errorf("%s: %q names a group of commands", name, f[0])
			}
		}
	}
}

func TestThePagesInBothLanguagesShowTheSameSettings(t *testing.T) {
	keys := regexp.MustCompile(`(?m)^(\[\[?[a-z.]+\]?\]|[a-z_]+ = ("[^"]*"|[^ #\n]+|\[[^\]]*\]))`)
	for en, ja := range map[string]string{"README.md": "README.ja.md", "docs/guide.md": "docs/guide.ja.md", "docs/watch.md": "docs/watch.ja.md"} {
		all := func(name string) string {
			var b strings.Builder
			for _, block := range settingsBlock.FindAllStringSubmatch(page(t, name), -1) {
				for _, line := range keys.FindAllString(block[1], -1) {
					b.WriteString(line + "\n")
				}
			}
			return b.String()
		}
		if all(en) != all(ja) {
			t.Errorf("%s:\n%s\n%s:\n%s", en, all(en), ja, all(ja))
		}
	}
}
