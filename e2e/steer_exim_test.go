package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/exim"
	"ukai/internal/peersim"
	"ukai/internal/servers"
)

// eximServer is an Exim of Debian that is steered.
type eximServer struct {
	*mta
	world  *peersim.World
	detour *detour
	door   *slowDoor
	hosts  string // the file of hosts of refusing providers, as the test sees it
}

// startExim starts an Exim and a ukai, and connects them as `ukai connect` does: ukai is told of the server, reads its log and
// writes its file.
func startExim(t *testing.T, wish mtaconf.Wish) *eximServer {
	t.Helper()
	w := steeringWorld(t)
	m := startMTA(t, "exim")
	log := filepath.Join(t.TempDir(), "mainlog")
	tellAbroad(t, m.log, log)
	s := &eximServer{mta: m, world: w}
	// ukai knows the server's address as an egress that it would use itself if the others were shut.
	more := ""
	for _, e := range [][2]string{{"spare", "127.0.0.21"}, {"own", serverIP.String()}} {
		more += fmt.Sprintf("[[egress]]\nname = %q\nsource = [%q]\nport = %d\n", e[0], e[1], w.Port())
	}
	if wish.Live != "" {
		more += fmt.Sprintf("[steer]\nlisten = %q\n", wish.Live)
	}
	s.detour = startDetour(t, w, more)
	s.door = startSlowDoor(t, s.detour.port)
	wish.Server, wish.Peer = "exim", mtaconf.Peer{Host: "127.0.0.1", Port: s.door.port}
	plan := s.plan(wish)
	m.connect(plan)
	waitFor(t, plan.Alive, "220") // after the reload
	_, err := api.NewClient(s.detour.data).ConnectServer(t.Context(), "exim", &api.ServerRequest{MTA: mtaconf.Exim, Mode: plan.Mode,
		Place: servers.Place{Root: m.root, Dir: plan.Instance.Dir}, Logs: []string{log}, Routes: plan.Routes, Egress: "own", Live: wish.Live != "", Answer: plan.Answer,
		Peer: wish.Peer.Address()})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Routes) > 0 {
		s.hosts = filepath.Join(m.root, plan.Routes[0].Path)
	}
	return s
}

// plan asks the planner for the one Exim that is in the root.
func (s *eximServer) plan(wish mtaconf.Wish) *mtaconf.Plan {
	s.t.Helper()
	found, err := exim.New().Find(s.system())
	if err != nil || len(found) != 1 {
		s.t.Fatalf("found %v, %v", found, err)
	}
	plan, err := exim.New().Plan(s.system(), found[0], wish)
	if err != nil {
		s.t.Fatal(err)
	}
	if want := fmt.Sprintf("127.0.0.1:%d", s.port); plan.Alive != want {
		s.t.Errorf("it is said to listen at %s, want %s", plan.Alive, want)
	}
	return plan
}

// tellAbroad copies a log while it grows, with the addresses of the world made public ones.
func tellAbroad(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		done := 0
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			text, err := os.ReadFile(from)
			if err != nil {
				continue
			}
			end := bytes.LastIndexByte(text, '\n') + 1
			if end <= done {
				continue
			}
			f, err := os.OpenFile(to, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				continue
			}
			_, _ = f.WriteString(abroad(string(text[done:end])))
			f.Close()
			done = end
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// block shuts the path to Google by hand, and waits until the file says so where there is one.
func (s *eximServer) block() {
	s.t.Helper()
	s.detour.ask("path", "block", "own", "google")
	if s.hosts != "" {
		s.written()()
	}
}

// written waits until Google's hosts stand in the file, and returns when they did.
func (s *eximServer) written() (when func() time.Time) {
	var at time.Time
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for ctx.Err() == nil {
			if text, err := os.ReadFile(s.hosts); err == nil && bytes.Contains(text, []byte("\n*.google.com\n")) {
				at = time.Now()
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	s.t.Cleanup(func() { cancel(); wg.Wait() })
	return func() time.Time { wg.Wait(); return at }
}

// byWay counts what arrived from the server's own address and from those of ukai.
func byWay(w *peersim.World, sent []peersim.Sent) (direct, detoured int) {
	for _, s := range sent {
		switch r, _ := w.Record(s.ID, s.Rcpt); {
		case r.Source == serverIP:
			direct++
		case r.Delivered > 0:
			detoured++
		}
	}
	return direct, detoured
}

// everywhere are the fifty domains.
func everywhere() []string { return append(steeringGoogle(), steeringOthers()...) }

// inQueue counts what waits in Exim's queue.
func (s *eximServer) inQueue() string {
	return strings.TrimSpace(s.mta.run(mtaconf.Command{Args: []string{"/usr/sbin/exim4", "-bpc"}}))
}

func TestEximSendsAroundGooglesRefusalOnceItsHostsStandInTheFile(t *testing.T) {
	s := startExim(t, mtaconf.Wish{})
	before := s.submit(everywhere(), 300, "before")
	arriveOnce(t, s.world, before.Accepted, 30*time.Second)
	if direct, detoured := byWay(s.world, before.Accepted); detoured > 0 || direct != 300 {
		t.Fatalf("before the refusal %d went directly and %d over ukai", direct, detoured)
	}
	refuseServer(t, s.world)
	when := s.written()
	after := s.submit(everywhere(), 700, "after")
	written := when()

	back := 0 // came back to the sender: refused, and never delivered
	var rest []peersim.Sent
	until(t, 30*time.Second, "Exim's queue is empty", func() bool { return s.inQueue() == "0" })
	for _, m := range after.Accepted {
		r, _ := s.world.Record(m.ID, m.Rcpt)
		if r.Delivered > 0 || r.Refused == 0 {
			rest = append(rest, m)
			continue
		}
		if back++; r.FirstRefused.After(written.Add(time.Second)) {
			t.Errorf("%s was refused %v after the file was written", m.ID, r.FirstRefused.Sub(written))
		}
	}
	arriveOnceBut(t, s.world, rest, back, 30*time.Second)
	google, others := split(rest)
	_, detoured := byWay(s.world, google)
	direct, _ := byWay(s.world, others)
	t.Logf("%d of %d came back before the file was written; %d over ukai, %d directly", back, len(after.Accepted), detoured, direct)
	if back == 0 || detoured < 100 || direct != len(others) {
		t.Errorf("%d came back, %d of %d went over ukai, %d of %d directly", back, detoured, len(google), direct, len(others))
	}

	// What has nothing to do with the address comes back at once, on either way.
	for i, to := range []string{"customer01.example", "p0d1.example"} {
		s.comesBack(fmt.Sprintf("spam%d", i), "a@"+to, spamMark)
		s.comesBack(fmt.Sprintf("unknown%d", i), nobody+"@"+to, "")
	}
	if n := s.world.Sum().Bounces; n != back+4 {
		t.Errorf("%d came back in all, want %d", n, back+4)
	}
}

// comesBack sends a message that its receiver refuses for what it is, and waits until its sender is told.
func (s *eximServer) comesBack(id, rcpt, mark string) {
	s.t.Helper()
	before := s.world.Sum().Bounces
	res, err := peersim.Generate(s.t.Context(), peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", s.port), Senders: []string{"sender.example"},
		Rcpts: []string{rcpt}, Count: 1, Prefix: id, Body: mark})
	if err != nil || len(res.Accepted) != 1 {
		s.t.Fatalf("%v %+v", err, res)
	}
	until(s.t, 10*time.Second, id+" comes back", func() bool { return s.world.Sum().Bounces > before })
}

func TestWhatEximIsHandedBySendmailGoesEachRecipientItsOwnWay(t *testing.T) {
	s := startExim(t, mtaconf.Wish{})
	refuseServer(t, s.world)
	s.block()
	var sent []peersim.Sent
	domains := everywhere()
	for i := range 40 {
		var to []string
		for j := range 5 {
			rcpt := fmt.Sprintf("u%d@%s", i, domains[(i+11*j)%len(domains)])
			to = append(to, rcpt)
			sent = append(sent, peersim.Sent{ID: fmt.Sprintf("php%d", i), Rcpt: rcpt})
		}
		s.program(fmt.Sprintf("From: shop@sender.example\nTo: %s\nX-Rehearsal-ID: php%d\nSubject: order\n\nThank you.\n",
			strings.Join(to, ", "), i), "/usr/sbin/exim4", "-t", "-odi", "-f", fmt.Sprintf("shop+php%d@sender.example", i))
	}
	arriveOnce(t, s.world, sent, 30*time.Second)
	google, others := split(sent)
	if _, n := byWay(s.world, google); n != len(google) || n == 0 {
		t.Errorf("%d of %d for Google went over ukai", n, len(google))
	}
	if n, _ := byWay(s.world, others); n != len(others) || n == 0 {
		t.Errorf("%d of %d others went directly", n, len(others))
	}
}

func TestEximGoesOnByTheFormerRouteWhateverBecomesOfUkai(t *testing.T) {
	for _, mode := range []mtaconf.Mode{mtaconf.Steer, mtaconf.SafetyNet} {
		t.Run(string(mode), func(t *testing.T) {
			s := startExim(t, mtaconf.Wish{Mode: mode})
			s.block()
			for name, trouble := range map[string]func() (over func()){
				"killed": func() func() { s.detour.kill(); return s.detour.again },
				"hung":   func() func() { return s.detour.hang() },
				"slow": func() func() {
					s.door.slow(3 * time.Second)
					return func() { s.door.slow(0) }
				},
			} {
				during := s.under(name, trouble)
				late, worst := 0, time.Duration(0)
				for _, m := range during {
					r, _ := s.world.Record(m.ID, m.Rcpt)
					took := r.First.Sub(m.At)
					worst = max(worst, took)
					if took > 5*time.Second {
						late++
					}
				}
				direct, detoured := byWay(s.world, during)
				t.Logf("%s, %s: %d directly, %d over ukai, the slowest after %v", mode, name, direct, detoured, worst)
				if late > 0 || direct == 0 {
					t.Errorf("%s: %d of %d took more than 5 s, %d went directly", name, late, len(during), direct)
				}
			}
		})
	}
}

// under sends mail for Google, brings ukai into trouble in the middle, and returns what was sent after that when all has arrived.
func (s *eximServer) under(name string, trouble func() (over func())) []peersim.Sent {
	s.t.Helper()
	var first *peersim.Result
	var wg sync.WaitGroup
	wg.Go(func() { first = s.submit(steeringGoogle(), 24, name+"-before") })
	time.Sleep(100 * time.Millisecond)
	over := trouble()
	wg.Wait()
	during := s.submit(steeringGoogle(), 24, name+"-during")
	arriveOnce(s.t, s.world, during.Accepted, 20*time.Second)
	over()
	may := allowed{}
	if name == "killed" {
		may.twice = 4 // the load has so many connections
	}
	arrive(s.t, s.world, first.Accepted, may, 20*time.Second)
	after := s.submit(steeringGoogle(), 10, name+"-after")
	arriveOnce(s.t, s.world, after.Accepted, 20*time.Second)
	if _, detoured := byWay(s.world, after.Accepted); detoured != 10 {
		s.t.Errorf("%s: when it was over, %d of 10 went over ukai", name, detoured)
	}
	return during.Accepted
}

func TestEximAsksUkaiForEachMessageAndGoesOnWithoutAnAnswer(t *testing.T) {
	s := startExim(t, mtaconf.Wish{Live: fmt.Sprintf("127.0.0.1:%d", freePort(t))})
	refuseServer(t, s.world)
	s.block()
	begin := s.submit(everywhere(), 100, "live")
	arriveOnce(t, s.world, begin.Accepted, 30*time.Second)
	google, others := split(begin.Accepted)
	if _, n := byWay(s.world, google); n != len(google) {
		t.Errorf("%d of %d for Google went over ukai", n, len(google))
	}
	if n, _ := byWay(s.world, others); n != len(others) {
		t.Errorf("%d of %d others went directly", n, len(others))
	}
	if err := s.world.SetRules("google", usualRules()); err != nil {
		t.Fatal(err)
	}
	over := s.detour.hang()
	hung := s.submit(everywhere(), 20, "hung")
	arriveOnce(t, s.world, hung.Accepted, 20*time.Second)
	if n, _ := byWay(s.world, hung.Accepted); n != 20 {
		t.Errorf("%d of 20 went by the former route while ukai hung", n)
	}
	over()
	s.detour.kill()
	killed := s.submit(everywhere(), 20, "killed")
	arriveOnce(t, s.world, killed.Accepted, 10*time.Second)
}

func TestEximGivesEverythingToUkaiWithAPasswordOverTLS(t *testing.T) {
	w := steeringWorld(t)
	refuseServer(t, w)
	port, password := relayUkai(t, w)
	m := startMTA(t, "exim")
	s := &eximServer{mta: m, world: w}
	m.connect(s.plan(mtaconf.Wish{Mode: mtaconf.Relay, Server: "exim",
		Peer: mtaconf.Peer{Host: "127.0.0.1", Port: port, Username: "front", Password: password, TLS: true}}))
	sent := s.submit(everywhere(), 100, "relay")
	arriveOnce(t, w, sent.Accepted, 30*time.Second)
	if direct, _ := byWay(w, sent.Accepted); direct > 0 {
		t.Errorf("%d went past ukai", direct)
	}
	if log := m.lines(); !strings.Contains(log, "A=ukai_login") || !strings.Contains(log, "X=TLS1") {
		t.Errorf("the log tells of no password, or of no TLS")
	}
}

func TestEximHandsWhatWasPutOffToUkaiAtTheNextAttempt(t *testing.T) {
	s := startExim(t, mtaconf.Wish{Mode: mtaconf.SafetyNet})
	conf := filepath.Join(s.root, "etc/exim4/exim4.conf")
	text, err := os.ReadFile(conf)
	if err != nil || bytes.Count(text, []byte(">={$message_age}{300}")) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	s.install(mtaconf.File{Path: "/etc/exim4/exim4.conf", Text: bytes.Replace(text, []byte("{300}"), []byte("{2}"), 1)}) // no test waits five minutes
	if err := s.world.SetRules("p0", []peersim.Rule{{Name: "put off", Match: peersim.Match{Phase: peersim.RcptTo,
		Sources: []netip.Prefix{netip.PrefixFrom(serverIP, 32)}}, Reply: "451 4.7.1 come again"}}); err != nil {
		t.Fatal(err)
	}
	sent := s.submit([]string{"p0d1.example", "p1d1.example"}, 10, "net")
	arriveOnce(t, s.world, sent.Accepted, 20*time.Second)
	if direct, detoured := byWay(s.world, sent.Accepted); direct != 5 || detoured != 5 {
		t.Errorf("%d directly, %d over ukai, want 5 of each", direct, detoured)
	}
}

// Debian's own configuration and its own program that puts it together.
func TestEximAcceptsWhatBecomesOfDebiansOwnConfiguration(t *testing.T) {
	m := &mta{t: t, name: "exim", root: filepath.Join(t.TempDir(), "root"), port: 25}
	m.unpack()
	t.Cleanup(func() { os.RemoveAll(m.root) })
	passwd, err := os.ReadFile(filepath.Join(m.root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("/etc/passwd", string(passwd)+"uucp:x:10:10::/:/bin/false\n")
	m.mkdir("var/lib/exim4 0:0 755")
	tools := t.TempDir() // the group that files are given to is only known in the root
	if err := os.WriteFile(filepath.Join(tools, "chown"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for split, wants := range map[string]string{"true": "/etc/exim4/conf.d", "false": "/etc/exim4/exim4.conf.template"} {
		m.write("/etc/exim4/update-exim4.conf.conf", "dc_eximconfig_configtype='internet'\ndc_other_hostnames='home.example'\n"+
			"dc_local_interfaces='127.0.0.1 ; ::1'\ndc_use_split_config='"+split+"'\ndc_localdelivery='mail_spool'\nCFILEMODE='644'\n")
		for _, mode := range exim.New().Modes() {
			plan := (&eximServer{mta: m}).plan(mtaconf.Wish{Mode: mode, Server: "exim",
				Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525, Username: "exim", Password: "secret", TLS: true}})
			if plan.Instance.Dir != wants {
				t.Errorf("split %s: planned for %s", split, plan.Instance.Dir)
			}
			before := make(map[string][]byte)
			for _, f := range plan.Files {
				before[f.Path], _ = m.system().ReadFile(f.Path) // nil: it was not there
				m.install(f)
			}
			const made = "var/lib/exim4/config.autogenerated"
			cmd := exec.Command("sh", filepath.Join(m.root, "usr/sbin/update-exim4.conf"), "-d", filepath.Join(m.root, "etc/exim4"), "-o", filepath.Join(m.root, made))
			cmd.Env = []string{"PATH=" + tools + ":/usr/sbin:/usr/bin:/sbin:/bin"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("update-exim4.conf: %v\n%s", err, out)
			}
			for _, c := range plan.Check {
				m.run(c)
			}
			if text, err := os.ReadFile(filepath.Join(m.root, made)); err != nil || !bytes.Contains(text, []byte("\nukai_dnslookup:\n")) {
				t.Errorf("split %s, %s: %v, our router is not in what was made", split, mode, err)
			}
			for path, text := range before {
				if text == nil {
					_ = os.Remove(filepath.Join(m.root, path))
					continue
				}
				m.install(mtaconf.File{Path: path, Text: text})
			}
		}
	}
}
