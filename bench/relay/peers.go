package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proc is a running relay; a nil proc is no relay.
type proc struct {
	port int
	pid  int // root of its process tree
	stop func()
	took time.Duration // from exec to the first greeting
}

func (p *proc) started() float64 {
	if p == nil {
		return 0
	}
	return p.took.Seconds()
}

func startPeer(name, dir string, sinkPort int, binary string) (*proc, error) {
	switch name {
	case "ukai":
		return startUkai(dir, sinkPort, binary)
	case "postfix":
		return startPostfix(dir, sinkPort)
	}
	return nil, fmt.Errorf("no peer %q", name)
}

func startUkai(dir string, sinkPort int, binary string) (*proc, error) {
	p := &proc{port: freePort()}
	conf := filepath.Join(dir, "ukai.toml")
	text := fmt.Sprintf(`
hostname = "bench.example"
[http]
listen = ""
[limits]
connections_per_client = 5000
connections_per_minute = 1000000
[[listener]]
name = "in"
address = "127.0.0.1:%d"
relay = ["127.0.0.0/8"]
[[egress]]
name = "sink"
kind = "smarthost"
host = "127.0.0.1"
port = %d
tls = "none"
max_connections = 40
[[pool]]
name = "default"
egresses = ["sink"]
`, p.port, sinkPort)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "ukai.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, "serve", "--config", conf, "--data", filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr = log, log
	from := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	p.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
	}
	if err := await(p.port); err != nil {
		p.stop()
		b, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, b)
	}
	p.took = time.Since(from)
	return p, nil
}

// startPostfix starts Postfix with what makes it faster here: no pacing, no rewriting, a large window, long queue IDs.
func startPostfix(dir string, sinkPort int) (*proc, error) {
	p := &proc{port: freePort()}
	conf, data := filepath.Join(dir, "conf"), filepath.Join(dir, "pfdata")
	for _, d := range []string{conf, data, filepath.Join(dir, "spool")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("chown", "postfix", data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chown: %w: %s", err, out)
	}
	main := strings.NewReplacer("DIR", dir, "SINK", strconv.Itoa(sinkPort)).Replace(postfixMain)
	if err := os.WriteFile(filepath.Join(conf, "main.cf"), []byte(main), 0o644); err != nil {
		return nil, err
	}
	master := strings.ReplaceAll(postfixMaster, "PORT", strconv.Itoa(p.port))
	if err := os.WriteFile(filepath.Join(conf, "master.cf"), []byte(master), 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command("postfix", "-c", conf, "start").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix start (Debian package postfix, as root): %w: %s", err, out)
	}
	p.stop = func() { _ = exec.Command("postfix", "-c", conf, "stop").Run() } // it may have ended
	if err := await(p.port); err != nil {
		p.stop()
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "spool/pid/master.pid"))
	if err != nil {
		p.stop()
		return nil, err
	}
	p.pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return p, err
}

const postfixMain = `compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/pfdata
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:SINK
alias_maps =
maillog_file = DIR/mail.log
maillog_file_prefixes = DIR
smtpd_tls_security_level = none
smtp_host_lookup = native
in_flow_delay = 0
enable_long_queue_ids = yes
smtpd_peername_lookup = no
local_header_rewrite_clients =
max_use = 10000
receive_override_options = no_address_mappings,no_header_body_checks
smtpd_reject_unlisted_recipient = no
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 40
initial_destination_concurrency = 40
smtp_connection_cache_on_demand = no
`

const postfixMaster = `127.0.0.1:PORT inet n - n - 200 smtpd
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
tlsmgr unix - - n 1000? 1 tlsmgr
`
