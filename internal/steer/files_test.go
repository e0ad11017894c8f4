package steer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/health"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

func TestEachFormatIsWritten(t *testing.T) {
	d := Detours{Domains: []string{"a.example", "b.example"}, Hosts: []string{"google.com", "*.google.com"}}
	for _, c := range []struct {
		file mtaconf.RouteFile
		want string
	}{
		{mtaconf.RouteFile{Format: mtaconf.PostfixTransport, Value: "ukai:[127.0.0.1]:2525, {domain}"},
			"a.example ukai:[127.0.0.1]:2525, a.example\nb.example ukai:[127.0.0.1]:2525, b.example\n"},
		{mtaconf.RouteFile{Format: mtaconf.EximDomains}, "a.example\nb.example\n"},
		{mtaconf.RouteFile{Format: mtaconf.DomainList}, "a.example\nb.example\n"},
		{mtaconf.RouteFile{Format: mtaconf.EximHosts}, "google.com\n*.google.com\n"},
		{mtaconf.RouteFile{Format: mtaconf.Mailertable, Value: "esmtp:[127.0.0.1]"}, "a.example\tesmtp:[127.0.0.1]\nb.example\tesmtp:[127.0.0.1]\n"},
		{mtaconf.RouteFile{Format: mtaconf.SMTPRoutes, Value: "127.0.0.1:2525"}, "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n"},
		{mtaconf.RouteFile{Format: mtaconf.SMTPRoutes, Value: "{domain}.x.{domain}"}, "a.example:a.example.x.a.example\nb.example:b.example.x.b.example\n"},
	} {
		got, n, _, err := fileText(&c.file, &d, nil)
		if err != nil || string(got) != header+c.want || n != 2 {
			t.Errorf("%s: %q %d %v", c.file.Format, got, n, err)
		}
		again, _, same, err := fileText(&c.file, &d, got)
		if err != nil || !same || !bytes.Equal(again, got) {
			t.Errorf("%s, once more: %v %q %v", c.file.Format, same, again, err)
		}
	}
}

func TestTheOperatorsLinesStay(t *testing.T) {
	f := mtaconf.RouteFile{Format: mtaconf.SMTPRoutes, Value: "127.0.0.1:2525", Block: true, Path: "/smtproutes"}
	d := Detours{Domains: []string{"a.example", "b.example"}}
	begin, end := mtaconf.BlockBegin+"\n", mtaconf.BlockEnd+"\n"
	for _, c := range []struct{ name, old, want string }{
		{"an empty file", "", begin + "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n" + end},
		{"lines of his", "x.example:relay\n:smart\n", "x.example:relay\n:smart\n" + begin + "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n" + end},
		{"no line end at the end", "x.example:relay", "x.example:relay\n" + begin + "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n" + end},
		{"lines around", "1:a\n" + begin + "old:b\n" + end + "2:c", "1:a\n" + begin + "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n" + end + "2:c"},
		{"a route of his own", "A.example:relay\n", "A.example:relay\n" + begin + "b.example:127.0.0.1:2525\n" + end},
		{"CRLF", "1:a\r\n" + strings.TrimSpace(begin) + "\r\n" + strings.TrimSpace(end) + "\r\n2:c\r\n", "1:a\r\n" + begin + "a.example:127.0.0.1:2525\nb.example:127.0.0.1:2525\n" + end + "2:c\r\n"},
	} {
		got, _, _, err := fileText(&f, &d, []byte(c.old))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, want %q %v", c.name, got, c.want, err)
		}
	}
	for _, old := range []string{begin + "x:y\n", "x:y\n" + end, end + begin} {
		var e *i18n.Error
		if _, _, _, err := fileText(&f, &d, []byte(old)); !errors.As(err, &e) {
			t.Errorf("%q was taken: %v", old, err)
		}
	}
	if got, _, same, err := fileText(&f, &Detours{}, []byte("1:a\n")); err != nil || !same || string(got) != "1:a\n" {
		t.Errorf("nothing to say: %q %v %v", got, same, err)
	}
}

func FuzzTheOperatorsLinesStay(f *testing.F) {
	f.Add("a:b\n"+mtaconf.BlockBegin+"\nx\n"+mtaconf.BlockEnd+"\nc", "a.example")
	f.Add("a", "b")
	f.Fuzz(func(t *testing.T, old, domain string) {
		domain, ok := fileDomain(domain)
		if !ok {
			return
		}
		file := mtaconf.RouteFile{Format: mtaconf.Mailertable, Value: "x", Block: true}
		before, _, after, err := split(&file, []byte(old))
		if err != nil {
			return
		}
		text, _, same, err := fileText(&file, &Detours{Domains: []string{domain}}, []byte(old))
		if err != nil || same && string(text) != old {
			t.Fatalf("%q became %q: %v", old, text, err)
		}
		if !same && !(bytes.HasPrefix(text, before) && bytes.HasSuffix(text, after)) {
			t.Fatalf("%q became %q", old, text)
		}
		if again, _, same, err := fileText(&file, &Detours{Domains: []string{domain}}, text); err != nil || !same {
			t.Fatalf("%q became %q: %v", text, again, err)
		}
	})
}

// a server with one file of routes below a directory.
func withFile(t *testing.T, d *desk, srv Server, f mtaconf.RouteFile) (path string) {
	t.Helper()
	srv.Root = t.TempDir()
	srv.Files = []mtaconf.RouteFile{f}
	d.set(srv)
	path = filepath.Join(srv.Root, f.Path)
	if err := os.WriteFile(path, []byte("# kept\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func reads(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var list = mtaconf.RouteFile{Path: "/list", Format: mtaconf.DomainList}

func TestAFileFollowsThePath(t *testing.T) {
	d := newDesk(t, Options{})
	path := withFile(t, d, Server{Name: "web", Egress: "direct"}, list)
	now := time.Now()
	for domain, id := range map[string]string{"a.example": "google", "b.example": "google", "c.example": "microsoft-365"} {
		d.Seen("web", domain, id, now)
	}
	d.run()
	key := health.Key{Egress: "direct", Provider: "google"}
	d.block("direct", "google", now)
	until(t, "the routes are there", func() bool { return reads(path) == "# kept\na.example\nb.example\n" })
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	d.Seen("web", "new.example", "google", now)
	until(t, "a domain that was first seen is there", func() bool { return strings.Contains(reads(path), "new.example\n") })
	d.health.Clear(key, now)
	until(t, "the routes are gone", func() bool { return reads(path) == "# kept\n" })
	d.Configure(Options{Observe: true})
	d.block("direct", "google", now)
	d.Configure(Options{})
	until(t, "they are there again", func() bool { return strings.Contains(reads(path), "a.example\n") })
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v are left behind, %v", entries, err)
	}
}

func TestAFileThatIsRightIsNotTouched(t *testing.T) {
	d := newDesk(t, Options{Settle: time.Millisecond})
	path := withFile(t, d, Server{Name: "web", Egress: "direct"}, list)
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	d.run()
	for range 20 {
		d.touch()
		time.Sleep(2 * time.Millisecond)
	}
	is, err := os.Stat(path)
	if err != nil || !os.SameFile(was, is) {
		t.Errorf("it was replaced: %v", err)
	}
}

func TestAFileThatCannotBeWrittenStaysAndIsTriedAgain(t *testing.T) {
	d := newDesk(t, Options{})
	path := withFile(t, d, Server{Name: "web", Egress: "direct"}, list)
	dir := filepath.Dir(path)
	d.Seen("web", "a.example", "google", time.Now())
	if err := os.Rename(dir, dir+"-away"); err != nil { // as root, no mode keeps anybody out
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.run()
	d.block("direct", "google", time.Now())
	until(t, "it is told", func() bool { return d.Status()[0].Files[0].Trouble != "" })
	if got := reads(filepath.Join(dir+"-away", "list")); got != "# kept\n" {
		t.Errorf("%q", got)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+"-away", dir)); err != nil {
		t.Fatal(err)
	}
	until(t, "it is tried again", func() bool { return reads(path) == "# kept\na.example\n" && d.Status()[0].Files[0].Trouble == "" })
}

func TestAFullDiskLeavesTheOldFile(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("none", root, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("%v (these tests run as root)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(root, 0) })
	old := strings.Repeat("old.example\n", 1000)
	path := filepath.Join(root, "list")
	if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	var d Detours
	for i := range 20_000 {
		d.Domains = append(d.Domains, fmt.Sprintf("d%d.example", i))
	}
	_, _, err := WriteRoutes(root, &list, &d)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the error is %v", err)
	}
	if reads(path) != old {
		t.Error("the file is another")
	}
	if entries, _ := os.ReadDir(root); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := syscall.Mount("none", root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := WriteRoutes(root, &list, &Detours{}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("read-only: %v", err)
	}
}

func TestTheCommandBehindAFileIsRun(t *testing.T) {
	d := newDesk(t, Options{})
	out := filepath.Join(t.TempDir(), "ran")
	f := list
	f.Then = &mtaconf.Command{Args: []string{"/bin/sh", "-c", "echo x >>" + out}}
	dir := t.TempDir()
	f.Path = filepath.Join(dir, "list")
	d.set(Server{Name: "web", Egress: "direct", Files: []mtaconf.RouteFile{f}})
	d.Seen("web", "a.example", "google", time.Now())
	d.run()
	until(t, "it ran at the start, for what a crash may have left", func() bool { return reads(out) == "x\n" })
	d.block("direct", "google", time.Now())
	until(t, "it ran after the change", func() bool { return reads(out) == "x\nx\n" })
}

func TestACommandThatFailsIsToldAndRunAgain(t *testing.T) {
	d := newDesk(t, Options{})
	ok := filepath.Join(t.TempDir(), "ok")
	f := list
	f.Then = &mtaconf.Command{Args: []string{"/bin/sh", "-c", "echo it is wrong; test -e " + ok}}
	f.Path = filepath.Join(t.TempDir(), "list")
	d.set(Server{Name: "web", Egress: "direct", Files: []mtaconf.RouteFile{f}})
	d.run()
	until(t, "it is told", func() bool { return strings.Contains(d.Status()[0].Files[0].Trouble, "it is wrong") })
	if err := os.WriteFile(ok, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "it is run again", func() bool { return d.Status()[0].Files[0].Trouble == "" })
}
