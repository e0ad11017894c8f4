package steer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

func TestTheHostsOfAProviderAreItsSuffixes(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	for _, id := range []string{"google", "example.net", "[192.0.2.1]"} {
		d.health.Block(health.Key{Egress: "direct", Provider: id}, health.Pin{At: now})
	}
	got, ok := d.Detours("web")
	if !ok || !slices.Contains(got.Hosts, "*.google.com") || !slices.Contains(got.Hosts, "example.net") || !slices.Contains(got.Hosts, "*.example.net") {
		t.Errorf("%q", got.Hosts)
	}
	for _, h := range got.Hosts {
		if strings.ContainsAny(h, "[] :") {
			t.Errorf("%q", h)
		}
	}
}

func TestASuffixOfAnotherProviderBelowOneThatIsBlockedIsLeftOut(t *testing.T) {
	d := newDesk(t, Options{})
	var err error
	d.Providers, err = d.Providers.With("test.toml", []byte(`
[[provider]]
id = "upper"
name = "Upper"
type = "mailbox"
confidence = "high"
mx = ["mail.upper.test"]

[[provider]]
id = "lower"
name = "Lower"
type = "mailbox"
confidence = "high"
mx = ["own.mail.upper.test"]
`))
	if err != nil {
		t.Fatal(err)
	}
	d.set(Server{Name: "web", Egress: "direct"})
	d.health.Block(health.Key{Egress: "direct", Provider: "upper"}, health.Pin{At: time.Now()})
	got, _ := d.Detours("web")
	if want := []string{"!own.mail.upper.test", "!*.own.mail.upper.test", "mail.upper.test", "*.mail.upper.test"}; !slices.Equal(got.Hosts, want) {
		t.Errorf("%q", got.Hosts)
	}
	d.health.Block(health.Key{Egress: "direct", Provider: "lower"}, health.Pin{At: time.Now()})
	if got, _ = d.Detours("web"); strings.Contains(strings.Join(got.Hosts, " "), "!") {
		t.Errorf("both are blocked: %q", got.Hosts)
	}
}

func TestADomainTakesItsTurnAsTheProbeOfAFile(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Net: true})
	began := time.Now()
	for i := range 100 {
		d.Seen("web", fmt.Sprintf("d%d.example", i), "google", began)
	}
	d.block("web", "google", began)
	srv := d.named([]byte("web"))
	count := func(at time.Duration) int {
		got, next := d.Steer.detours(srv, began.Add(at))
		if next.IsZero() {
			t.Errorf("after %v nobody looks again", at)
		}
		return len(got.Domains)
	}
	due := d.health.Path("web", "google").ProbeAt.Sub(began) + lag
	if n := count(due - time.Second); n != 100 {
		t.Errorf("before the probe: %d", n)
	}
	if n := count(due); n != 99 {
		t.Errorf("when it is due: %d", n)
	}
	if n := count(due + fileTrialFor); n != 98 {
		t.Errorf("when nobody wrote to the first one: %d", n)
	}
	if n := count(due + 100*fileTrialFor); n != 100-1<<mostTried {
		t.Errorf("hours later: %d", n)
	}
	d.set(Server{Name: "web"})
	if got, _ := d.Steer.detours(srv, began.Add(due)); len(got.Domains) != 100 {
		t.Errorf("without a net: %d", len(got.Domains))
	}
}

func TestWhatWasLearnedSurvivesARestart(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	d.Seen("web", "A.example", "google", now)
	d.Seen("web", "old.example", "google", now.Add(-100*day))
	d.Seen("nobody", "b.example", "google", now)
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.forget(now)
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), d.Parts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Set(t.Context(), []Server{{Name: "web", Egress: "direct"}}); err != nil {
		t.Fatal(err)
	}
	again.Changed(health.Change{Key: health.Key{Egress: "direct", Provider: "google"}, To: health.Blocked})
	d.health.Block(health.Key{Egress: "direct", Provider: "google"}, health.Pin{At: now})
	if got, _ := again.Detours("web"); !slices.Equal(got.Domains, []string{"a.example"}) {
		t.Errorf("%q", got.Domains)
	}
	if err := again.Forget(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
}

func TestADomainOnTheDetourIsNotForgotten(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct"})
	now := time.Now()
	d.Seen("web", "a.example", "google", now.Add(-100*day))
	d.block("direct", "google", now)
	d.forget(now)
	if n := d.Status()[0].Domains; n != 1 {
		t.Errorf("%d domains", n)
	}
}

func TestADomainThatMovedAwayLeavesTheFile(t *testing.T) {
	d := newDesk(t, Options{})
	d.set(Server{Name: "web", Egress: "direct", Files: []mtaconf.RouteFile{list}, Distant: true})
	d.Seen("web", "a.example", "google", time.Now())
	d.Seen("web", "b.example", "google", time.Now())
	d.block("direct", "google", time.Now())
	d.world["a.example"] = "fastmail" // what b.example does, nobody can find out
	d.revisit(context.Background())
	if got, _ := d.Detours("web"); !slices.Equal(got.Domains, []string{"b.example"}) {
		t.Errorf("%q", got.Domains)
	}
}

func TestTheDomainsOfAServerAreBounded(t *testing.T) {
	d := newDesk(t, Options{Known: 100})
	d.set(Server{Name: "web"})
	now := time.Now()
	for i := range 1000 {
		d.Seen("web", fmt.Sprintf("d%d.example", i), "google", now.Add(time.Duration(i)*time.Second))
	}
	if n := d.Status()[0].Domains; n != 100 {
		t.Errorf("%d domains", n)
	}
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := d.DB.Read.QueryRow("SELECT count(*) FROM steer_domain").Scan(&n); err != nil || n != 100 {
		t.Errorf("%d rows, %v", n, err)
	}
}
