package e2e

import (
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/opensmtpd"
	"ukai/internal/peersim"
)

// startOpenSMTPD starts a server that does not take its time: by itself it keeps connections open for ten seconds in the hope of
// more mail, and no more than five of one route.
func startOpenSMTPD(t *testing.T) *mta {
	t.Helper()
	m := startMTA(t, "opensmtpd")
	conf := mtaSetups["opensmtpd"].files["/etc/smtpd.conf"]
	m.write("/etc/smtpd.conf", strings.Replace(conf, "mta limit ", "mta limit max-conn-per-host 200 max-conn-per-route 200 session-keepalive 0 ", 1))
	// Packages install it setgid, by a script that does not run when a root is unpacked.
	b, err := os.ReadFile(filepath.Join(m.root, "usr/sbin/smtpctl"))
	if err != nil {
		t.Fatal(err)
	}
	m.install(mtaconf.File{Path: "/usr/sbin/smtpctl.setgid", Text: b, Perm: 0o755, GID: 101})
	ctl := filepath.Join(m.root, "usr/sbin/smtpctl")
	for _, err := range []error{os.Rename(ctl+".setgid", ctl), syscall.Chmod(ctl, 0o2755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// connectOpenSMTPD plans and does what the plan says. smtpd has to be started anew; there is no init in the root that would.
func connectOpenSMTPD(m *mta, w mtaconf.Wish) *mtaconf.Plan {
	m.t.Helper()
	planner := opensmtpd.New()
	found, err := planner.Find(m.system())
	if err != nil || len(found) != 1 {
		m.t.Fatalf("%v %v", found, err)
	}
	plan, err := planner.Plan(m.system(), found[0], w)
	if err != nil {
		m.t.Fatal(err)
	}
	if plan.Alive != fmt.Sprintf("127.0.0.1:%d", m.port) {
		m.t.Errorf("it is alive at %s?", plan.Alive)
	}
	without := *plan
	without.Reload = nil
	m.connect(&without)
	m.restartSMTPD()
	return plan
}

func (m *mta) restartSMTPD() {
	m.t.Helper()
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
	case <-time.After(10 * time.Second):
		m.t.Fatal("smtpd does not end")
	}
	m.ended = make(chan struct{})
	m.start(mtaSetups["opensmtpd"].run)
	waitFor(m.t, fmt.Sprintf("127.0.0.1:%d", m.port), "220")
}

// steeringRcpts are recipients at all fifty domains.
func steeringRcpts() []string {
	var all []string
	for _, d := range append(steeringGoogle(), steeringOthers()...) {
		all = append(all, "someone@"+d)
	}
	return all
}

// TestOpenSMTPDOverARelayLosesNothing sends a thousand messages to fifty domains; in the middle, Google refuses the server's
// address, and ukai is killed and comes back.
func TestOpenSMTPDOverARelayLosesNothing(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	m := startOpenSMTPD(t)
	connectOpenSMTPD(m, mtaconf.Wish{Mode: mtaconf.Relay, Peer: d.peer()})
	rcpts := steeringRcpts()
	var sent []peersim.Sent
	for i := range 4 { // smtpd takes a hundred messages a connection, and submit makes four
		if i == 2 {
			refuseServer(t, w)
		}
		sent = append(sent, m.submit(rcpts, 200, fmt.Sprintf("part%d", i)).Accepted...)
	}
	arriveOnce(t, w, sent, 60*time.Second)
	if direct, detoured := ways(w, sent); direct != 0 || detoured != len(sent) {
		t.Errorf("%d went out directly, %d over ukai", direct, detoured)
	}

	until(t, 20*time.Second, "an empty queue of ukai", func() bool { return strings.Contains(d.ask("queue", "list", "--lang", "en"), "nothing is waiting") })
	d.kill()
	kept := m.submit(rcpts, 200, "down").Accepted // smtpd takes and keeps them
	m.lineWith("result=\"TempFail\"")
	if sum := w.Sum(); sum.Bounces > 0 {
		t.Errorf("bounced while ukai was down: %+v", sum)
	}
	d.again()
	m.hurry(w, kept)
	arriveOnce(t, w, append(sent, kept...), 60*time.Second)
}

// hurry has smtpd try everything in its queue at once, as an admin would. smtpd shuts a route on which nobody answers for some
// seconds: what it tries meanwhile goes back into the queue, and each time for longer. From the sixth time on that is more than
// four hours, and the sender is told of the delay.
func (m *mta) hurry(w *peersim.World, sent []peersim.Sent) {
	m.t.Helper()
	m.lineWith("Enabling route", "127.0.0.1 ")
	arrived := func() bool {
		return !slices.ContainsFunc(sent, func(s peersim.Sent) bool { r, _ := w.Record(s.ID, s.Rcpt); return r.Delivered == 0 })
	}
	for range 5 {
		m.run(mtaconf.Command{Args: []string{"/usr/sbin/smtpctl", "schedule", "all"}})
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && !arrived(); {
			time.Sleep(50 * time.Millisecond)
		}
		if arrived() {
			return
		}
	}
}

// TestOpenSMTPDBouncesWhatUkaiRefuses: what is refused for content and who is not there comes back to the sender over ukai, too.
func TestOpenSMTPDBouncesWhatUkaiRefuses(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	m := startOpenSMTPD(t)
	connectOpenSMTPD(m, mtaconf.Wish{Peer: d.peer()})
	m.submitMarked([]string{"a@gmail.com"}, 1, spamMark)
	m.submit([]string{nobody + "@p0d0.example"}, 1, "nobody")
	sent := m.submit([]string{"b@gmail.com"}, 1, "fine").Accepted
	for end := time.Now().Add(20 * time.Second); w.Sum().Bounces < 2 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	arriveOnceBut(t, w, sent, 2, 20*time.Second)
}

// block writes the file of blocked domains as package steer does and has smtpd read it.
func (m *mta) block(r mtaconf.RouteFile, domains []string) {
	m.t.Helper()
	full := filepath.Join(m.root, r.Path)
	b, err := os.ReadFile(full)
	if err != nil {
		m.t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), mtaconf.BlockBegin+"\n")
	if !ok {
		m.t.Fatalf("no block in %s", b)
	}
	text := head + mtaconf.BlockBegin + "\n" + strings.Join(append(slices.Clone(domains), mtaconf.BlockEnd, ""), "\n")
	m.install(mtaconf.File{Path: r.Path, Text: []byte(text)})
	m.run(*r.Then)
}

// someRcpts are at three domains of Google and at six of others. By itself smtpd waits for three seconds between two connections
// to a host, so that twenty domains behind one host would take a minute.
func someRcpts() []string {
	return append(steeringRcpts()[:3], steeringRcpts()[len(steeringGoogle()):][:6]...)
}

// submitMixed hands in messages with five recipients each, at domains of Google and of others.
func (m *mta) submitMixed(count int) []peersim.Sent {
	m.t.Helper()
	all := someRcpts()
	var sent []peersim.Sent
	for i := range count {
		id := fmt.Sprintf("mixed%d", i)
		var to []string
		for j := range 5 {
			to = append(to, fmt.Sprintf("u%d@%s", i, domainOf(all[(i+j)%len(all)])))
			sent = append(sent, peersim.Sent{ID: id, Rcpt: to[j]})
		}
		text := fmt.Sprintf("From: shop@sender.example\r\nTo: all of you\r\nX-Rehearsal-ID: %s\r\nSubject: order\r\n\r\nThank you.\r\n", id)
		if err := smtp.SendMail(fmt.Sprintf("127.0.0.1:%d", m.port), nil, "shop@sender.example", to, []byte(text)); err != nil {
			m.t.Fatal(err)
		}
	}
	return sent
}

// TestOpenSMTPDIsSteeredByAFileOfDomains: what is blocked takes the detour without a restart and comes back, and the recipients of
// one message go each their own way.
func TestOpenSMTPDIsSteeredByAFileOfDomains(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	m := startOpenSMTPD(t)
	plan := connectOpenSMTPD(m, mtaconf.Wish{Mode: mtaconf.Steer, Peer: d.peer()})
	rcpts := someRcpts()

	sent := m.submit(rcpts, 27, "free").Accepted
	arriveOnce(t, w, sent, 30*time.Second)
	if direct, detoured := ways(w, sent); direct != len(sent) || detoured != 0 {
		t.Errorf("nobody is blocked: %d went out directly, %d over ukai", direct, detoured)
	}

	refuseServer(t, w)
	m.block(plan.Routes[0], steeringGoogle())
	blocked := m.submit(rcpts, 100, "blocked").Accepted
	mixed := m.submitMixed(30)
	arriveOnce(t, w, slices.Concat(sent, blocked, mixed), 60*time.Second)
	for _, part := range [][]peersim.Sent{blocked, mixed} {
		google, others := split(part)
		if direct, detoured := ways(w, google); direct != 0 || detoured != len(google) || len(google) == 0 {
			t.Errorf("to Google: %d directly, %d over ukai", direct, detoured)
		}
		if direct, detoured := ways(w, others); detoured != 0 || direct != len(others) || len(others) == 0 {
			t.Errorf("to others: %d directly, %d over ukai", direct, detoured)
		}
	}

	d.kill() // mail for others flows
	_, others := split(m.submit(rcpts[3:], 12, "alone").Accepted)
	arriveOnce(t, w, others, 60*time.Second)
	kept := m.submit([]string{"a@gmail.com"}, 5, "waits").Accepted
	m.lineWith("result=\"TempFail\"")
	d.again()
	m.hurry(w, kept)
	arriveOnce(t, w, kept, 30*time.Second)

	if err := w.SetRules("google", usualRules()); err != nil {
		t.Fatal(err)
	}
	m.block(plan.Routes[0], nil)
	m.restartSMTPD() // an empty table would keep it from starting
	free := m.submit(rcpts, 27, "again").Accepted
	arriveOnce(t, w, free, 30*time.Second)
	if direct, detoured := ways(w, free); direct != len(free) || detoured != 0 {
		t.Errorf("nobody is blocked any more: %d directly, %d over ukai", direct, detoured)
	}
}
