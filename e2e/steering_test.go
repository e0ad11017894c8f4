package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/peersim"
)

// What the tests of steered servers share. A server of Debian (startMTA) delivers by itself, from 127.0.0.1; Google refuses that
// address in the middle of the run; a ukai stands by as the detour, with an address that everybody takes mail from.
//
//	w := steeringWorld(t)
//	d := startDetour(t, w)
//	m := startMTA(t, "postfix")
//	plan, err := postfix.New().Plan(m.system(), instance, mtaconf.Wish{Peer: d.peer(), ...})
//	m.connect(plan)
//	... refuseServer(t, w); sent := m.submit(...); arriveOnce(t, w, sent.Accepted)
var (
	serverIP = netip.MustParseAddr("127.0.0.1")  // the server's, by which Google knows it
	detourIP = netip.MustParseAddr("127.0.0.20") // ukai's
)

// Marks that providers of the steering world look for.
const (
	spamMark = "BUY-CHEAP-PILLS-OF-THE-REHEARSAL" // in a body: every provider but home refuses it as spam
	nobody   = "nobody"                           // a local part that no provider knows
)

// steeringGoogle are the domains that Google receives for, steeringOthers those of five other providers: fifty together.
func steeringGoogle() []string {
	all := []string{"gmail.com"}
	for i := range 19 {
		all = append(all, fmt.Sprintf("customer%02d.example", i))
	}
	return all
}

func steeringOthers() []string {
	var all []string
	for p := range 5 {
		for i := range 6 {
			all = append(all, fmt.Sprintf("p%dd%d.example", p, i))
		}
	}
	return all
}

// usualRules are what every provider does at any time: it refuses spam and whom it does not know.
func usualRules() []peersim.Rule {
	return []peersim.Rule{
		{Name: "nobody", Match: peersim.Match{Phase: peersim.RcptTo, To: []string{nobody + "*@*"}}, Reply: "google-user"},
		{Name: "spam", Match: peersim.Match{Phase: peersim.EndOfData, Contains: spamMark}, Reply: "google-content"},
	}
}

// steeringWorld starts the providers behind fifty domains, Google behind twenty of them. sender.example, where reports go, takes
// everything.
func steeringWorld(t *testing.T) *peersim.World {
	t.Helper()
	google := steeringGoogle()
	providers := []peersim.Provider{{Name: "google", Rules: usualRules(), Groups: []peersim.Group{
		{Domains: google[:1], MX: []string{"gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"}},
		{Domains: google[1:], MX: []string{"aspmx.l.google.com", "alt1.aspmx.l.google.com", "alt2.aspmx.l.google.com"}},
	}}}
	others := steeringOthers()
	for p := range 5 {
		providers = append(providers, peersim.Provider{Name: fmt.Sprintf("p%d", p), Rules: usualRules(),
			Groups: []peersim.Group{{Domains: others[6*p : 6*p+6], MX: []string{fmt.Sprintf("mx.host%d.example", p)}}}})
	}
	return world(t, append(providers, peersim.Provider{Name: "home", Groups: []peersim.Group{{Domains: []string{"sender.example"}}}})...)
}

// refuseServer makes Google refuse the server's address with the text of 2019 from here on.
func refuseServer(t *testing.T, w *peersim.World) {
	t.Helper()
	rules := append(usualRules(), peersim.Rule{Name: "low reputation",
		Match: peersim.Match{Phase: peersim.EndOfData, Sources: []netip.Prefix{netip.PrefixFrom(serverIP, 32)}}, Reply: "google-ip"})
	if err := w.SetRules("google", rules); err != nil {
		t.Fatal(err)
	}
}

// detour is a running ukai that a server can send around a refusal by.
type detour struct {
	*process
	conf string
	port int
}

// startDetour starts a ukai that takes mail from this machine and sends it from detourIP. more are lines of its settings, before
// the first table.
func startDetour(t *testing.T, w *peersim.World, more string) *detour {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	p := ukai(t, dir, fmt.Sprintf(`
		hostname = "detour.example"
		%s
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[limits]
		connections_per_minute = 100000
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		relay = ["127.0.0.0/8"]
		[[egress]]
		name = "clean"
		source = [%q]
		port = %d
	`, more, w.DNS(), port, detourIP, w.Port()), port)
	return &detour{p, filepath.Join(dir, "ukai.toml"), port}
}

// peer is the detour as a planner is told of it.
func (d *detour) peer() mtaconf.Peer { return mtaconf.Peer{Host: "127.0.0.1", Port: d.port} }

// again starts a detour that was killed.
func (d *detour) again() {
	d.t.Helper()
	d.start(d.conf, d.log)
	waitFor(d.t, fmt.Sprintf("127.0.0.1:%d", d.port), "220")
}

// hang stops every thread of the detour: connections are made, nothing is answered. It goes on at the end of the test, or when
// the function is called.
func (d *detour) hang() (resume func()) {
	d.t.Helper()
	proc := d.cmd.Process
	if err := proc.Signal(syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	resume = sync.OnceFunc(func() { _ = proc.Signal(syscall.SIGCONT) })
	d.t.Cleanup(resume)
	return resume
}

// slowDoor is a TCP proxy before a server that holds back what the server says.
type slowDoor struct {
	port  int
	delay atomic.Int64 // nanoseconds before each piece that the server says
}

// startSlowDoor opens a door to 127.0.0.1:to; it is as fast as the server until slow is called.
func startSlowDoor(t *testing.T, to int) *slowDoor {
	t.Helper()
	d := &slowDoor{port: freePort(t)}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", d.port))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.pass(ctx, client, fmt.Sprintf("127.0.0.1:%d", to)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		wg.Wait()
	})
	return d
}

// slow holds back each piece that the server says for a time from here on.
func (d *slowDoor) slow(by time.Duration) { d.delay.Store(int64(by)) }

func (d *slowDoor) pass(ctx context.Context, client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { client.Close(); server.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if wait := time.Duration(d.delay.Load()); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		if _, werr := client.Write(buf[:n]); werr != nil || err != nil {
			break
		}
	}
	client.Close()
	wg.Wait()
}

// system is the server's root as planners read it.
func (m *mta) system() *mtaconf.System { return &mtaconf.System{Root: m.root} }

// connect does what a plan says, as `ukai connect --apply` would: files, preparation, the server's own check, reload.
func (m *mta) connect(plan *mtaconf.Plan) {
	m.t.Helper()
	for _, f := range plan.Files {
		m.install(f)
	}
	for _, c := range append(append(append([]mtaconf.Command{}, plan.Prepare...), plan.Check...), plan.Reload...) {
		m.run(c)
	}
}

// install puts a file of a plan into its place in one step.
func (m *mta) install(f mtaconf.File) {
	m.t.Helper()
	real, err := m.system().Real(f.Path)
	if err != nil {
		m.t.Fatal(err)
	}
	perm, uid, gid := f.Perm, f.UID, f.GID
	switch st, err := os.Stat(real); {
	case err == nil:
		sys := st.Sys().(*syscall.Stat_t)
		perm, uid, gid = st.Mode().Perm(), int(sys.Uid), int(sys.Gid)
	case !errors.Is(err, fs.ErrNotExist):
		m.t.Fatal(err)
	}
	if perm == 0 {
		perm = 0o644
	}
	temp := real + ".part"
	for _, err := range []error{os.MkdirAll(filepath.Dir(real), 0o755), os.WriteFile(temp, f.Text, perm), os.Chmod(temp, perm),
		os.Chown(temp, uid, gid), os.Rename(temp, real)} {
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// run runs a command of a plan, which must succeed, and returns what it printed.
func (m *mta) run(c mtaconf.Command) string {
	m.t.Helper()
	out, err := m.command(c.Args).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
	return string(out)
}

// program runs something in the server's root with a text on its standard input: sendmail -t, as PHP does.
func (m *mta) program(stdin string, args ...string) {
	m.t.Helper()
	cmd := m.command(args)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// bring puts the program under test into the server's root, for servers that start it themselves, and returns its path there.
func (m *mta) bring() string {
	m.t.Helper()
	const path = "/usr/bin/ukai"
	if out, err := exec.Command("cp", ukaiBin, filepath.Join(m.root, path)).CombinedOutput(); err != nil {
		m.t.Fatalf("%v %s", err, out)
	}
	return path
}

// arriveOnce waits until every message has arrived, and checks that each did once and unchanged and that nothing was bounced.
func arriveOnce(t *testing.T, w *peersim.World, sent []peersim.Sent, limit time.Duration) {
	t.Helper()
	arriveOnceBut(t, w, sent, 0, limit)
}

// arriveOnceBut is arriveOnce where so many reports to the senders are due, for messages that are not among those sent.
func arriveOnceBut(t *testing.T, w *peersim.World, sent []peersim.Sent, bounces int, limit time.Duration) {
	t.Helper()
	arrive(t, w, sent, allowed{bounces: bounces}, limit)
}

// allowed is what may become of mail besides arriving once.
type allowed struct {
	bounces int // exactly so many
	// twice is how many may arrive twice, at most: what a killed ukai had taken, or delivered, and could not say so, comes again
	// (RFC 1047).
	twice int
}

// arrive waits until all has arrived that was sent, and holds against the ledgers that nothing else became of it.
func arrive(t *testing.T, w *peersim.World, sent []peersim.Sent, may allowed, limit time.Duration) {
	t.Helper()
	missing := func() (n int, last peersim.Sent) {
		for _, s := range sent {
			if r, ok := w.Record(s.ID, s.Rcpt); !ok || r.Delivered == 0 {
				n, last = n+1, s
			}
		}
		return n, last
	}
	end := time.Now().Add(limit)
	for n, _ := missing(); n > 0 && time.Now().Before(end); n, _ = missing() {
		time.Sleep(50 * time.Millisecond)
	}
	if n, s := missing(); n > 0 {
		r, _ := w.Record(s.ID, s.Rcpt)
		t.Errorf("%d of %d messages have not arrived within %v, %s to %s among them: %+v", n, len(sent), limit, s.ID, s.Rcpt, r)
	}
	twice := 0
	for _, s := range sent {
		r, _ := w.Record(s.ID, s.Rcpt)
		if r.Delivered > 1 {
			twice++
		}
		if r.Delivered > 0 && s.Digest != 0 && r.Digest != s.Digest {
			t.Errorf("%s to %s was changed on the way", s.ID, s.Rcpt)
		}
	}
	if sum := w.Sum(); twice > may.twice || sum.Bounces != may.bounces {
		t.Errorf("%d arrived twice, want %d at most; %d bounces, want %d: %+v", twice, may.twice, sum.Bounces, may.bounces, sum)
	}
}

// ways counts by which address messages arrived: the server's own, or the detour's.
func ways(w *peersim.World, sent []peersim.Sent) (direct, detoured int) {
	for _, s := range sent {
		r, _ := w.Record(s.ID, s.Rcpt)
		switch r.Source {
		case serverIP:
			direct++
		case detourIP:
			detoured++
		}
	}
	return direct, detoured
}

// domainOf returns what stands behind the at sign.
func domainOf(rcpt string) string { return rcpt[strings.LastIndexByte(rcpt, '@')+1:] }

// split parts messages into those for Google's domains and the others.
func split(sent []peersim.Sent) (google, others []peersim.Sent) {
	is := make(map[string]bool)
	for _, d := range steeringGoogle() {
		is[d] = true
	}
	for _, s := range sent {
		if is[domainOf(s.Rcpt)] {
			google = append(google, s)
		} else {
			others = append(others, s)
		}
	}
	return google, others
}

// marks counts the calls of submitMarked: the IDs of all messages differ.
var marks atomic.Int64

// submitMarked hands messages with a mark in their body to the server.
func (m *mta) submitMarked(rcpts []string, count int, mark string) *peersim.Result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	res, err := peersim.Generate(ctx, peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", m.port), Senders: []string{"sender.example"}, Rcpts: rcpts,
		Count: count, Size: 500, Prefix: fmt.Sprintf("marked%d-", marks.Add(1)), Body: mark + "\r\n"})
	if err != nil || len(res.Accepted) != count {
		m.t.Fatalf("%v: took %d of %d: %s", err, len(res.Accepted), count, res.Last)
	}
	return res
}

func TestTheSlowDoorPassesEverythingOnLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // an echo; it ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	door := startSlowDoor(t, l.Addr().(*net.TCPAddr).Port)
	for _, by := range []time.Duration{0, 200 * time.Millisecond} {
		door.slow(by)
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", door.port))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		fmt.Fprint(c, "hello")
		_ = c.(*net.TCPConn).CloseWrite()
		said, err := io.ReadAll(c)
		if took := time.Since(begin); err != nil || !bytes.Equal(said, []byte("hello")) || took < by {
			t.Errorf("after %v: %q %v, want no sooner than %v", took, said, err, by)
		}
		c.Close()
	}
}
