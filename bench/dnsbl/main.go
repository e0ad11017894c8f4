// Command dnsbl measures how fast "ukai listed" asks: every address of a /17 on 15 lists that a local rbldnsd serves, against
// what dnsperf reaches with the same questions to the same server; the two take turns. A third run puts a lossy way in between
// that drops a tenth of the datagrams. Every answer is compared with what was put into the lists.
//
//	go run ./bench/dnsbl [-bits 17] [-lists 15] [-runs 3] [-drop 10]
//
// Read the ratio and the number of wrong answers, not the rates: they are those of one machine.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	b := bench{}
	flag.IntVar(&b.bits, "bits", 17, "length of the range")
	flag.IntVar(&b.lists, "lists", 15, "number of lists")
	flag.StringVar(&b.ukai, "ukai", "", "the program to measure; empty: the one of this tree")
	runs := flag.Int("runs", 3, "runs of each")
	drop := flag.Int("drop", 10, "percent of the datagrams that are dropped in the last run; 0: no such run")
	flag.Parse()
	if err := b.run(*runs, *drop); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type bench struct {
	bits, lists int
	dir, ukai   string
}

// listed tells whether the n-th address is on the i-th list: a few per cent, differently on each.
func listed(i, n int) bool { return (n*2654435761+i*40503)>>7%29 == 0 }

func (b *bench) run(runs, drop int) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "ukai-bench-dnsbl-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // rbldnsd reads it as another user
		return err
	}
	if b.ukai == "" {
		b.ukai = filepath.Join(b.dir, "ukai")
		if out, err := exec.Command("go", "build", "-o", b.ukai, "./cmd/ukai").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w: %s", err, out)
		}
	}
	port, stop, err := b.server()
	if err != nil {
		return err
	}
	defer stop()
	for i := range runs {
		perf, err := b.dnsperf(port)
		if err != nil {
			return err
		}
		own, err := b.measure(port)
		if err != nil {
			return err
		}
		fmt.Printf("run %d: dnsperf %.0f/s, ukai %.0f/s (%.0f%%), %d MB, %d wrong of %d\n", i+1, perf, own.rate, 100*own.rate/perf, own.megabytes, own.wrong, own.checked)
	}
	if drop == 0 {
		return nil
	}
	way, err := newLossy(port, drop)
	if err != nil {
		return err
	}
	defer way.close()
	own, err := b.measure(way.port)
	if err != nil {
		return err
	}
	fmt.Printf("with %d%% of the datagrams dropped: %.0f/s, %d wrong of %d, %d without a reply\n", drop, own.rate, own.wrong, own.checked, own.silent)
	return nil
}

// addresses calls do for each address of the range with its number.
func (b *bench) addresses(do func(n int, ip netip.Addr)) {
	p := netip.PrefixFrom(netip.MustParseAddr("10.20.0.0"), b.bits).Masked()
	n := 0
	for ip := p.Addr(); p.Contains(ip); ip = ip.Next() {
		do(n, ip)
		n++
	}
}

// server writes the zones and starts rbldnsd.
func (b *bench) server() (port int, stop func(), err error) {
	port, err = freePort()
	if err != nil {
		return 0, nil, err
	}
	args := []string{"-n", "-q", "-b", fmt.Sprintf("127.0.0.1/%d", port), "-w", b.dir}
	var catalogue, queries strings.Builder
	for i := range b.lists {
		var zone strings.Builder
		zone.WriteString("$SOA 60 ns.example. host.example. 1 60 60 60 60\n$NS 60 ns.example.\n127.0.0.2\n")
		b.addresses(func(n int, ip netip.Addr) {
			if listed(i, n) {
				fmt.Fprintln(&zone, ip)
			}
			a := ip.As4()
			fmt.Fprintf(&queries, "%d.%d.%d.%d.l%d.example A\n", a[3], a[2], a[1], a[0], i)
		})
		name := fmt.Sprintf("l%d", i)
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(zone.String()), 0o644); err != nil { //nolint:gosec // see above
			return 0, nil, err
		}
		args = append(args, fmt.Sprintf("%s.example:ip4set:%s", name, name))
		fmt.Fprintf(&catalogue, "[[list]]\nid = %q\nzone = \"%s.example\"\nown = true\n[list.entries]\nlists = [\"ip4\"]\n", name, name)
	}
	err = errors.Join(os.WriteFile(filepath.Join(b.dir, "catalogue.toml"), []byte(catalogue.String()), 0o600),
		os.WriteFile(filepath.Join(b.dir, "queries"), []byte(queries.String()), 0o600))
	if err != nil {
		return 0, nil, err
	}
	cmd := exec.Command("/usr/sbin/rbldnsd", args...)
	if err := cmd.Start(); err != nil {
		return 0, nil, fmt.Errorf("rbldnsd (see scripts/install-peers): %w", err)
	}
	time.Sleep(2 * time.Second) // it loads its zones
	return port, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

// dnsperf asks the same questions once and returns its rate.
func (b *bench) dnsperf(port int) (float64, error) {
	out, err := exec.Command("dnsperf", "-s", "127.0.0.1", "-p", strconv.Itoa(port), "-d", filepath.Join(b.dir, "queries"), "-n", "1", "-c", "4", "-q", "100").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("dnsperf: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Queries per second:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	return 0, fmt.Errorf("dnsperf said no rate: %s", out)
}

type result struct {
	rate                   float64
	megabytes              int64
	wrong, checked, silent int
}

// measure runs "ukai listed" over the range and checks what it says of every address.
func (b *bench) measure(port int) (result, error) {
	cmd := exec.Command(b.ukai, "listed", "--json", "--resolver", fmt.Sprintf("127.0.0.1:%d", port), "--catalogue", filepath.Join(b.dir, "catalogue.toml"), fmt.Sprintf("10.20.0.0/%d", b.bits))
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	from := time.Now()
	err := cmd.Run()
	took := time.Since(from)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 2) {
		return result{}, fmt.Errorf("ukai listed: %w: %s", err, trouble.String())
	}
	r := result{}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.megabytes = usage.Maxrss >> 10
	}
	said := make(map[string]bool)
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var l struct{ Target, List, State string }
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return r, err
		}
		switch {
		case strings.Contains(l.Target, "/") || l.Target == "":
		case l.State == "listed":
			said[l.Target+" "+l.List] = true
		default:
			r.silent++
		}
	}
	b.addresses(func(n int, ip netip.Addr) {
		for i := range b.lists {
			r.checked++
			if said[fmt.Sprintf("%s l%d", ip, i)] != listed(i, n) {
				r.wrong++
			}
		}
	})
	r.wrong = max(0, r.wrong-r.silent) // what got no reply is said not to have got one
	r.rate = float64(r.checked) / took.Seconds()
	return r, nil
}
