package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// stand is a mail server that is data: /etc/mta/main holds settings "name = value", and a map has to be made of /etc/mta/map.
type stand struct {
	greets   string
	door     int  // the port that is tried first; 0: there is no door
	stubborn bool // no other port is tried
}

func (*stand) MTA() mtaconf.MTA { return mtaconf.Postfix }
func (*stand) Modes() []mtaconf.Mode {
	return []mtaconf.Mode{mtaconf.SafetyNet, mtaconf.Steer, mtaconf.Relay}
}

func (*stand) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	if !sys.Exists("/etc/mta/main") {
		return nil, nil
	}
	return []mtaconf.Instance{{MTA: mtaconf.Postfix, Dir: "/etc/mta"}}, nil
}

func (s *stand) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	text, err := sys.ReadFile("/etc/mta/main")
	if err != nil {
		return nil, err
	}
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "fallback") {
			return nil, i18n.Errorf("connect.gone", "mta", "stand", "dir", strings.TrimSpace(l))
		}
	}
	changed := strings.Replace(string(text), "relayhost =\n", "relayhost = "+w.Peer.Literal()+"\n", 1)
	if !strings.HasSuffix(changed, "\n") {
		changed += "\n"
	}
	changed += "# ukai: the way round\nfallback = " + w.Peer.Literal() + "\n"
	mode := w.Mode
	if mode == "" {
		mode = mtaconf.SafetyNet
	}
	p := &mtaconf.Plan{
		Instance: inst, Mode: mode, Alive: s.greets, Logs: []string{"/var/log/mta.log"}, Alarms: []string{"fatal: broken"},
		Files: []mtaconf.File{
			{Path: "/etc/mta/ukai/routes", Text: []byte("# routes\n"), Moving: true},
			{Path: "/etc/mta/ukai/password", Text: []byte(w.Peer.Address() + " " + w.Peer.Username + ":" + w.Peer.Password + "\n"), Perm: 0o640, Secret: true},
			{Path: "/etc/mta/map", Text: []byte(grown(sys, "/etc/mta/map", "ukai detour\n"))},
			{Path: "/etc/mta/main", Text: []byte(changed)},
		},
		Routes:  []mtaconf.RouteFile{{Path: "/etc/mta/ukai/routes", Format: mtaconf.DomainList}},
		Prepare: []mtaconf.Command{{Args: []string{"makemap", "/etc/mta/map"}}, {Args: []string{"makemap", "hash:/etc/mta/ukai/password"}}},
		Made:    []string{"/etc/mta/map.db", "/etc/mta/ukai/password.db"},
		Check:   []mtaconf.Command{{Args: []string{"mta", "check"}}}, Reload: []mtaconf.Command{{Args: []string{"mta", "reload"}}},
	}
	if s.door > 0 {
		port := s.door
		if w.Door > 0 && !s.stubborn {
			port = w.Door
		}
		p.Door = fmt.Sprintf("127.0.0.1:%d", port)
		p.Files[3].Text = append(p.Files[3].Text, p.Door...)
	}
	return p, nil
}

func grown(sys *mtaconf.System, path, line string) string {
	text, _ := sys.ReadFile(path) // what is not there is empty
	return string(text) + line
}

// box is a machine for a test: a root with files, the commands of its server, and a log of what they were asked to do.
type box struct {
	t       *testing.T
	root    string
	planner *stand
	wish    mtaconf.Wish
	ran     []string
	fail    map[string]error // by command
	loaded  string           // what the server runs by
	dead    atomic.Bool      // it does not greet
}

var longAgo = time.Date(2019, 4, 15, 9, 0, 0, 0, time.UTC)

func newBox(t *testing.T) *box {
	b := &box{t: t, root: t.TempDir(), fail: map[string]error{}, planner: &stand{greets: "mta.test:25"}}
	b.wish = mtaconf.Wish{Server: "box", Peer: mtaconf.Peer{Host: "ukai.test", Port: 2525, Username: "box", Password: "long secret"}}
	for name, text := range map[string]string{
		"/etc/mta/main": "# my server\nname = a\nrelayhost =\n  , more\nlast = 1", "/etc/mta/map": "x y\n", "/etc/mta/map.db": "made of: x y\n",
		"/var/log/mta.log": "old line\n", "/etc/other": "not ukai's\n",
	} {
		b.write(name, text)
		if err := os.Chtimes(b.path(name), longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(b.path("/etc/mta/main"), 0o604); err != nil {
		t.Fatal(err)
	}
	b.load()
	return b
}

func (b *box) path(name string) string { return filepath.Join(b.root, name) }

func (b *box) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *box) load() { b.loaded = b.read("/etc/mta/main") }

// run is the server's commands.
func (b *box) run(_ context.Context, c mtaconf.Command) (string, error) {
	line := strings.Join(c.Args, " ")
	b.ran = append(b.ran, line)
	if err := b.fail[line]; err != nil {
		return "it says why\n", err
	}
	switch c.Args[0] {
	case "makemap":
		name := strings.TrimPrefix(c.Args[1], "hash:")
		text, err := os.ReadFile(b.path(name))
		if err != nil {
			return err.Error(), err
		}
		return "", os.WriteFile(b.path(name+".db"), []byte("made of: "+string(text)), 0o644)
	case "mta":
		if c.Args[1] == "reload" {
			b.load()
		}
	}
	return "", nil
}

// dial answers for the server and for ukai.
func (b *box) dial(ctx context.Context, address string) (net.Conn, error) {
	if address == "mta.test:25" && b.dead.Load() {
		return nil, syscall.ECONNREFUSED
	}
	here, there := net.Pipe()
	go func() {
		fmt.Fprintf(there, "220 %s ESMTP\r\n", address)
		buf := make([]byte, 100)
		_, _ = there.Read(buf)
		there.Close()
	}()
	return here, nil
}

func (b *box) engine(change func(o *Options)) *Engine {
	o := Options{Root: b.root, Planners: []mtaconf.Planner{b.planner}, Run: b.run, Dial: b.dial, Greet: 300 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	e := New(o)
	e.disk.lazy = true
	return e
}

func (b *box) target(e *Engine) *Target {
	b.t.Helper()
	t, err := e.Find("", "")
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

// snapshot lists every file with all that can be told of it.
func (b *box) snapshot() string {
	b.t.Helper()
	return snapshot(b.t, b.root)
}

func snapshot(t *testing.T, root string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		uid, gid := owner(st)
		line := fmt.Sprintf("%s %s %d:%d", rel, st.Mode(), uid, gid)
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + to
		case st.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %s %q", st.ModTime().UTC().Format(time.RFC3339Nano), text)
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func sameTree(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	t.Errorf("the tree is not what it was:\n%s", Unified("tree", []byte(want), []byte(got)))
}

func (b *box) apply(e *Engine) *Report {
	b.t.Helper()
	r, err := e.Apply(b.t.Context(), b.target(e), Request{Wish: b.wish})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func TestWhatWasConnectedIsTakenBackToTheByte(t *testing.T) {
	b := newBox(t)
	was := b.snapshot()
	e := b.engine(nil)
	p, err := e.Plan(t.Context(), b.target(e), Request{Wish: b.wish})
	if err != nil || len(p.Changes) != 4 {
		t.Fatalf("%v, %+v", err, p)
	}
	sameTree(t, b.snapshot(), was) // a plan writes nothing
	for _, c := range p.Changes {
		if strings.Contains(c.Diff, b.wish.Peer.Password) || c.Secret != (c.Diff == "") {
			t.Errorf("%s: %s", c.Path, c.Diff)
		}
	}
	if r := b.apply(e); !r.Done || !r.Running || r.Plan.Mode != mtaconf.SafetyNet {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(b.loaded, "fallback = [ukai.test]:2525") || b.read("/etc/mta/ukai/password.db") == "" {
		t.Errorf("the server runs by %q", b.loaded)
	}
	connected := b.snapshot()
	if r := b.apply(e); r.Done {
		t.Errorf("a second time it does %+v", r.Changes)
	}
	sameTree(t, b.snapshot(), connected)
	r, err := e.Remove(t.Context(), b.target(e))
	if err != nil || !r.Done || !r.Exact || r.Left != nil {
		t.Fatalf("%v %+v", err, r)
	}
	sameTree(t, b.snapshot(), was)
	if b.loaded != b.read("/etc/mta/main") {
		t.Error("the server does not run by what it has")
	}
	if r, err := e.Remove(t.Context(), b.target(e)); err != nil || r.Done {
		t.Errorf("a second time: %v %+v", err, r)
	}
	sameTree(t, b.snapshot(), was)
}

func TestHandEditsSurviveAndAreNamed(t *testing.T) {
	b := newBox(t)
	e := b.engine(nil)
	b.apply(e)
	main := b.read("/etc/mta/main")
	main = strings.Replace(main, "name = a\n", "name = a\nhand = 1\n", 1)
	b.write("/etc/mta/main", main)
	st, err := e.Status(t.Context(), b.target(e), &Request{Wish: b.wish})
	if err != nil || st.Drifted() || st.Files[3].Drift != Edited {
		t.Fatalf("a line of somebody's own is no drift: %v %+v", err, st)
	}
	if r := b.apply(e); r.Done || !strings.Contains(b.read("/etc/mta/main"), "hand = 1") {
		t.Errorf("applied again: %+v", r.Changes)
	}
	main = strings.Replace(b.read("/etc/mta/main"), "fallback = [ukai.test]", "fallback = [other.test]", 1)
	b.write("/etc/mta/main", main)
	st, err = e.Status(t.Context(), b.target(e), nil)
	if err != nil || !st.Drifted() || st.Files[3].Drift != Damaged || !slices.Equal(st.Files[3].Missing, []string{"fallback = [ukai.test]:2525"}) {
		t.Fatalf("%v %+v", err, st)
	}
	r, err := e.Remove(t.Context(), b.target(e))
	if err != nil || r.Exact || told(r.Left) != "7:fallback = [other.test]:2525" || r.Left[0].Path != "/etc/mta/main" {
		t.Fatalf("%v %+v", err, r)
	}
	if got, want := b.read("/etc/mta/main"), "# my server\nname = a\nhand = 1\nrelayhost =\n  , more\nlast = 1\nfallback = [other.test]:2525\n"; !strings.HasPrefix(got, "# my server\nname = a\nhand = 1\n") || got != want {
		t.Errorf("got %q", got)
	}
}

func TestRoutesThatUkaiHasWrittenAreNoDriftAndStayWhenAppliedAgain(t *testing.T) {
	b := newBox(t)
	was := b.snapshot()
	e := b.engine(nil)
	b.apply(e)
	b.write("/etc/mta/ukai/routes", "# routes\ngmail.com\n")
	if st, err := e.Status(t.Context(), b.target(e), &Request{Wish: b.wish}); err != nil || st.Drifted() {
		t.Fatalf("%v %+v", err, st)
	}
	b.wish.Peer.Password = "another secret"
	if r := b.apply(e); !r.Done || b.read("/etc/mta/ukai/routes") != "# routes\ngmail.com\n" {
		t.Errorf("%v: routes %q", r.Done, b.read("/etc/mta/ukai/routes"))
	}
	if _, err := e.Remove(t.Context(), b.target(e)); err != nil {
		t.Fatal(err)
	}
	sameTree(t, b.snapshot(), was)
}

var errTest = errors.New("exit status 1")

func TestWhatGoesWrongIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(b *box, e *Engine)
		says   string
	}{
		"the map cannot be made":         {func(b *box, _ *Engine) { b.fail["makemap hash:/etc/mta/ukai/password"] = errTest }, "it says why"},
		"the reload fails":               {func(b *box, _ *Engine) { b.fail["mta reload"] = errTest }, "did not take the configuration up"},
		"the server does not come back":  {func(b *box, e *Engine) { e.o.Run = b.dying("mta reload") }, "does not greet at mta.test:25"},
		"the check fails":                {func(b *box, e *Engine) { e.o.Run = b.choosy() }, "does not accept the configuration"},
		"the log has an alarm":           {func(b *box, e *Engine) { e.o.Watch = 3 * time.Second; e.o.Run = b.logging("mta[1]: fatal: broken map") }, "fatal: broken map"},
		"ukai refuses the server's mail": {func(b *box, e *Engine) { e.o.Watch = 3 * time.Second; e.o.Run = b.logging(refusedLine) }, "was not taken"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			was := b.snapshotBut("var/log/mta.log")
			e := b.engine(nil)
			c.break_(b, e)
			_, err := e.Apply(t.Context(), b.target(e), Request{Wish: b.wish})
			var undone *UndoneError
			if !errors.As(err, &undone) || !strings.Contains(undone.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			sameTree(t, b.snapshotBut("var/log/mta.log"), was)
			if b.loaded != b.read("/etc/mta/main") {
				t.Error("the server does not run by its old configuration")
			}
		})
	}
}

const refusedLine = "Apr 15 09:00:00 mail postfix/smtp[9]: 4XyzAb1C2Dz1Qw2: to=<a@example.com>, relay=ukai.test[192.0.2.9]:2525, delay=0.1, delays=0/0/0/0.1, dsn=5.7.1, status=bounced (host ukai.test[192.0.2.9] said: 554 5.7.1 not allowed (in reply to MAIL FROM command))"

// snapshotBut leaves a file out that goes on by itself.
func (b *box) snapshotBut(name string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(b.snapshot(), "\n"), func(l string) bool { return strings.HasPrefix(l, name) }), "\n")
}

// dying is a server that does not come back from its first run of a command.
func (b *box) dying(of string) mtaconf.Run {
	first := true
	return func(ctx context.Context, c mtaconf.Command) (string, error) {
		out, err := b.run(ctx, c)
		if strings.Join(c.Args, " ") == of {
			b.dead.Store(first)
			first = false
		}
		return out, err
	}
}

// choosy is a server that accepts no configuration with ukai in it.
func (b *box) choosy() mtaconf.Run {
	return func(ctx context.Context, c mtaconf.Command) (string, error) {
		if strings.Join(c.Args, " ") == "mta check" && strings.Contains(b.read("/etc/mta/main"), "ukai") {
			return "unknown: fallback\n", errTest
		}
		return b.run(ctx, c)
	}
}

// logging is a server that writes a line after the reload.
func (b *box) logging(line string) mtaconf.Run {
	return func(ctx context.Context, c mtaconf.Command) (string, error) {
		out, err := b.run(ctx, c)
		if strings.Join(c.Args, " ") == "mta reload" {
			b.write("/var/log/mta.log", b.read("/var/log/mta.log")+line+"\n")
		}
		return out, err
	}
}

func TestAnInterruptedWatchTakesEverythingBack(t *testing.T) {
	b := newBox(t)
	was := b.snapshot()
	ctx, cancel := context.WithCancel(t.Context())
	e := b.engine(func(o *Options) {
		o.Watch = time.Minute
		o.Tell = func(s Step) {
			if s.Left > 0 {
				cancel()
			}
		}
	})
	_, err := e.Apply(ctx, b.target(e), Request{Wish: b.wish})
	var undone *UndoneError
	if !errors.As(err, &undone) || undone.Trouble != nil {
		t.Fatalf("got %v", err)
	}
	sameTree(t, b.snapshot(), was)
}

func TestRefusalsChangeNothing(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(b *box)
		says    string
	}{
		"the configuration is broken already": {func(b *box) { b.fail["mta check"] = errTest }, "a mistake in it already"},
		"the relay is the server itself":      {func(b *box) { b.planner.greets = "ukai.test:2525" }, "is this postfix itself"},
		"a directory in the place of a file":  {func(b *box) { b.mkdir("/etc/mta/ukai/password") }, "not a regular file"},
		"the planner refuses":                 {func(b *box) { b.write("/etc/mta/main", "fallback = mine\n") }, "fallback = mine"},
		"no mail server":                      {func(b *box) { os.Remove(b.path("/etc/mta/main")) }, "no mail server was found"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.prepare(b)
			was := b.snapshot()
			e := b.engine(nil)
			target, err := e.Find("", "")
			if err == nil {
				_, err = e.Apply(t.Context(), target, Request{Wish: b.wish})
			}
			var undone *UndoneError
			if err == nil || errors.As(err, &undone) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			sameTree(t, b.snapshot(), was)
		})
	}
}

func (b *box) mkdir(name string) {
	b.t.Helper()
	if err := os.MkdirAll(b.path(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func TestARelayThatIsAwayIsRefusedOnlyWhereAllMailWouldWaitForIt(t *testing.T) {
	for _, mode := range []mtaconf.Mode{mtaconf.Relay, mtaconf.SafetyNet} {
		b := newBox(t)
		b.wish.Mode = mode
		e := b.engine(func(o *Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "ukai") {
					return nil, syscall.ECONNREFUSED
				}
				return dial(ctx, address)
			}
		})
		r, err := e.Apply(t.Context(), b.target(e), Request{Wish: b.wish})
		if mode == mtaconf.Relay && (err == nil || !strings.Contains(err.Error(), "Start ukai first")) {
			t.Errorf("relay: %v", err)
		}
		if mode != mtaconf.Relay && (err != nil || len(r.Notes) != 2) {
			t.Errorf("%s: %v %+v", mode, err, r)
		}
	}
}

func TestAServerThatDoesNotRunIsConnectedWithoutAReload(t *testing.T) {
	b := newBox(t)
	b.dead.Store(true)
	e := b.engine(nil)
	if r := b.apply(e); !r.Done || r.Running || slices.Contains(b.ran, "mta reload") || !slices.Contains(b.ran, "mta check") {
		t.Errorf("%+v, it ran %q", r, b.ran)
	}
}
