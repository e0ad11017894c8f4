package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ukai/internal/peersim"
)

// process is a running ukai.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string
	data string
}

// ukai starts `ukai serve` with a configuration and waits until its SMTP port answers.
func ukai(t *testing.T, dir, config string, port int) *process {
	t.Helper()
	p := &process{t: t, data: filepath.Join(dir, "data")}
	conf := write(t, dir, "ukai.toml", config)
	p.start(conf, filepath.Join(dir, "ukai.log"))
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("ukai log:\n%s", tail(p.log))
		}
	})
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", port), "220")
	return p
}

func (p *process) start(conf, log string) {
	p.t.Helper()
	p.log = log
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(ukaiBin, "serve", "--config", conf, "--data", p.data)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends ukai as systemd would; a test that killed it before is fine.
func (p *process) stop() {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		if err := p.cmd.Wait(); err != nil && !p.t.Failed() {
			p.t.Errorf("ukai ended with %v\n%s", err, tail(p.log))
		}
	}
	p.cmd = nil
}

// kill ends ukai with SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // it says: killed
	p.cmd = nil
}

// ask runs a ukai command on the process's data directory and returns what it prints.
func (p *process) ask(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(ukaiBin, append(args, "--data", p.data)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("ukai %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// waitFor waits until a server answers at addr with a line that begins with want.
func waitFor(t *testing.T, addr, want string) {
	t.Helper()
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			last = err
			continue
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(c).ReadString('\n')
		fmt.Fprint(c, "QUIT\r\n")
		c.Close()
		if strings.HasPrefix(line, want) {
			return
		}
		last = fmt.Errorf("it said %q, %w", line, err)
	}
	t.Fatalf("nothing answers at %s: %v", addr, last)
}

// until waits for a condition; what it waits for is named in the failure.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, limit)
}

// freePort returns a TCP port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := peersim.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
