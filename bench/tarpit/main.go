// Command tarpit measures what one destination that answers slowly costs the others: 100 healthy receivers get mail through
// ukai, alone and beside a tarpit that gets as much mail as each of them and takes a minute for every answer.
//
//	go run ./bench/tarpit [-n 20000] [-runs 3]
//
// The two kinds of run take turns; read the ratio of their rates.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ukai/internal/peersim"
)

const healthy = 100

func main() {
	n := flag.Int("n", 20000, "messages to the healthy receivers per run")
	runs := flag.Int("runs", 3, "runs of each kind")
	flag.Parse()
	if err := run(*n, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench/tarpit:", err)
		os.Exit(1)
	}
}

func run(n, runs int) error {
	dir, err := os.MkdirTemp("", "ukai-tarpit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "ukai")
	if out, err := exec.Command("go", "build", "-o", binary, "ukai/cmd/ukai").CombinedOutput(); err != nil {
		return fmt.Errorf("build ukai: %w\n%s", err, out)
	}
	var alone, beside []float64
	for i := range runs {
		for _, tar := range []bool{false, true} {
			rate, err := measure(filepath.Join(dir, fmt.Sprintf("%d-%v", i, tar)), binary, n, tar)
			if err != nil {
				return err
			}
			fmt.Printf("run %d, tarpit %-5v  %8.0f healthy messages/s\n", i+1, tar, rate)
			if tar {
				beside = append(beside, rate)
			} else {
				alone = append(alone, rate)
			}
		}
	}
	slices.Sort(alone)
	slices.Sort(beside)
	fmt.Printf("median alone %.0f/s, beside a tarpit %.0f/s: %.1f %%\n", alone[runs/2], beside[runs/2], 100*beside[runs/2]/alone[runs/2])
	return nil
}

// measure returns how many messages per second the healthy receivers got.
func measure(dir, binary string, n int, tar bool) (float64, error) {
	w, err := world()
	if err != nil {
		return 0, err
	}
	defer w.Close()
	stop, port, err := serve(dir, binary, w)
	if err != nil {
		return 0, err
	}
	defer stop()
	rcpts := make([]string, healthy, healthy+1)
	for i := range rcpts {
		rcpts[i] = domain(i)
	}
	total := n
	if tar {
		rcpts = append(rcpts, "tarpit.example")
		total += n / healthy
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	res, err := peersim.Generate(ctx, peersim.Traffic{To: fmt.Sprintf("127.0.0.1:%d", port), Senders: []string{"sender.example"}, Rcpts: rcpts,
		Count: total, Concurrency: 20, Size: 4096})
	if err != nil {
		return 0, err
	}
	if len(res.Accepted) != total {
		return 0, fmt.Errorf("%d of %d accepted: %s", len(res.Accepted), total, res.Last)
	}
	if err := w.Wait(ctx, n); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

func domain(i int) string { return fmt.Sprintf("healthy%03d.example", i) }

func world() (*peersim.World, error) {
	var all []peersim.Provider
	for i := range healthy {
		all = append(all, peersim.Provider{Name: domain(i), Groups: []peersim.Group{{Domains: []string{domain(i)}}}})
	}
	return peersim.Start(peersim.Options{Providers: append(all, peersim.Provider{
		Name: "tarpit", Groups: []peersim.Group{{Domains: []string{"tarpit.example"}}},
		Rules: []peersim.Rule{{Name: "slow", Action: peersim.Tarpit, Delay: time.Minute}},
	})})
}

func serve(dir, binary string, w *peersim.World) (stop func(), port int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(dir, "ukai.toml")
	text := fmt.Sprintf("[dns]\nservers = [%q]\nallow_loopback = true\n[http]\nlisten = \"\"\n[[listener]]\naddress = \"127.0.0.1:%d\"\nrelay = [\"127.0.0.0/8\"]\n"+
		"[[egress]]\nname = \"direct\"\nport = %d\n", w.DNS(), port, w.Port())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, 0, err
	}
	cmd := exec.Command(binary, "serve", "--config", conf, "--data", filepath.Join(dir, "data"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // the tarpit would hold up a clean end; it may have ended
		_ = cmd.Wait()
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return stop, port, nil
		}
	}
	stop()
	return nil, 0, fmt.Errorf("ukai does not answer")
}
