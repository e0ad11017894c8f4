package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// measure runs one load through one peer and returns what was seen.
func (b *bench) measure(peer string, c load) (row, error) {
	dir, err := os.MkdirTemp("", "ukai-bench-")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return row{}, err
	}
	s, err := startSink(dir)
	if err != nil {
		return row{}, err
	}
	defer s.stop()
	port := s.port
	var p *proc
	if peer != "direct" {
		if b.backlog > 0 && peer == "ukai" {
			if err := fill(filepath.Join(dir, "data"), b.backlog); err != nil {
				return row{}, err
			}
		}
		if p, err = startPeer(peer, dir, s.port, b.binary); err != nil {
			return row{}, err
		}
		defer p.stop()
		port = p.port
		if err := send(port, load{sessions: 20, n: 200, length: 1000}); err != nil { // warm: processes started, connections tried
			return row{}, err
		}
		if n := s.wait(200); n < 200 {
			return row{}, fmt.Errorf("warm-up: %d of 200 arrived", n)
		}
	}
	base := s.count()
	cpu0 := p.cpu()
	start := time.Now()
	if err := send(port, c); err != nil {
		return row{}, err
	}
	accepted := time.Since(start)
	arrived := s.wait(base+c.n) - base
	took := time.Since(start)
	return row{
		Peer: peer, Case: c.name, Messages: c.n, Arrived: arrived, PerSec: float64(arrived) / took.Seconds(),
		Accept: float64(c.n) / accepted.Seconds(), CPU: (p.cpu() - cpu0) * 1000 / float64(max(arrived, 1)), RSS: p.rss(), Start: p.started(),
	}, nil
}

func send(port int, c load) error {
	args := []string{"-N", "-s", strconv.Itoa(c.sessions), "-m", strconv.Itoa(c.n), "-l", strconv.Itoa(c.length),
		"-M", "client.example", "-f", "bench@source.example", "-t", "rcpt@dest.example"}
	if c.keep {
		args = append(args, "-d")
	}
	out, err := exec.Command("smtp-source", append(args, fmt.Sprintf("127.0.0.1:%d", port))...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("smtp-source: %w: %s", err, out)
	}
	return nil
}

// sink is a running smtp-sink that counts.
type sink struct {
	cmd  *exec.Cmd
	file string
	port int
}

func startSink(dir string) (*sink, error) {
	s := &sink{file: filepath.Join(dir, "sink.count"), port: freePort()}
	out, err := os.Create(s.file)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.Command("smtp-sink", "-c", "-u", "nobody", "-m", "4000", fmt.Sprintf("127.0.0.1:%d", s.port), "4000")
	s.cmd.Stdout = out
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("smtp-sink (Debian package postfix): %w", err)
	}
	return s, await(s.port)
}

var counter = regexp.MustCompile(`mesg=(\d+)`)

func (s *sink) count() int {
	b, err := os.ReadFile(s.file)
	if err != nil {
		return 0
	}
	all := counter.FindAllSubmatch(b[max(0, len(b)-300):], -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(all[len(all)-1][1])) // digits by the expression
	return n
}

// wait returns when want messages have arrived, or nothing has for 30 seconds.
func (s *sink) wait(want int) int {
	last, moved := -1, time.Now()
	for {
		n := s.count()
		if n >= want {
			return n
		}
		if n != last {
			last, moved = n, time.Now()
		}
		if time.Since(moved) > 30*time.Second {
			return n
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *sink) stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func await(port int) error {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 3)
		n, _ := c.Read(b)
		fmt.Fprint(c, "QUIT\r\n")
		c.Close()
		if string(b[:n]) == "220" {
			return nil
		}
	}
	return fmt.Errorf("nothing answers at %s", addr)
}
