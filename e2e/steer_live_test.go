package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/mtaconf"
	planner "ukai/internal/mtaconf/postfix"
	"ukai/internal/peersim"
	"ukai/internal/servers"
	"ukai/internal/soften"
)

// live is a real Postfix that asks a real ukai where the mail for each recipient goes, by "ukai lookup", which it starts itself.
// ukai shares the server's address, which is its preferred way out, and has another one.
type live struct {
	*mta
	world  *peersim.World
	detour *detour
	port   int // of ukai's listener for lookups
	door   int // by which Postfix reaches ukai
	tables map[string]string
}

const liveServer = "web1"

func startLive(t *testing.T) *live {
	t.Helper()
	l := &live{world: steeringWorld(t), port: freePort(t)}
	l.detour = startDetour(t, l.world, fmt.Sprintf(`
		steer.listen = "127.0.0.1:%d"
		[[egress]]
		name = "shared"
		source = [%q]
		port = %d
	`, l.port, serverIP, worldPort))
	l.mta = startMTA(t, "postfix")
	rules, err := classify.NewLive("")
	if err != nil {
		t.Fatal(err)
	}
	p := planner.New()
	found, err := p.Find(l.system())
	if err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", l.port)
	l.door = freePort(t)
	plan, err := p.Plan(l.system(), found[0], mtaconf.Wish{
		Mode: mtaconf.Steer, Server: liveServer, Peer: l.detour.peer(), Live: at, Program: l.bring(), Door: l.door,
		Reply: soften.Reply(rules.Rules()), Status: soften.Status(rules.Rules()),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.NewClient(l.detour.data).ConnectServer(t.Context(), liveServer, &api.ServerRequest{
		MTA: mtaconf.Postfix, Mode: mtaconf.Steer, Place: servers.Place{Dir: plan.Instance.Dir}, Egress: "shared", Logs: []string{l.log}, Live: true, Answer: plan.Answer,
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range plan.Files {
		l.install(f)
	}
	if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil { // what "postfix reload" does; its script needs programs that are not in this root
		t.Fatal(err)
	}
	until(t, 20*time.Second, "Postfix has read its settings again", func() bool {
		return strings.Contains(l.lines(), "reload -- version") && l.system().Exists("/var/spool/postfix/private/ukai-lookup")
	})
	l.tables = map[string]string{
		"socketmap":   "socketmap:inet:" + at + ":" + liveServer,
		"tcp table":   "tcp:" + at,
		"ukai lookup": "socketmap:unix:/var/spool/postfix/private/ukai-lookup:" + liveServer,
	}
	return l
}

// query asks a table as Postfix does; "" is no answer.
func (l *live) query(table, key string) string {
	l.t.Helper()
	out, err := l.command([]string{"/usr/sbin/postmap", "-q", key, l.tables[table]}).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) > 0) {
		l.t.Fatalf("postmap -q %s %s: %v %s", key, l.tables[table], err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestARealPostfixAsksUkaiLive(t *testing.T) {
	l := startLive(t)
	want := func(domain string) string { return fmt.Sprintf("ukai:[127.0.0.1]:%d, %s", l.door, domain) }
	for table := range l.tables {
		if got := l.query(table, "a@gmail.com"); got != "" {
			t.Errorf("%s, while all is well: %q", table, got)
		}
	}
	l.detour.ask("path", "block", "shared", "google")
	for table := range l.tables {
		for key, answer := range map[string]string{
			"a@gmail.com": want("gmail.com"), "A@GMAIL.COM": want("gmail.com"), "*": "", "a@p1d1.example": "", "a@[192.0.2.1]": "", `"a@b"@gmail.com`: want("gmail.com"),
		} {
			if got := l.query(table, key); got != answer {
				t.Errorf("%s, %s: %q, want %q", table, key, got, answer)
			}
		}
		domain := "customer0" + fmt.Sprint(len(table)%3) + ".example" // its MX is Google's: nobody knows that yet, or another table has asked
		until(t, 5*time.Second, table+": a customer's domain is known", func() bool { return l.query(table, "a@"+domain) == want(domain) })
	}
	l.detour.ask("path", "clear", "shared", "google")
	for table := range l.tables {
		if got := l.query(table, "a@gmail.com"); got != "" {
			t.Errorf("%s, after the end: %q", table, got)
		}
	}
}

func TestMailThatARealPostfixSendsIsSteeredLive(t *testing.T) {
	l := startLive(t)
	refuseServer(t, l.world)
	google, others := steeringGoogle(), steeringOthers()
	first := l.submit(google, 20, "first") // the net catches it, and the log tells ukai
	arriveOnce(t, l.world, first.Accepted, 30*time.Second)
	until(t, 10*time.Second, "the path is shut", func() bool { return l.query("ukai lookup", "a@gmail.com") != "" })
	l.domainsKnown(google)
	before := l.refusals()
	second := l.submit(slices.Concat(google, others), 100, "second")
	arriveOnce(t, l.world, second.Accepted, 30*time.Second)
	toGoogle, toOthers := split(second.Accepted)
	if direct, detoured := ways(l.world, toGoogle); direct > 0 || detoured != len(toGoogle) {
		t.Errorf("to Google: %d directly, %d over ukai", direct, detoured)
	}
	if direct, detoured := ways(l.world, toOthers); detoured > 0 || direct != len(toOthers) {
		t.Errorf("to others: %d directly, %d over ukai", direct, detoured)
	}
	if after := l.refusals(); after-before > 3 { // a probe of ukai's own may be among them
		t.Errorf("%d refusals after the path was shut", after-before)
	}
}

func TestARealPostfixGoesItsWayWithoutUkai(t *testing.T) {
	l := startLive(t)
	others := steeringOthers()
	for _, c := range []struct {
		name string
		harm func() (mend func())
	}{
		{"hung", l.detour.hang},
		{"killed", func() func() { l.detour.kill(); return l.detour.again }},
	} {
		mend := c.harm()
		began := time.Now()
		sent := l.submit(others, 60, c.name)
		arriveOnce(t, l.world, sent.Accepted, 5*time.Second)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: 60 messages took %v", c.name, took)
		}
		if direct, _ := ways(l.world, sent.Accepted); direct != len(sent.Accepted) {
			t.Errorf("%s: %d of %d went directly", c.name, direct, len(sent.Accepted))
		}
		mend()
	}
	until(t, 10*time.Second, "a ukai that is back is asked", func() bool {
		l.detour.ask("path", "block", "shared", "google")
		return l.query("ukai lookup", "a@gmail.com") != ""
	})
	for line := range strings.Lines(l.lines()) {
		if strings.Contains(line, "trivial-rewrite") && strings.Contains(line, "warning") {
			t.Error(line)
		}
	}
}

// domainsKnown waits until every domain's provider is known.
func (l *live) domainsKnown(domains []string) {
	l.t.Helper()
	for _, d := range domains {
		until(l.t, 5*time.Second, d+" is known", func() bool { return l.query("ukai lookup", "a@"+d) != "" })
	}
}

// refusals counts what Google has refused.
func (l *live) refusals() int { return l.world.Sum().Refusals }
