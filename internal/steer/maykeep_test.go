package steer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ukai/internal/mtaconf"
)

func TestWhatStandsInTheWayOfAFileIsKnownBeforehand(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/exim4"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var needsRoot error
	if os.Geteuid() != 0 {
		needsRoot = ErrRoot
	}
	for name, c := range map[string]struct {
		file mtaconf.RouteFile
		well bool
		want error
	}{
		"a directory of one's own":      {mtaconf.RouteFile{Path: "/etc/exim4/ukai_hosts"}, true, nil},
		"one that is made with it":      {mtaconf.RouteFile{Path: "/etc/exim4/ukai/a/hosts"}, true, nil},
		"one that may not be written":   {mtaconf.RouteFile{Path: "/etc/plain/ukai_hosts"}, false, os.ErrPermission},
		"a command that reloads":        {mtaconf.RouteFile{Path: "/etc/exim4/x", Then: &mtaconf.Command{Args: []string{"postfix", "reload"}}}, needsRoot == nil, needsRoot},
		"a command that says nothing":   {mtaconf.RouteFile{Path: "/etc/exim4/x", Then: &mtaconf.Command{}}, true, nil},
		"a name that leads in a circle": {mtaconf.RouteFile{Path: "/circle/x"}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a name that leads in a circle" {
				if err := os.Symlink("circle", filepath.Join(root, "circle")); err != nil {
					t.Fatal(err)
				}
			}
			err := MayKeep(root, &c.file)
			if (err == nil) != c.well || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
