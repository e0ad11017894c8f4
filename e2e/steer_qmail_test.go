package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ukai/internal/mtaconf"
	planner "ukai/internal/mtaconf/qmail"
	"ukai/internal/peersim"
)

// qmailr is the user who runs qmail-remote.
const qmailr, qmailGroup = 86, 81

// qmailStand is a qmail as far as remote deliveries go: a tree laid out as qmail's, a stand-in for qmail-remote (package
// qmailremote), and what qmail-send and qmail-rspawn do with it, done by the test.
type qmailStand struct {
	*mta
	w        *peersim.World
	bounced  []string     // what qmail-send would return to the sender
	deferred atomic.Int64 // how often a delivery is to be tried again
	mu       sync.Mutex   // guards bounced
}

// startQmail lays qmail out in a root of its own.
func startQmail(t *testing.T, w *peersim.World) *qmailStand {
	t.Helper()
	dir, err := os.MkdirTemp("", "ukai-qmail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	q := &qmailStand{mta: &mta{t: t, name: "opensmtpd", root: filepath.Join(dir, "root")}, w: w}
	q.unpack() // for its shell
	q.write("/etc/passwd", fmt.Sprintf("root:x:0:0::/:/bin/sh\nqmailr:x:%d:%d::/var/qmail:/bin/false\n", qmailr, qmailGroup))
	q.write("/var/qmail/control/me", mtaHost+"\n")
	q.write("/var/qmail/control/standin-dns", worldDNS+":53\n")
	q.write("/var/qmail/bin/qmail-send", "")
	q.write("/var/qmail/queue/mess/.keep", "")
	build := exec.Command("go", "build", "-o", filepath.Join(q.root, "var/qmail/bin/qmail-remote"), "ukai/e2e/qmailremote")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Join(q.root, "var/qmail/bin/qmail-remote"), 0o711); err != nil { // as qmail installs it
		t.Fatal(err)
	}
	null := filepath.Join(q.root, "dev/null")
	if _, err := os.Stat(null); err != nil {
		if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(null, 0o666); err != nil {
		t.Fatal(err)
	}
	q.bring()
	return q
}

// connectQmail plans and installs, as ukai connect would.
func (q *qmailStand) connectQmail(wish mtaconf.Wish) *mtaconf.Plan {
	q.t.Helper()
	wish.Program = "/usr/bin/ukai"
	found, err := planner.New().Find(q.system())
	if err != nil || len(found) != 1 {
		q.t.Fatalf("found %+v, %v", found, err)
	}
	plan, err := planner.New().Plan(q.system(), found[0], wish)
	if err != nil {
		q.t.Fatal(err)
	}
	for _, f := range plan.Files {
		q.install(f)
		if f.Whole { // it gets the rights of the plan
			if err := os.Chmod(filepath.Join(q.root, f.Path), f.Perm); err != nil {
				q.t.Fatal(err)
			}
		}
	}
	for _, c := range plan.Check {
		q.mta.run(c)
	}
	return plan
}

// queued is a message in qmail's queue, for one recipient or for several at one host.
type queued struct {
	id     string
	rcpts  []string
	digest uint64
}

// queue puts a message into the queue's directory, with LF line ends as qmail keeps it.
func (q *qmailStand) queue(id, body string, rcpts ...string) queued {
	q.t.Helper()
	text := fmt.Sprintf("Received: (qmail 1 invoked by uid 0); 19 Apr 2019 10:00:00 -0000\nX-Rehearsal-ID: %s\nFrom: a@sender.example\nSubject: %s\n\n%s\n.a dot\n", id, id, body)
	name := filepath.Join(q.root, "var/qmail/queue/mess", id)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		q.t.Fatal(err)
	}
	return queued{id, rcpts, peersim.Digest([]byte(strings.ReplaceAll(text, "\n", "\r\n")))}
}

// remote starts qmail-remote as qmail-rspawn does: the message on descriptor 0, one pipe for what it says on 1 and 2, found by
// PATH, as the user qmailr.
func (q *qmailStand) remote(m queued) *exec.Cmd {
	q.t.Helper()
	in, err := os.Open(filepath.Join(q.root, "var/qmail/queue/mess", m.id))
	if err != nil {
		q.t.Error(err)
		return nil
	}
	cmd := q.command(append([]string{"/var/qmail/bin/qmail-remote", domainOf(m.rcpts[0]), "a+" + m.id + "@sender.example"}, m.rcpts...))
	cmd.Args[0] = "qmail-remote"
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: qmailr, Gid: qmailGroup}
	cmd.Stdin = in
	return cmd
}

// attempt runs one delivery and returns the letter that qmail-send gets of qmail-rspawn for it, with the whole report.
func (q *qmailStand) attempt(m queued) (letter byte, report string) {
	cmd := q.remote(m)
	if cmd == nil {
		return 'Z', ""
	}
	out, err := cmd.CombinedOutput()
	cmd.Stdin.(*os.File).Close()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() < 0: // killed: "qmail-remote crashed."
		return 'Z', ""
	case errors.As(err, &ended) && ended.ExitCode() == 111:
		return 'Z', ""
	case err != nil:
		return 'D', err.Error()
	}
	return rspawn(out), string(out)
}

// rspawn reads a report as qmail-rspawn.c does: the first word about the message counts, and before it that on the first
// recipient.
func rspawn(report []byte) byte {
	if len(report) == 0 {
		return 'Z' // "qmail-remote produced no output."
	}
	result := byte('D')
	for piece := range bytes.SplitAfterSeq(report, []byte{0}) {
		if len(piece) > 1 && piece[len(piece)-1] == 0 && bytes.IndexByte([]byte("KZD"), piece[0]) >= 0 {
			result = piece[0]
			break
		}
	}
	switch report[0] {
	case 's':
		return 'Z'
	case 'h':
		return 'D'
	}
	return result
}

// send delivers messages as qmail-send does, twenty at once, and tries again what is to be tried again.
func (q *qmailStand) send(all []queued) {
	work := make(chan queued)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for m := range work {
				q.deliver(m)
			}
		})
	}
	for _, m := range all {
		work <- m
	}
	close(work)
	wg.Wait()
}

func (q *qmailStand) deliver(m queued) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		switch letter, report := q.attempt(m); letter {
		case 'K':
			return
		case 'D':
			q.mu.Lock()
			q.bounced = append(q.bounced, m.id+": "+report)
			q.mu.Unlock()
			return
		}
		q.deferred.Add(1)
	}
	q.t.Errorf("%s to %v stays in the queue", m.id, m.rcpts)
}

// many queues so many messages, over all the domains in turn.
func (q *qmailStand) many(prefix string, count int, domains []string) []queued {
	var all []queued
	for i := range count {
		id := fmt.Sprintf("%s%d", prefix, i)
		all = append(all, q.queue(id, "hello", fmt.Sprintf("u%d@%s", i, domains[i%len(domains)])))
	}
	return all
}

func sentOf(all []queued) []peersim.Sent {
	var list []peersim.Sent
	for _, m := range all {
		for _, r := range m.rcpts {
			list = append(list, peersim.Sent{ID: m.id, Rcpt: r, Digest: m.digest})
		}
	}
	return list
}

// notBounced fails for everything that came back.
func (q *qmailStand) notBounced() {
	q.t.Helper()
	if len(q.bounced) > 0 {
		q.t.Errorf("%d messages bounced, the first: %q", len(q.bounced), q.bounced[0])
	}
}

func TestQmailLosesNothingWhenGoogleRefusesItsAddress(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	q := startQmail(t, w)
	q.connectQmail(mtaconf.Wish{Server: "web1", Peer: d.peer()})
	all := q.many("m", 1000, slices.Concat(steeringGoogle(), steeringOthers()))
	half := make(chan struct{})
	go func() {
		defer close(half)
		until(t, time.Minute, "half of the mail", func() bool { return w.Sum().Delivered >= len(all)/2 })
		refuseServer(t, w)
	}()
	q.send(all)
	<-half
	sent := sentOf(all)
	arriveOnce(t, w, sent, 20*time.Second)
	q.notBounced()
	google, others := split(sent)
	if _, n := ways(w, google); n < 150 || n > 210 {
		t.Errorf("%d of %d messages for Google took the detour, about 200 were refused", n, len(google))
	}
	if _, n := ways(w, others); n > 0 {
		t.Errorf("%d messages for others took the detour", n)
	}
	if n := q.deferred.Load(); n > 0 {
		t.Errorf("%d deliveries were put off: the detour is to be taken in the same attempt", n)
	}

	spam := q.queue("spam", spamMark, "a@gmail.com")
	unknown := q.queue("unknown", "hello", nobody+"1@customer01.example")
	for _, m := range []queued{spam, unknown} {
		if letter, report := q.attempt(m); letter != 'D' {
			t.Errorf("%s: %c %q, it has to bounce at once", m.id, letter, report)
		}
	}
}

func TestQmailSendsMixedRecipientsEachTheirOwnWay(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	q := startQmail(t, w)
	q.connectQmail(mtaconf.Wish{Server: "web1", Peer: d.peer()})
	// Google refuses two recipients for the address, does not know one, and takes one.
	rules := append(usualRules(), peersim.Rule{Name: "banned", Match: peersim.Match{Phase: peersim.RcptTo, To: []string{"banned*@*"},
		Sources: []netip.Prefix{netip.PrefixFrom(serverIP, 32)}}, Reply: "microsoft-606"})
	if err := w.SetRules("google", rules); err != nil {
		t.Fatal(err)
	}
	var all []queued
	for i := range 10 {
		all = append(all, q.queue(fmt.Sprintf("mixed%d", i), "hello", "banned1@gmail.com", nobody+"@gmail.com", "fine@gmail.com", "banned2@gmail.com"))
	}
	for _, m := range all {
		_, report := q.attempt(m)
		var letters []byte
		for piece := range strings.SplitSeq(report, "\x00") {
			if piece != "" {
				letters = append(letters, piece[0])
			}
		}
		if string(letters) != "rhrrK" {
			t.Errorf("%s: %q", m.id, report)
		}
		for rcpt, want := range map[string]netip.Addr{"banned1@gmail.com": detourIP, "banned2@gmail.com": detourIP, "fine@gmail.com": serverIP, nobody + "@gmail.com": {}} {
			var r peersim.Record
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if r, _ = w.Record(m.id, rcpt); r.Delivered > 0 || !want.IsValid() {
					break
				}
			}
			if want.IsValid() && (r.Delivered != 1 || r.Source != want) || !want.IsValid() && (r.Refused == 0 || r.Delivered > 0) {
				t.Errorf("%s to %s: %+v", m.id, rcpt, r)
			}
		}
	}
	if sum := w.Sum(); sum.Delivered != 30 || sum.Duplicates != 0 || sum.Bounces != 0 {
		t.Errorf("%+v", sum)
	}
}

func TestQmailFlowsOnWhenUkaiDoesNot(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	door := startSlowDoor(t, d.port)
	q := startQmail(t, w)
	q.connectQmail(mtaconf.Wish{Server: "web1", Peer: mtaconf.Peer{Host: "127.0.0.1", Port: door.port}})
	refuseServer(t, w)
	for _, c := range []struct {
		name string
		stop func() (mend func())
	}{
		{"killed", func() func() { d.kill(); return d.again }},
		{"hung", d.hang},
		{"slow", func() func() { door.slow(time.Second); return func() { door.slow(0) } }},
	} {
		t.Run(c.name, func(t *testing.T) {
			others, google := q.many(c.name+"o", 60, steeringOthers()), q.many(c.name+"g", 20, steeringGoogle())
			mend := c.stop()
			var wg sync.WaitGroup
			wg.Go(func() { q.send(google) })
			begin := time.Now()
			q.send(others)
			arriveOnce(t, w, sentOf(others), time.Second)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("mail that needs no detour took %v", took)
			}
			q.notBounced()
			mend()
			wg.Wait()
			arriveOnce(t, w, sentOf(google), 20*time.Second)
			q.notBounced()
		})
	}
	if q.deferred.Load() == 0 {
		t.Error("nothing was put off while ukai was away")
	}
}

func TestQmailSteersBlockedDomainsAndFallsBack(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	q := startQmail(t, w)
	plan := q.connectQmail(mtaconf.Wish{Mode: mtaconf.Steer, Server: "web1", Peer: d.peer()})
	routes := filepath.Join(q.root, plan.Routes[0].Path)
	if err := os.WriteFile(routes, []byte(strings.Join(steeringGoogle(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	all := q.many("steered", 40, slices.Concat(steeringGoogle(), steeringOthers()))
	q.send(all)
	arriveOnce(t, w, sentOf(all), 20*time.Second)
	google, others := split(sentOf(all))
	if direct, _ := ways(w, google); direct > 0 {
		t.Errorf("%d messages for blocked domains went out directly", direct)
	}
	if _, n := ways(w, others); n > 0 {
		t.Errorf("%d messages for others took the detour", n)
	}
	mend := d.hang()
	hung := q.many("hung", 10, steeringGoogle())
	begin := time.Now()
	q.send(hung)
	if took := time.Since(begin); took > 6*time.Second {
		t.Errorf("the former route was taken after %v", took)
	}
	mend()
	arriveOnce(t, w, sentOf(hung), time.Second)
	if direct, _ := ways(w, sentOf(hung)); direct != len(hung) {
		t.Errorf("%d of %d went the former route", direct, len(hung))
	}
	q.notBounced()
}

func TestAQmailRemoteThatIsKilledLosesNothing(t *testing.T) {
	w := steeringWorld(t)
	d := startDetour(t, w, "")
	q := startQmail(t, w)
	q.connectQmail(mtaconf.Wish{Server: "web1", Peer: d.peer()})
	refuseServer(t, w)
	all := q.many("killed", 60, steeringGoogle())
	var wg sync.WaitGroup
	for i, m := range all {
		wg.Go(func() {
			cmd := q.remote(m)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			kill := time.AfterFunc(time.Duration(i)*10*time.Millisecond, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			err := cmd.Wait()
			kill.Stop()
			cmd.Stdin.(*os.File).Close()
			if out.Len() > 0 && bytes.Count(out.Bytes(), []byte{0}) < 2 {
				t.Errorf("half a report: %q", out.String())
			}
			if err == nil && rspawn(out.Bytes()) == 'K' {
				return
			}
			q.deliver(m)
		})
		if i%10 == 9 {
			wg.Wait()
		}
	}
	wg.Wait()
	q.notBounced()
	for _, s := range sentOf(all) {
		until(t, 10*time.Second, s.ID+" to arrive", func() bool {
			r, ok := w.Record(s.ID, s.Rcpt)
			return ok && r.Delivered > 0
		})
	}
}
