package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ukai/internal/api"
	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/sendmail"
	"ukai/internal/peersim"
	"ukai/internal/servers"
)

// sendmailServer is a real Sendmail that a real ukai steers: the ukai reads its log, judges, and keeps its list of domains.
type sendmailServer struct {
	*mta
	world  *peersim.World
	detour *detour
	door   *slowDoor // between the two
	live   string    // where the ukai answers lookups; empty: it keeps a list
	plan   *mtaconf.Plan
}

// planSendmail plans for the Sendmail in a root.
func planSendmail(t *testing.T, sys *mtaconf.System, w mtaconf.Wish) *mtaconf.Plan {
	t.Helper()
	found, err := sendmail.New().Find(sys)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v: %v", found, err)
	}
	p, err := sendmail.New().Plan(sys, found[0], w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// startSendmail starts a Sendmail and a ukai on the same machine. The ukai has the address of the server as its first egress,
// and a clean one behind it.
func startSendmail(t *testing.T, mode mtaconf.Mode, live bool) *sendmailServer {
	t.Helper()
	s := &sendmailServer{world: steeringWorld(t)}
	if live {
		s.live = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	}
	s.detour = startSharedDetour(t, s.world, s.live)
	s.door = startSlowDoor(t, s.detour.port)
	s.mta = startMTA(t, "sendmail")
	s.buildSubmit()
	s.plan = planSendmail(t, s.system(), mtaconf.Wish{Mode: mode, Server: "box", Live: s.live, Program: s.bring(), Peer: mtaconf.Peer{Host: "127.0.0.1", Port: s.door.port}})
	s.connect(s.plan)
	log := filepath.Join(t.TempDir(), "maillog")
	s.followAbroad(log)
	_, err := api.NewClient(s.detour.data).ConnectServer(t.Context(), "box", &api.ServerRequest{MTA: mtaconf.Sendmail, Mode: s.plan.Mode, Egress: "own",
		Place: servers.Place{Root: s.root}, Logs: []string{log}, Routes: s.plan.Routes, Live: live, Answer: s.plan.Answer,
		Peer: fmt.Sprintf("127.0.0.1:%d", s.detour.port)})
	if err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "Sendmail takes its configuration up", func() bool { return strings.Count(s.lines(), "starting daemon") > 1 })
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", s.port), "220")
	return s
}

// startSharedDetour starts a ukai on the machine of a server: it has the address of the server as well.
func startSharedDetour(t *testing.T, w *peersim.World, live string) *detour {
	t.Helper()
	dir, port, steer := t.TempDir(), freePort(t), ""
	if live != "" {
		steer = fmt.Sprintf("[steer]\n\t\tlisten = %q", live)
	}
	return &detour{conf: filepath.Join(dir, "ukai.toml"), port: port, process: ukai(t, dir, fmt.Sprintf(`
		hostname = "detour.example"
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		%s
		[limits]
		connections_per_minute = 100000
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		relay = ["127.0.0.0/8"]
		[[egress]]
		name = "own"
		source = [%q]
		port = %d
		[[egress]]
		name = "clean"
		source = [%q]
		port = %d
	`, w.DNS(), steer, port, serverIP, w.Port(), detourIP, w.Port()), port)}
}

// domains are all fifty.
func (s *sendmailServer) domains() []string { return append(steeringGoogle(), steeringOthers()...) }

// followAbroad copies the log while it grows, with the addresses of the world made public ones.
func (s *sendmailServer) followAbroad(to string) {
	s.t.Helper()
	f, err := os.Create(to)
	if err != nil {
		s.t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer f.Close()
		for done := 0; ; {
			text, _ := os.ReadFile(s.log) // one that is not there has nothing to tell yet
			if end := bytes.LastIndexByte(text, '\n') + 1; end > done {
				_, _ = f.WriteString(abroad(string(text[done:end])))
				done = end
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	s.t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

// buildSubmit gives sendmail(1) its configuration: what PHP hands it goes to the server by SMTP.
func (s *sendmailServer) buildSubmit() {
	s.t.Helper()
	s.write("/etc/mail/submit.mc", strings.Join([]string{"include(/usr/share/sendmail/cf/m4/cf.m4)dnl", "define(`_USE_ETC_MAIL_',`')dnl", "OSTYPE(debian)dnl",
		"define(confTO_IDENT, 0)dnl", "define(confTIME_ZONE, `USE_TZ')dnl", "define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl", "FEATURE(`msp', `[127.0.0.1]')dnl", ""}, "\n"))
	s.mkdir("var/spool/mqueue-client 101:101 770")
	s.mkdir("var/spool/clientmqueue 101:101 770")
	s.m4("/etc/mail/submit.mc", "/etc/mail/submit.cf")
}

// m4 makes a configuration as the Makefiles do.
func (m *mta) m4(source, to string) {
	m.t.Helper()
	m.run(mtaconf.Command{Args: []string{"/bin/sh", "-c", "m4 -D_CF_DIR_=/usr/share/sendmail/cf/ " + source + " >" + to}})
}

// hand gives a message to sendmail(1), as PHP does.
func (s *sendmailServer) hand(id string, to []string) (sent []peersim.Sent) {
	s.t.Helper()
	s.program(fmt.Sprintf("From: shop@sender.example\nTo: %s\nX-Rehearsal-ID: %s\nSubject: order\n\nThank you.\n", strings.Join(to, ", "), id),
		"/usr/libexec/sendmail/sendmail", "-t", "-i", "-f", "shop+"+id+"@sender.example")
	for _, rcpt := range to {
		sent = append(sent, peersim.Sent{ID: id, Rcpt: rcpt, At: time.Now()})
	}
	return sent
}

// settled waits until each message has arrived or was refused by Google, and returns them apart.
func (s *sendmailServer) settled(sent []peersim.Sent) (arrived, bounced []peersim.Sent) {
	s.t.Helper()
	for _, m := range sent {
		var r peersim.Record
		until(s.t, 30*time.Second, m.ID+" to "+m.Rcpt+" arrives or is refused", func() (ok bool) {
			r, ok = s.world.Record(m.ID, m.Rcpt)
			return ok && (r.Delivered > 0 || r.Refused > 0)
		})
		if r.Delivered > 0 {
			arrived = append(arrived, m)
		} else {
			bounced = append(bounced, m)
		}
	}
	return arrived, bounced
}

// listed waits until the server knows that Google's domains take the detour, and returns when it did.
func (s *sendmailServer) listed() time.Time {
	s.t.Helper()
	until(s.t, 10*time.Second, "ukai writes its list", func() bool {
		text, err := os.ReadFile(filepath.Join(s.root, s.plan.Routes[0].Path))
		return err == nil && strings.Contains(string(text), "\ncustomer")
	})
	return time.Now()
}

func TestSendmailSteersAroundARefusal(t *testing.T) {
	s := startSendmail(t, "", false)
	const count = 1000
	listed := make(chan time.Time, 1)
	go func() {
		for s.world.Sum().Delivered < count/2 {
			time.Sleep(5 * time.Millisecond)
		}
		refuseServer(t, s.world)
		listed <- s.listed()
	}()
	begin := time.Now()
	res := s.submit(s.domains(), count, "show")
	arrived, bounced := s.settled(res.Accepted)
	when := <-listed
	for _, m := range bounced {
		if late := m.At.Sub(when); late > time.Second { // the way is chosen when a recipient is taken, the message comes after that
			t.Errorf("%s to %s was taken %v after the list was written, and refused all the same", m.ID, m.Rcpt, late)
		}
	}
	google, others := split(arrived)
	_, over := ways(s.world, google)
	if direct, _ := ways(s.world, others); direct != len(others) || over < len(google)/4 {
		t.Errorf("%d of %d others went directly, %d of %d for Google over ukai", direct, len(others), over, len(google))
	}
	until(t, 20*time.Second, "each bounce is reported", func() bool { return s.world.Sum().Bounces == len(bounced) })
	arriveOnceBut(t, s.world, arrived, len(bounced), 30*time.Second)
	t.Logf("%d messages in %v; %d bounced, all in the time until ukai knew; %d for Google went over ukai", count, time.Since(begin), len(bounced), over)

	t.Run("content and unknown users bounce as before", func(t *testing.T) {
		before := s.world.Sum().Bounces
		s.submitMarked([]string{"p1d0.example"}, 2, spamMark)
		s.submit([]string{nobody + "@p0d0.example", nobody + "@customer03.example"}, 2, "unknown")
		until(t, 20*time.Second, "four reports", func() bool { return s.world.Sum().Bounces == before+4 })
	})
	t.Run("each recipient of a message goes its own way", func(t *testing.T) {
		var sent []peersim.Sent
		all := s.domains()
		for i := range 20 {
			var to []string
			for j := range 5 {
				to = append(to, fmt.Sprintf("u%d@%s", i, all[(i+11*j)%len(all)]))
			}
			sent = append(sent, s.hand(fmt.Sprintf("php%d", i), to)...)
		}
		arriveOnceBut(t, s.world, sent, s.world.Sum().Bounces, 30*time.Second)
		google, others := split(sent)
		if _, n := ways(s.world, google); n != len(google) {
			t.Errorf("%d of %d for Google went over ukai", n, len(google))
		}
		if n, _ := ways(s.world, others); n != len(others) {
			t.Errorf("%d of %d others went directly", n, len(others))
		}
	})
	s.goesOn(t)
}

// goesOn brings ukai into trouble while Google's domains take the detour, and expects their mail on its former way.
func (s *sendmailServer) goesOn(t *testing.T) {
	if err := s.world.SetRules("google", usualRules()); err != nil { // the former way is open, only ukai does not know yet
		t.Fatal(err)
	}
	s.detour.ask("path", "block", "own", "google") // and no probe tells it
	troubles := map[string]func() (over func()){
		"killed": func() func() { s.detour.kill(); return s.detour.again },
		"hung":   func() func() { return s.detour.hang() },
	}
	if s.live == "" { // the door is before the port for mail, not before the lookups
		troubles["slow"] = func() func() { s.door.slow(4 * time.Second); return func() { s.door.slow(0) } }
	}
	for name, begin := range troubles {
		t.Run("ukai is "+name, func(t *testing.T) { s.under(t, name, begin) })
	}
}

// under has mail on its way when ukai gets into trouble, and more after that.
func (s *sendmailServer) under(t *testing.T, name string, begin func() (over func())) {
	bounces := s.world.Sum().Bounces
	load := make(chan *peersim.Result, 1)
	go func() { load <- s.submit(s.domains(), 24, "load-"+name) }()
	until(t, 20*time.Second, "there is load", func() bool {
		_, ok := s.world.Record("load-"+name+"5", "user5@"+s.domains()[5])
		return ok || len(load) > 0
	})
	over := begin()
	started := time.Now()
	during := s.submit(steeringGoogle(), 4, name)
	taken := time.Since(started) // over four connections: Sendmail asks before it takes a recipient
	arriveOnceBut(t, s.world, during.Accepted, bounces, 20*time.Second)
	slowest := time.Duration(0)
	for _, m := range during.Accepted {
		r, _ := s.world.Record(m.ID, m.Rcpt)
		slowest = max(slowest, r.First.Sub(m.At))
	}
	if direct, _ := ways(s.world, during.Accepted); direct != 4 || taken+slowest > 5*time.Second {
		t.Errorf("%d of 4 went directly, the slowest after %v and %v", direct, taken, slowest)
	}
	over()
	// A message that ukai had taken and could not say so when it was killed comes again: that is how SMTP is (RFC 1047). The
	// load has four connections.
	twice := 0
	for _, m := range (<-load).Accepted {
		var r peersim.Record
		until(t, 30*time.Second, m.ID+" arrives", func() bool { r, _ = s.world.Record(m.ID, m.Rcpt); return r.Delivered > 0 })
		twice += r.Delivered - 1
	}
	if n := s.world.Sum().Bounces; n != bounces || twice > 4 || twice > 0 && name != "killed" {
		t.Errorf("%d bounced, %d of the load arrived twice", n-bounces, twice)
	}
	t.Logf("%s: a recipient was taken in %v, the slowest message arrived %v later; %d of the load came twice", name, taken, slowest, twice)
}

func TestSendmailAsksUkaiLive(t *testing.T) {
	s := startSendmail(t, mtaconf.SafetyNet, true)
	s.submit(s.domains(), 50, "learn") // the first question about a domain is answered "no change"
	until(t, 20*time.Second, "all arrived", func() bool { return s.world.Sum().Delivered == 50 })
	refuseServer(t, s.world)
	s.submit([]string{"gmail.com"}, 1, "first")
	until(t, 20*time.Second, "ukai knows of the first refusal", func() bool {
		return s.world.Sum().Bounces == 1 && strings.Contains(s.detour.ask("path", "list", "--lang", "en"), "suspect")
	})
	res := s.submit(s.domains(), 50, "live") // from the second message on
	arriveOnceBut(t, s.world, res.Accepted, 1, 30*time.Second)
	google, others := split(res.Accepted)
	_, over := ways(s.world, google)
	if direct, _ := ways(s.world, others); direct != len(others) || over != len(google) {
		t.Errorf("%d of %d others went directly, %d of %d for Google over ukai", direct, len(others), over, len(google))
	}
	s.goesOn(t)
}

func TestSendmailGivesAllMailToUkaiAsARelay(t *testing.T) {
	s := startSendmail(t, mtaconf.Relay, false)
	s.detour.ask("path", "block", "own", "google")
	refuseServer(t, s.world)
	res := s.submit(s.domains(), 50, "relay")
	arriveOnce(t, s.world, res.Accepted, 30*time.Second)
	if google, _ := split(res.Accepted); len(google) == 0 {
		t.Error("nothing went to Google")
	} else if _, over := ways(s.world, google); over != len(google) {
		t.Errorf("%d of %d for Google over ukai's clean address", over, len(google))
	}
	if n := strings.Count(s.lines(), "mailer=esmtp"); n > 0 {
		t.Errorf("%d went directly", n)
	}
}

// sources are files that Sendmail is configured by, as they are in use.
var sources = map[string]string{
	"as Debian brings it": `
			divert(0)dnl
			define(QUOTE_USE_ETC_MAIL_')dnl
			include(QUOTE/usr/share/sendmail/cf/m4/cf.m4')dnl
			OSTYPE(QUOTEdebian')dnl
			DOMAIN(QUOTEdebian-mta')dnl
			dnl # It isn't a smarthost that is needed here.
			dnl define(QUOTESMART_HOST', QUOTEold.example')dnl
			undefine(QUOTEconfHOST_STATUS_DIRECTORY')dnl        #DAEMON_HOSTSTATS=
			FEATURE(QUOTEno_default_msa')dnl
			DAEMON_OPTIONS(QUOTEFamily=inet,  Name=MTA-v4, Port=smtp, Addr=127.0.0.1')dnl
			define(QUOTEconfPRIVACY_FLAGS',dnl
			QUOTEneedmailhelo,needexpnhelo,nobodyreturn')dnl
			FEATURE(QUOTEuse_cw_file')dnl
			FEATURE(QUOTEaccess_db', , QUOTEskip')dnl
			MAILER_DEFINITIONS
			MAILER(QUOTElocal')dnl
			MAILER(QUOTEsmtp')dnl

			`,
	"as Red Hat does, with tables and masquerading": `
			divert(-1)dnl
			dnl # This is the sendmail macro config file for m4.
			include(QUOTE/usr/share/sendmail/cf/m4/cf.m4')dnl
			VERSIONID(QUOTEsetup for linux')dnl
			OSTYPE(QUOTElinux')dnl
			define(QUOTEconfTO_CONNECT', QUOTE1m')dnl
			define(QUOTEPROCMAIL_MAILER_PATH', QUOTE/usr/bin/procmail')dnl
			FEATURE(QUOTEno_default_msa', QUOTEdnl')dnl
			FEATURE(QUOTEmailertable', QUOTEhash -o /etc/mail/mailertable.db')dnl
			FEATURE(QUOTEvirtusertable', QUOTEhash -o /etc/mail/virtusertable.db')dnl
			FEATURE(redirect)dnl
			FEATURE(always_add_domain)dnl
			FEATURE(use_cw_file)dnl
			FEATURE(QUOTEaccess_db', QUOTEhash -T<TMPF> -o /etc/mail/access.db')dnl
			DAEMON_OPTIONS(QUOTEPort=smtp,Addr=127.0.0.1, Name=MTA')dnl
			FEATURE(QUOTEaccept_unresolvable_domains')dnl
			MASQUERADE_AS(QUOTEsender.example')dnl
			FEATURE(masquerade_envelope)dnl
			FEATURE(allmasquerade)dnl
			MAILER(smtp)dnl
			dnl MAILER(cyrusv2)dnl
			`,
	"with rules and mailers of its own": `
			include(QUOTE/usr/share/sendmail/cf/m4/cf.m4')
			OSTYPE(linux)
			define(QUOTESMTP_MAILER_MAXRCPTS', 20)
			FEATURE(nocanonify)
			MAILER(local)
			MAILER(smtp)
			LOCAL_CONFIG
			CPintern
			LOCAL_NET_CONFIG
			R$* < @ $+ .intern. > $*	$#smtp $@ [10.0.0.9] $: $1 < @ $2 .intern. > $3
			MAILER_DEFINITIONS
			Mfax,	P=/bin/false, F=DFMhu, S=14, R=24,
				A=fax $u
			`,
}

func TestM4MakesOfTheChangedSourceWhatThePlannerMadeOfTheFile(t *testing.T) {
	m := &mta{t: t, name: "sendmail", root: filepath.Join(t.TempDir(), "root")}
	m.unpack()
	m.write("/etc/mail/local-host-names", "localhost\n")
	m.write("/usr/lib/sasl2/libplain.so", "") // only looked for
	for name, source := range sources {
		for _, mode := range []mtaconf.Mode{mtaconf.Steer, mtaconf.Relay} {
			for _, user := range []string{"", "box"} {
				m.write("/etc/mail/sendmail.mc", strings.ReplaceAll(source, "QUOTE", "`"))
				m.m4("/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf")
				plan := planSendmail(t, m.system(), mtaconf.Wish{Mode: mode, Server: "box", Program: "/usr/bin/ukai",
					Peer: mtaconf.Peer{Host: "127.0.0.1", Port: 2525, Username: user, Password: "secret"}})
				for _, f := range plan.Files {
					m.install(f)
				}
				for _, c := range plan.Check {
					m.run(c)
				}
				m.m4("/etc/mail/sendmail.mc", "/etc/mail/made.cf")
				if ours, made := m.meaning("/etc/mail/sendmail.cf"), m.meaning("/etc/mail/made.cf"); ours != made {
					t.Errorf("%s, %s, user %q: what the planner made and what m4 makes differ:\n%s", name, mode, user, firstDifference(ours, made))
				}
			}
		}
	}
}

// meaning returns a file without comments and empty lines, which Sendmail does not look at. Where the mailer ukai stands among
// the others means nothing: it comes last.
func (m *mta) meaning(path string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	var rest, ours strings.Builder
	to := &rest
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
			continue
		case strings.HasPrefix(line, "Mukai,"):
			to = &ours
		case line[0] != '\t':
			to = &rest
		}
		to.WriteString(line)
	}
	return rest.String() + ours.String()
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: %q and %q", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines and %d", len(x), len(y))
}
