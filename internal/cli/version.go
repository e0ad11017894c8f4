package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildInfo says which ukai this is.
type buildInfo struct {
	Version  string `json:"version"` // "v1.2.3", or "devel" where it was built from a tree
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the tree had changes that no revision has
	Time     string `json:"time,omitempty"`     // of the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild reads what the compiler noted in the program.
func readBuild() buildInfo {
	b := buildInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.Time = s.Value
		}
	}
	return b
}

func newVersion(e *env) *cobra.Command {
	return e.command("version", "cli.version.", args(0, 0), func(*cobra.Command, []string) error {
		b := e.build()
		return e.show(b, func(w io.Writer) {
			fmt.Fprintf(w, "ukai %s\n", b.Version)
			t := table{indent: "  "}
			if b.Revision != "" {
				revision := b.Revision
				if b.Modified {
					revision += e.text("cli.version.modified")
				}
				t.row(e.text("cli.version.revision"), revision)
				t.row(e.text("cli.version.time"), b.Time)
			}
			t.row("Go", b.Go)
			t.row(e.text("cli.version.platform"), b.Platform)
			t.write(w)
		})
	})
}
