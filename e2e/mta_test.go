package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// The mail servers of Debian, each in a root directory of its own (scripts/peer-root), because they conflict as packages. Such
// a server finds its way by real MX records: the world it lives in has a name server on port 53 and its providers on port 25, on
// addresses of a /16 that nobody else uses. The networks of two runs on one machine differ.
var (
	worldNet  = claimNet()
	worldDNS  = worldNet + ".0.53"
	worldDown = worldNet + ".0.99" // nobody listens there
)

const worldPort = 25

// claim keeps other runs off the network of this one as long as the process lives.
var claim net.Listener

// claimNet finds a network that no other run of these tests uses.
func claimNet() string {
	for n := 26; n < 200; n++ {
		name := fmt.Sprintf("127.%d", n)
		l, err := net.Listen("tcp", name+".255.1:53")
		if err != nil {
			continue
		}
		if probe, err := net.Listen("tcp", name+".1.1:25"); err == nil { // somebody else's world may be there, with no claim
			probe.Close()
			claim = l
			return name
		}
		l.Close()
	}
	return "127.26"
}

// mta is a running mail server.
type mta struct {
	t       *testing.T
	name    string
	root    string // its root directory
	port    int    // on 127.0.0.1: takes mail from this machine for anywhere
	log     string // path of its log
	cmd     *exec.Cmd
	ended   chan struct{}
	console bytes.Buffer
}

// mtaSetup is how each server is configured and started. {port} and {host} are put in.
type mtaSetup struct {
	files   map[string]string // by path in the root
	dirs    []string          // "path owner:group mode", made before the start
	prepare []string          // a command to run in the root
	run     []string
	log     string // path in the root; empty: what it says to /dev/log
}

// mtaHost is the name that all of them greet with.
const mtaHost = "mail.sender.example"

// startMTA starts a mail server and stops it at the end of the test.
func startMTA(t *testing.T, name string) *mta {
	t.Helper()
	setup, ok := mtaSetups[name]
	if !ok {
		t.Fatalf("no setup for %s", name)
	}
	dir, err := os.MkdirTemp("", "ukai-"+name+"-") // t.TempDir is too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	m := &mta{t: t, name: name, root: filepath.Join(dir, "root"), port: freePort(t), ended: make(chan struct{})}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m.unpack()
	for path, text := range setup.files {
		m.write(path, text)
	}
	m.write("/etc/resolv.conf", "nameserver "+worldDNS+"\n")
	m.write("/etc/hostname", mtaHost+"\n")
	m.write("/etc/mailname", mtaHost+"\n")
	for _, d := range setup.dirs {
		m.mkdir(d)
	}
	m.listenLog(filepath.Join(dir, "mail.log"))
	if setup.log != "" {
		m.log = filepath.Join(m.root, setup.log)
	}
	if len(setup.prepare) > 0 {
		if out, err := m.command(setup.prepare).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(setup.prepare, " "), err, out)
		}
	}
	m.start(setup.run)
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", m.port), "220")
	return m
}

// unpack makes a root for this test. Its files are links to those in the cache: they are replaced, never written to.
func (m *mta) unpack() {
	m.t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("sh", "../scripts/peer-root", m.name)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("scripts/peer-root %s: %v\n%s(it needs root, apt-get and the network the first time)", m.name, err, errs.String())
	}
	cache := strings.TrimSpace(string(out))
	if out, err := exec.Command("cp", "-al", cache, m.root).CombinedOutput(); err != nil { // another file system: copy
		os.RemoveAll(m.root)
		if out2, err2 := exec.Command("cp", "-a", cache, m.root).CombinedOutput(); err2 != nil {
			m.t.Fatalf("copy %s: %v %s; %v %s", cache, err, out, err2, out2)
		}
	}
}

func (m *mta) write(path, text string) {
	m.t.Helper()
	full := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Fatal(err)
	}
	_ = os.Remove(full) // it may be a link to the cache
	text = strings.NewReplacer("{port}", fmt.Sprint(m.port), "{host}", mtaHost).Replace(text)
	lines := strings.Split(strings.TrimPrefix(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "\t\t\t")
	}
	if err := os.WriteFile(full, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// mkdir makes a directory as "path uid:gid mode" says.
func (m *mta) mkdir(d string) {
	m.t.Helper()
	var path string
	var uid, gid int
	var mode uint32
	if _, err := fmt.Sscanf(strings.ReplaceAll(d, ":", " "), "%s %d %d %o", &path, &uid, &gid, &mode); err != nil {
		m.t.Fatalf("%q: %v", d, err)
	}
	full := filepath.Join(m.root, path)
	if err := os.MkdirAll(full, 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chown(full, uid, gid); err != nil {
		m.t.Fatalf("%v (these tests run as root)", err)
	}
	if err := syscall.Chmod(full, mode); err != nil {
		m.t.Fatal(err)
	}
}

// command makes a command that runs inside the root.
func (m *mta) command(args []string) *exec.Cmd {
	cmd := exec.Command(args[0])
	cmd.Path, cmd.Args, cmd.Err = args[0], nil, nil
	for _, a := range args {
		cmd.Args = append(cmd.Args, strings.ReplaceAll(a, "{port}", fmt.Sprint(m.port)))
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root, Setpgid: true}
	return cmd
}

func (m *mta) start(args []string) {
	m.t.Helper()
	m.cmd = m.command(args)
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.console
	m.cmd.WaitDelay = 5 * time.Second // children that outlive it hold its output
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		_ = m.cmd.Wait() // it says: terminated
		close(m.ended)
	}()
	m.t.Cleanup(m.stop)
}

// stop ends the server with all its processes.
func (m *mta) stop() {
	select {
	case <-m.ended:
	default:
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-m.ended:
		case <-time.After(10 * time.Second):
		}
	}
	_ = syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL) // the group that it leads: whoever did not listen
	<-m.ended
	if m.t.Failed() {
		m.t.Logf("%s says:\n%s\nits log:\n%s", m.name, m.console.String(), tail(m.log))
	}
}

// syslogLine is what the C library writes to /dev/log.
var syslogLine = regexp.MustCompile(`^<\d+>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (.*)`)

// listenLog takes the part of a syslog daemon: it puts the name of the host in and writes the lines to a file, as rsyslog does
// with its traditional format.
func (m *mta) listenLog(path string) {
	m.t.Helper()
	socket := filepath.Join(m.root, "dev/log")
	_ = os.Remove(socket)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		m.t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		m.t.Fatal(err)
	}
	m.log = path
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			if s := syslogLine.FindSubmatch(bytes.TrimRight(buf[:n], "\n\x00")); s != nil {
				fmt.Fprintf(f, "%s %s %s\n", s[1], "mail", s[2])
			}
		}
	})
	m.t.Cleanup(func() {
		l.Close()
		wg.Wait()
		f.Close()
	})
}

// lines returns what the log holds.
func (m *mta) lines() string {
	m.t.Helper()
	b, err := os.ReadFile(m.log)
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return string(b)
}

// world starts providers that these servers find by their MX records.
func world(t *testing.T, providers ...peersim.Provider) *peersim.World {
	t.Helper()
	for i := range providers {
		providers[i].Listen = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("%s.1.%d", worldNet, i+1))}
	}
	w, err := peersim.Start(peersim.Options{Providers: providers, Port: worldPort, DNS: worldDNS + ":53", Zone: peersim.Zone{
		MX:   map[string][]string{"down.example": {"mx.down.example"}},
		Addr: map[string][]netip.Addr{"mx.down.example": {netip.MustParseAddr(worldDown)}, mtaHost: {netip.MustParseAddr("127.0.0.1")}},
	}})
	if err != nil {
		t.Fatalf("%v (these tests run as root, with ports 25 and 53 of %s.0.0/16 free)", err, worldNet)
	}
	t.Cleanup(w.Close)
	return w
}

// submit hands messages to the server, all of which it must take.
func (m *mta) submit(rcpts []string, count int, prefix string) *peersim.Result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	res, err := peersim.Generate(ctx, peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", m.port), Senders: []string{"sender.example"}, Rcpts: rcpts,
		Count: count, Concurrency: 4, Size: 500, Prefix: prefix})
	if err != nil {
		m.t.Fatal(err)
	}
	if len(res.Accepted) != count {
		m.t.Fatalf("%s took %d of %d: %s", m.name, len(res.Accepted), count, res.Last)
	}
	return res
}

var mtaSetups = map[string]mtaSetup{
	"postfix": {
		files: map[string]string{
			"/etc/postfix/main.cf": `
			compatibility_level = 3.6
			myhostname = {host}
			mydestination =
			mynetworks = 127.0.0.0/8
			inet_interfaces = 127.0.0.1
			inet_protocols = ipv4
			alias_maps =
			smtpd_peername_lookup = no
			smtp_tls_security_level = none
			smtpd_client_restrictions = reject_rbl_client bl.example
			minimal_backoff_time = 1s
			maximal_backoff_time = 2s
			queue_run_delay = 1s
			maillog_file = /var/log/mail.log
			`,
			"/etc/postfix/master.cf": `
			127.0.0.1:{port} inet n - n - - smtpd
			pickup unix n - n 60 1 pickup
			cleanup unix n - n - 0 cleanup
			qmgr unix n - n 300 1 qmgr
			rewrite unix - - n - - trivial-rewrite
			bounce unix - - n - 0 bounce
			defer unix - - n - 0 bounce
			trace unix - - n - 0 bounce
			verify unix - - n - 1 verify
			flush unix n - n 1000? 0 flush
			proxymap unix - - n - - proxymap
			smtp unix - - n - - smtp
			relay unix - - n - - smtp
			showq unix n - n - - showq
			error unix - - n - - error
			retry unix - - n - - error
			anvil unix - - n - 1 anvil
			scache unix - - n - 1 scache
			postlog unix-dgram n - n - 1 postlogd
			`,
		},
		dirs: []string{
			"var/lib/postfix 100:101 755", "var/spool/postfix 0:0 755", "var/spool/postfix/active 100:0 700", "var/spool/postfix/bounce 100:0 700",
			"var/spool/postfix/corrupt 100:0 700", "var/spool/postfix/defer 100:0 700", "var/spool/postfix/deferred 100:0 700",
			"var/spool/postfix/flush 100:0 700", "var/spool/postfix/hold 100:0 700", "var/spool/postfix/incoming 100:0 700",
			"var/spool/postfix/maildrop 100:101 1730", "var/spool/postfix/pid 0:0 755", "var/spool/postfix/private 100:0 700",
			"var/spool/postfix/public 100:101 2710", "var/spool/postfix/saved 100:0 700", "var/spool/postfix/trace 100:0 700",
		},
		run: []string{"/usr/lib/postfix/sbin/master", "-d", "-c", "/etc/postfix"},
		log: "/var/log/mail.log",
	},
	"exim": {
		files: map[string]string{"/etc/exim4/exim4.conf": `
			primary_hostname = {host}
			local_interfaces = 127.0.0.1
			daemon_smtp_ports = {port}
			acl_smtp_rcpt = rcpt
			tls_advertise_hosts =
			host_lookup =
			queue_run_max = 8
			begin acl
			rcpt:
			  deny dnslists = bl.example
			       message = $sender_host_address is listed at $dnslist_domain
			  accept hosts = 127.0.0.0/8
			begin routers
			lookup:
			  driver = dnslookup
			  transport = remote
			  self = send
			begin transports
			remote:
			  driver = smtp
			  allow_localhost
			  hosts_avoid_tls = *
			  hosts_try_fastopen =
			begin retry
			* * F,1h,1s
			`},
		dirs: []string{"var/spool/exim4 100:100 750", "var/log/exim4 100:100 750", "run/exim4 100:100 755"},
		run:  []string{"/usr/sbin/exim4", "-bdf", "-q1s"},
		log:  "/var/log/exim4/mainlog",
	},
	"sendmail": {
		files: map[string]string{
			"/etc/mail/test.mc": `
			include(/usr/share/sendmail/cf/m4/cf.m4)dnl
			OSTYPE(debian)dnl
			define(confDOMAIN_NAME, {host})dnl
			define(confTO_IDENT, 0)dnl
			define(confMIN_QUEUE_AGE, 0)dnl
			define(confQUEUE_LA, 1000)dnl
			define(confREFUSE_LA, 1000)dnl
			define(confDELAY_LA, 1000)dnl
			define(confTO_HOSTSTATUS, 1s)dnl
			define(confPID_FILE, /var/run/sendmail/mta/sendmail.pid)dnl
			FEATURE(no_default_msa)dnl
			FEATURE(promiscuous_relay)dnl
			FEATURE(accept_unresolvable_domains)dnl
			FEATURE(dnsbl, bl.example)dnl
			DAEMON_OPTIONS(` + "`Name=MTA, Addr=127.0.0.1, Port={port}'" + `)dnl
			MAILER(local)dnl
			MAILER(smtp)dnl
			`,
			"/etc/mail/local-host-names": "localhost\n",
			"/etc/mail/aliases":          "postmaster: /dev/null\n",
			"/etc/build":                 "m4 -D_CF_DIR_=/usr/share/sendmail/cf/ /etc/mail/test.mc >/etc/mail/sendmail.cf && /usr/libexec/sendmail/sendmail -bi\n",
		},
		dirs:    []string{"var/spool/mqueue 0:0 700", "var/run/sendmail/mta 0:0 755", "var/lib/sendmail/host_status 0:0 755", "etc/mail 0:0 755"},
		prepare: []string{"/bin/sh", "/etc/build"},
		run:     []string{"/usr/libexec/sendmail/sendmail", "-bD", "-q1s"},
	},
	"opensmtpd": {
		files: map[string]string{"/etc/smtpd.conf": `
			listen on 127.0.0.1 port {port} hostname {host}
			mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-source 0 conn-delay-connector 0 conn-delay-relay 0 conn-delay-domain 0
			action "out" relay helo {host}
			match from any for any action "out"
			`},
		dirs: []string{"var/spool/smtpd 0:0 711", "var/lib/opensmtpd/empty 0:0 755", "var/run 0:0 755"},
		run:  []string{"/usr/sbin/smtpd", "-F", "-f", "/etc/smtpd.conf"},
	},
}
