package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ukai/internal/app"
)

func TestTheDatabaseBelongsToTheOwnerOfItsDirectoryWhoeverMadeIt(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 { // else the owner is whoever runs this, and so it must stay
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	if code := run([]string{"account", "add", "shop", "--domain", "example.jp", "--generate", "--data", dir}, at(&out, &errs, nil)); code != exitDone {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	owner := func(name string) uint32 {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Uid
	}
	if got, want := owner(filepath.Join(dir, app.DatabaseName)), owner(dir); got != want {
		t.Errorf("the database belongs to user %d, the directory to %d", got, want)
	}
}

func TestAPasswordMayEndWithTheInput(t *testing.T) {
	for in, want := range map[string]string{"secret words": "secret words", "secret words\r\nmore\n": "secret words", " two blanks \n": " two blanks "} {
		var out, errs strings.Builder
		e := at(&out, &errs, nil)
		e.in = strings.NewReader(in)
		if got, made, err := e.password(false); got != want || made || err != nil {
			t.Errorf("%q: %q, %v, %v", in, got, made, err)
		}
	}
}
