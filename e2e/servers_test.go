package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// webBox is a machine of a web agency: a Postfix that sends for its customers, connected to a hub by one command.
type webBox struct {
	*mta
	hub   *process
	world *peersim.World
	name  string
	agent *exec.Cmd
}

// startHub starts the ukai that the machines share. It knows the address that two of them send from, and sends from a clean one
// only: what it knows of the other it has from them.
func startHub(t *testing.T, w *peersim.World) *process {
	t.Helper()
	dir, port, agents := t.TempDir(), freePort(t), freePort(t)
	cert, key := certificate(t, dir)
	return ukai(t, dir, fmt.Sprintf(`
		hostname = "hub.example"
		[dns]
		servers = [%q]
		allow_loopback = true
		[http]
		listen = ""
		[steer]
		relay = "127.0.0.1:%d"
		agents = "127.0.0.1:%d"
		[[listener]]
		name = "in"
		address = "127.0.0.1:%d"
		tls = "starttls"
		cert = %q
		key = %q
		auth = "required"
		[[egress]]
		name = "own"
		source = [%q]
		port = %d
		[[egress]]
		name = "clean"
		source = [%q]
		port = %d
		[[pool]]
		name = "all"
		egresses = ["clean"]
	`, w.DNS(), port, agents, port, cert, key, serverIP, w.Port(), detourIP, w.Port()), port)
}

// startBox starts a machine and joins it to the hub by the command that the hub prints.
func startBox(t *testing.T, w *peersim.World, hub *process, name, address string, flags ...string) *webBox {
	t.Helper()
	b := &webBox{mta: startMTA(t, "postfix"), hub: hub, world: w, name: name}
	const plugins = "/usr/lib/x86_64-linux-gnu/sasl2"
	if out, err := exec.Command("cp", "-a", plugins, filepath.Join(b.root, filepath.Dir(plugins))).CombinedOutput(); err != nil {
		t.Fatalf("%v %s: apt-get install libsasl2-modules", err, out)
	}
	b.bring()
	b.add("/etc/postfix/main.cf", "smtp_bind_address = "+address+"\n")
	b.add("/etc/postfix/master.cf", "tlsmgr unix - - n 1000? 1 tlsmgr\n")
	var added struct{ Command string }
	out := hub.ask(append([]string{"servers", "add", name, "--json"}, flags...)...)
	if err := json.Unmarshal([]byte(out), &added); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := append(strings.Fields(added.Command)[1:], "--root", b.root, "--mode", "steer", "--watch", "0s", "--lang", "en")
	if out, err := exec.Command(ukaiBin, args...).CombinedOutput(); err != nil {
		t.Fatalf("ukai %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", b.port), "220")
	b.readAbroad()
	b.startAgent()
	return b
}

// add puts lines behind a file of the server.
func (b *webBox) add(path, lines string) {
	b.t.Helper()
	real := filepath.Join(b.root, path)
	text, err := os.ReadFile(real)
	if err == nil {
		err = os.WriteFile(real, append(text, lines...), 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// readAbroad has the agent read the log with public addresses in it: what is delivered on loopback is nobody's business for it.
func (b *webBox) readAbroad() {
	b.t.Helper()
	abroad := filepath.Join(filepath.Dir(b.root), "abroad.log")
	tellAbroad(b.t, b.log, abroad)
	file := filepath.Join(b.root, "var/lib/ukai/agent", b.name+".json")
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	log := filepath.Join(b.root, "var/log/mail.log")
	if !strings.Contains(string(text), log) {
		b.t.Fatalf("the log %s was not registered: %s", log, text)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), log, abroad)), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *webBox) startAgent() {
	b.t.Helper()
	out, err := os.Create(filepath.Join(filepath.Dir(b.root), "agent.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer out.Close()
	b.agent = exec.Command(ukaiBin, "agent", "--root", b.root)
	b.agent.Stdout, b.agent.Stderr = out, out
	if err := b.agent.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = b.agent.Process.Signal(syscall.SIGTERM)
		if err := b.agent.Wait(); err != nil {
			b.t.Errorf("agent of %s: %v", b.name, err)
		}
		if b.t.Failed() {
			b.t.Logf("agent of %s:\n%s", b.name, tail(out.Name()))
		}
	})
}

// routes are the domains that take the detour, by the server's file.
func (b *webBox) routes() string {
	b.t.Helper()
	names, err := filepath.Glob(filepath.Join(b.root, "etc/postfix/ukai*"))
	if err != nil {
		b.t.Fatal(err)
	}
	var domains []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			b.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], "ukai") && !strings.HasPrefix(f[0], "#") {
				domains = append(domains, f[0])
			}
		}
	}
	return strings.Join(domains, " ")
}

// sends hands messages to the server and returns how they arrived: by which address, and how often one was refused before.
func (b *webBox) sends(rcpt string, count int, prefix string) (ways string, refused int) {
	b.t.Helper()
	sent := b.submit([]string{domainOf(rcpt)}, count, prefix).Accepted
	arriveOnce(b.t, b.world, sent, 30*time.Second)
	seen := make(map[string]bool)
	for _, s := range sent {
		r, _ := b.world.Record(s.ID, s.Rcpt)
		seen[r.Source.String()] = true
		refused += r.Refused
	}
	var all []string
	for ip := range seen {
		all = append(all, ip)
	}
	return strings.Join(all, " "), refused
}

// listed is what "ukai servers" tells of a server.
type listedServer struct {
	Name    string
	MTA     string
	Mode    string
	Contact time.Time
	Drift   struct {
		At    time.Time
		Files []string
	}
	Shut []string
}

func listServers(t *testing.T, hub *process) map[string]listedServer {
	t.Helper()
	var list []listedServer
	if err := json.Unmarshal([]byte(hub.ask("servers", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]listedServer)
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}

func TestServersOfOneHubWarnEachOtherAndEachHasItsOwnKey(t *testing.T) {
	w := steeringWorld(t)
	hub := startHub(t, w)
	web1 := startBox(t, w, hub, "web1", serverIP.String(), "--egress", "own")
	web2 := startBox(t, w, hub, "web2", serverIP.String(), "--egress", "own")
	web3 := startBox(t, w, hub, "web3", "127.0.0.30")
	boxes := []*webBox{web1, web2, web3}
	until(t, 20*time.Second, "all three have joined and told of drift", func() bool {
		all, n := listServers(t, hub), 0
		for _, s := range all {
			if s.MTA == "postfix" && s.Mode == "steer" && !s.Contact.IsZero() && !s.Drift.At.IsZero() && len(s.Drift.Files) == 0 {
				n++
			}
		}
		return n == 3
	})
	for _, b := range boxes { // the hub learns what each writes to
		if ways, refused := b.sends("@gmail.com", 1, "before-"+b.name); refused > 0 || ways == detourIP.String() {
			t.Errorf("%s before: by %s, %d refused", b.name, ways, refused)
		}
	}

	refuseServer(t, w)
	reloads := strings.Count(web2.lines(), "reload -- version")
	ways, refused := web1.sends("@gmail.com", 6, "refused")
	if ways != detourIP.String() || refused == 0 {
		t.Errorf("web1: by %s, %d refused", ways, refused)
	}
	until(t, 15*time.Second, "web2 is warned", func() bool {
		return strings.Contains(web2.routes(), "gmail.com") && strings.Count(web2.lines(), "reload -- version") > reloads
	})
	if ways, refused := web2.sends("@gmail.com", 4, "warned"); ways != detourIP.String() || refused > 0 {
		t.Errorf("web2, which web1 has warned: by %s, %d refused", ways, refused)
	}
	if ways, refused := web2.sends("@p0d0.example", 2, "elsewhere"); ways != serverIP.String() || refused > 0 {
		t.Errorf("web2 to others: by %s, %d refused", ways, refused)
	}
	if ways, refused := web3.sends("@gmail.com", 2, "own"); ways != "127.0.0.30" || refused > 0 || web3.routes() != "" {
		t.Errorf("web3, which has another address: by %s, %d refused, routes %q", ways, refused, web3.routes())
	}
	all := listServers(t, hub)
	if fmt.Sprint(all["web1"].Shut, all["web2"].Shut, all["web3"].Shut) != "[google] [google] []" {
		t.Errorf("%+v", all)
	}

	hub.ask("servers", "remove", "web1")
	until(t, 15*time.Second, "web1, which was taken out, has its former routes", func() bool { return web1.routes() == "" })
	if ways, _ := web1.sends("@p1d0.example", 2, "out"); ways != serverIP.String() {
		t.Errorf("web1 after it was taken out: by %s", ways)
	}
	web1.submit([]string{"gmail.com"}, 1, "locked-out") // refused by Google, and by the hub for its password
	until(t, 20*time.Second, "mail of web1 that nobody takes waits", func() bool { return strings.Contains(web1.lines(), "status=deferred") })
	if ways, refused := web2.sends("@gmail.com", 2, "still"); ways != detourIP.String() || refused > 0 {
		t.Errorf("web2 after web1 was taken out: by %s, %d refused", ways, refused)
	}
	if log := web1.lines(); strings.Contains(log, "status=bounced") {
		t.Errorf("web1 has bounced mail:\n%s", log)
	}
}
