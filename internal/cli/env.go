package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

// siteConfig is read when neither --config nor $UKAI_CONFIG names a file: where a package of an operating system puts it.
const siteConfig = "/etc/ukai/ukai.toml"

// env is what every subcommand works with.
type env struct {
	in       io.Reader
	out, err io.Writer
	lang     i18n.Lang
	json     bool

	configFlag, dataFlag string

	getenv func(string) string
	now    func() time.Time
	who    func() string // the user of the operating system who gives an order
	start  func(context.Context, *config.Config, serveOptions) (server, error)
	build  func() buildInfo
	site   string // siteConfig but in tests
}

// text returns a text of the catalogue in the language that was asked for.
func (e *env) text(key string, args ...any) string { return i18n.Text(e.lang, key, args...) }

// printf writes to standard error: what is for people and not for the next program in a pipe.
func (e *env) printf(format string, args ...any) { fmt.Fprintf(e.err, format, args...) }

// show writes a result to standard output: with --json the value, as one object; else what human writes.
func (e *env) show(v any, human func(w io.Writer)) error {
	if e.json {
		return e.writeJSON(v)
	}
	human(e.out)
	return nil
}

func (e *env) writeJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// configPath returns the file of settings, or "" for the defaults: --config, else $UKAI_CONFIG, else siteConfig where it is.
func (e *env) configPath() string {
	if e.configFlag != "" {
		return e.configFlag
	}
	if path := e.getenv("UKAI_CONFIG"); path != "" {
		return path
	}
	if _, err := os.Stat(e.site); err == nil {
		return e.site
	}
	return ""
}

// config loads the settings, with the data directory of --data or $UKAI_DATA in place of theirs. What is wrong with them is
// printed here.
func (e *env) config() (*config.Config, error) {
	c, problems := e.load()
	if len(problems) > 0 {
		return nil, e.showProblems(e.configPath(), problems)
	}
	return c, nil
}

// load does what config does and prints nothing.
func (e *env) load() (*config.Config, []config.Problem) {
	c, problems := config.Load(e.configPath())
	if dir := e.dataOverride(); dir != "" && c != nil {
		c.Data = dir
	}
	return c, problems
}

func (e *env) dataOverride() string {
	if e.dataFlag != "" {
		return e.dataFlag
	}
	return e.getenv("UKAI_DATA")
}

// dataDir returns the data directory alone, for the commands that talk to a running ukai: they work even when the settings
// have a mistake in them, as long as --data or $UKAI_DATA says where.
func (e *env) dataDir() (string, error) {
	if dir := e.dataOverride(); dir != "" {
		return filepath.Clean(dir), nil
	}
	c, err := e.config()
	if err != nil {
		return "", err
	}
	return c.Data, nil
}

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// username returns the name of whoever runs the program, or "" where the system does not tell.
func username() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
