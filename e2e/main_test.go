// Package e2e tests ukai as a program against real peers from Debian: Postfix in front and behind, swaks and smtp-source as
// clients, BIND for MX records. Every peer runs as a private instance on loopback, with its own configuration and spool.
//
// The tests do not skip: a peer that is missing fails them with the name of the package to install.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ukaiBin is the program under test, built once.
var ukaiBin string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ukai-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ukaiBin = filepath.Join(dir, "ukai")
	build := exec.Command("go", "build", "-o", ukaiBin, "ukai/cmd/ukai")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// need fails the test when a program is missing, and says which Debian package has it.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if p := filepath.Join(dir, program); isExecutable(p) {
				return p
			}
		}
		t.Fatalf("%s is missing: apt-get install %s (sh scripts/test does it when run as root)", program, debian)
	}
	return path
}

func isExecutable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&0o111 != 0
}

// write puts a file into dir, with the common leading tabs of text removed.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	lines := strings.Split(strings.TrimPrefix(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimLeft(l, "\t")
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
