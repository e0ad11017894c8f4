package connect

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ukai/internal/mtaconf"
)

// A tree is a machine with a mail server: testdata/trees/NAME.txt. It begins with settings ("mta exim", "mode relay", "instance
// out", "refused WORDS" where it must be refused); then come files: "-- PATH [MODE] --", a link: "-- PATH -> TARGET --".
// "\r" at the end of a line is a carriage return, "\" at the end of a file takes its last line end away.
type tree struct {
	set   map[string]string
	files []treeFile
}

type treeFile struct{ path, link, text string }

var treeHead = regexp.MustCompile(`^-- (\S+)(?: -> (\S+))?(?: (0[0-7]+))? --$`)

func readTree(t *testing.T, name string) *tree {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	x := &tree{set: map[string]string{}}
	for l := range strings.Lines(string(text)) {
		if m := treeHead.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
			x.files = append(x.files, treeFile{m[1], m[2], m[3] + "\n"})
			continue
		}
		if len(x.files) == 0 {
			key, value, _ := strings.Cut(strings.TrimSpace(l), " ")
			x.set[key] = value
			continue
		}
		f := &x.files[len(x.files)-1]
		f.text += strings.Replace(l, `\r`+"\n", "\r\n", 1)
	}
	return x
}

// plant makes the tree below a root.
func (x *tree) plant(t *testing.T, root string) {
	t.Helper()
	program := filepath.Join(root, "usr/bin/ukai")
	for _, err := range []error{os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(program, []byte("ukai"), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range x.files {
		mode, text, _ := strings.Cut(f.text, "\n")
		full := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if f.link != "" {
			if err := os.Symlink(f.link, full); err != nil {
				t.Fatal(err)
			}
			continue
		}
		perm := fs.FileMode(0o644)
		if n, err := strconv.ParseUint(mode, 8, 32); err == nil && mode != "" {
			perm = fs.FileMode(n)
		}
		text = strings.TrimSuffix(text, "\\\n")
		if err := os.WriteFile(full, []byte(text), perm); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(full, perm); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 { // owners that are kept show
			if err := os.Chown(full, 0, 12); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(full, longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
}

// obliging is a server whose commands all succeed: those that prepare make what the plan says.
func obliging(root string, p *Proposal) mtaconf.Run {
	return func(_ context.Context, c mtaconf.Command) (string, error) {
		for _, prepare := range p.Prepare {
			if !slices.Equal(prepare.Args, c.Args) {
				continue
			}
			for _, name := range p.Made {
				if err := os.WriteFile(filepath.Join(root, name), []byte("made by "+strings.Join(c.Args, " ")), 0o644); err != nil {
					return err.Error(), err
				}
			}
		}
		return "", nil
	}
}

func greeter(_ context.Context, address string) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		fmt.Fprintf(there, "220 %s ESMTP\r\n", address)
		buf := make([]byte, 100)
		_, _ = there.Read(buf)
		there.Close()
	}()
	return here, nil
}

func TestEveryTreeComesBackToTheByte(t *testing.T) {
	names, err := filepath.Glob("testdata/trees/*.txt")
	if err != nil || len(names) < 12 {
		t.Fatalf("%d trees, %v", len(names), err)
	}
	for _, name := range names {
		x := readTree(t, name)
		modes := x.modes()
		if x.set["refused"] != "" {
			modes = []mtaconf.Mode{mtaconf.Mode(x.set["mode"])}
		}
		for _, mode := range modes {
			t.Run(treeName(name)+", "+string(mode), func(t *testing.T) { x.there(t, mode) })
		}
	}
}

func treeName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// modes are those of the tree's mail server: the one that the tree is made for is among them.
func (x *tree) modes() []mtaconf.Mode {
	for _, p := range Planners() {
		if p.MTA() == mtaconf.MTA(x.set["mta"]) {
			return p.Modes()
		}
	}
	return nil
}

func (x *tree) wish(mode mtaconf.Mode) mtaconf.Wish {
	return mtaconf.Wish{
		Mode: mode, Server: "box", Program: "/usr/bin/ukai", Secret: "word-of-the-box", Reply: []byte("/^550 5\\.7\\.1 x/ 450 4.7.1 x\n"), Status: []byte("/^5(.*)/ 4$1\n"),
		Peer: mtaconf.Peer{Host: "192.0.2.9", Port: 2525, Username: x.set["username"], Password: x.set["password"], TLS: x.set["tls"] != ""},
	}
}

// engine is one whose server's commands all succeed.
func (x *tree) engine(t *testing.T, root string) (*Engine, *Target) {
	t.Helper()
	e := New(Options{Root: root, Dial: greeter, Run: func(context.Context, mtaconf.Command) (string, error) { return "", nil }})
	e.disk.lazy = true
	target, err := e.Find(mtaconf.MTA(x.set["mta"]), x.set["instance"])
	if err != nil {
		t.Fatal(err)
	}
	return e, target
}

// Somebody edits the files at random while ukai is in them. Whatever they wrote is there afterwards, and what is said to be left
// stands where it is said to.
func TestNothingThatSomebodyWroteIntoATreeIsEverLost(t *testing.T) {
	names, err := filepath.Glob("testdata/trees/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var trees []*tree
	for _, name := range names {
		if x := readTree(t, name); x.set["refused"] == "" {
			trees = append(trees, x)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		x := trees[rapid.IntRange(0, len(trees)-1).Draw(rt, "tree")]
		root, err := os.MkdirTemp(t.TempDir(), "root")
		if err != nil {
			t.Fatal(err)
		}
		x.plant(t, root)
		e, target := x.engine(t, root)
		wish := x.wish(rapid.SampledFrom(x.modes()).Draw(rt, "mode"))
		r, err := e.Apply(t.Context(), target, Request{Wish: wish})
		if err != nil {
			rt.Fatal(err)
		}
		hand := map[string][]string{}
		for _, f := range r.Files {
			if f.Moving || f.Whole || !rapid.Bool().Draw(rt, "edit "+f.Path) {
				continue
			}
			real, err := e.sys.Real(f.Path)
			if err != nil {
				rt.Fatal(err)
			}
			text, lines := edited(rt, split(f.Text))
			hand[f.Path] = lines
			if err := os.WriteFile(real, []byte(text), 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		removal, err := e.Remove(t.Context(), target)
		if err != nil {
			rt.Fatal(err)
		}
		for path, lines := range hand {
			text, err := e.sys.ReadFile(path)
			if err != nil && len(lines) > 0 {
				rt.Fatalf("%s: %v, and with it %q", path, err, lines)
			}
			at, got := 0, bare(split(text))
			for _, l := range lines {
				i := slices.Index(got[at:], l)
				if i < 0 {
					rt.Fatalf("%s: %q is lost", path, l)
				}
				at += i + 1
			}
			for _, l := range removal.Left {
				if l.Path == path && (l.Number > len(got) || got[l.Number-1] != l.Text) {
					rt.Fatalf("%s: line %d is not %q", path, l.Number, l.Text)
				}
			}
		}
	})
}

// there goes there and back again.
func (x *tree) there(t *testing.T, mode mtaconf.Mode) {
	root := t.TempDir()
	x.plant(t, root)
	was := snapshot(t, root)
	wish := x.wish(mode)
	e, target := x.engine(t, root)
	p, err := e.Plan(t.Context(), target, Request{Wish: wish})
	if refused := x.set["refused"]; refused != "" {
		if err == nil || !strings.Contains(err.Error(), refused) {
			t.Fatalf("not refused: %v", err)
		}
		sameTree(t, snapshot(t, root), was)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.Nothing() {
		t.Fatal("nothing to do")
	}
	sameTree(t, snapshot(t, root), was)
	e.o.Run = obliging(root, p)
	if r, err := e.Apply(t.Context(), target, Request{Wish: wish}); err != nil || !r.Done {
		t.Fatalf("apply: %v", err)
	}
	connected := snapshot(t, root)
	if r, err := e.Apply(t.Context(), target, Request{Wish: wish}); err != nil || r.Done {
		t.Fatalf("a second time: %v, %+v", err, r)
	}
	sameTree(t, snapshot(t, root), connected)
	if st, err := e.Status(t.Context(), target, &Request{Wish: wish}); err != nil || st.Drifted() {
		t.Errorf("drift: %v %+v", err, st)
	}
	if r, err := e.Remove(t.Context(), target); err != nil || !r.Exact {
		t.Fatalf("remove: %v", err)
	}
	sameTree(t, snapshot(t, root), was)
}
