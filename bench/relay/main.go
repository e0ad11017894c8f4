// Command relay measures ukai end to end beside Postfix and beside no relay at all: smtp-source -> X -> smtp-sink.
//
//	go run ./bench/relay [-n 20000] [-runs 3] [-case 4k,4k-keep,64k,64k-keep] [-peer direct,postfix,ukai]
//
// It needs Debian's postfix package (for smtp-source, smtp-sink and Postfix itself) and root (Postfix's own users). Every
// peer is a private instance on loopback. Figures depend on the machine and on who else uses it: read the ratios, which
// come from runs that took turns.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is what is sent: sessions at once, messages, octets of body, many messages per connection or one.
type load struct {
	name                string
	sessions, n, length int
	keep                bool
}

// row is one measured run.
type row struct {
	Peer     string  `json:"peer"`
	Case     string  `json:"case"`
	Messages int     `json:"messages"`
	Arrived  int     `json:"arrived"`
	PerSec   float64 `json:"per_second"`
	CPU      float64 `json:"cpu_ms_per_message"` // of the relay
	RSS      float64 `json:"rss_mb"`
	Accept   float64 `json:"accepted_per_second"`
	Start    float64 `json:"start_seconds"` // from exec to the first greeting
}

func main() {
	n := flag.Int("n", 20000, "messages of 4 KB per run; a quarter of it with 64 KB")
	runs := flag.Int("runs", 3, "runs of each peer and case, in turn")
	cases := flag.String("case", "4k,4k-keep,64k", "4k, 4k-keep, 64k, 64k-keep")
	names := flag.String("peer", "direct,postfix,ukai", "direct, postfix, ukai")
	jsonOut := flag.Bool("json", false, "print one JSON object per run")
	backlog := flag.Int("backlog", 0, "messages that wait in ukai's queue already, put there by a process that was killed")
	binary := flag.String("ukai", "", "ukai binary; built from this tree when empty")
	flag.Parse()
	if n, dir, ok := strings.Cut(os.Getenv(fillEnv), ":"); ok {
		count, err := strconv.Atoi(n)
		if err == nil {
			err = fillChild(count, dir)
		}
		fmt.Fprintln(os.Stderr, "bench/relay:", err)
		os.Exit(1)
	}
	b := &bench{n: *n, runs: *runs, peers: strings.Split(*names, ","), json: *jsonOut, binary: *binary, backlog: *backlog}
	if err := b.run(strings.Split(*cases, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench/relay:", err)
		os.Exit(1)
	}
}

func loads(n int, names []string) ([]load, error) {
	all := []load{
		{"4k", 50, n, 4096, false}, {"4k-keep", 50, n, 4096, true},
		{"64k", 50, n / 4, 65536, false}, {"64k-keep", 50, n / 4, 65536, true},
	}
	var out []load
	for _, name := range names {
		i := slices.IndexFunc(all, func(l load) bool { return l.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no case %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// bench is what was asked for.
type bench struct {
	n, runs int
	peers   []string
	json    bool
	binary  string
	backlog int
}

func (b *bench) run(caseNames []string) error {
	cases, err := loads(b.n, caseNames)
	if err != nil {
		return err
	}
	if b.binary == "" && slices.Contains(b.peers, "ukai") {
		b.binary = os.TempDir() + "/ukai-bench"
		if out, err := exec.Command("go", "build", "-o", b.binary, "ukai/cmd/ukai").CombinedOutput(); err != nil {
			return fmt.Errorf("build ukai: %w\n%s", err, out)
		}
	}
	var rows []row
	for _, c := range cases {
		for i := range b.runs {
			for _, p := range b.peers {
				fmt.Fprintf(os.Stderr, "%s %s %s run %d/%d\n", time.Now().Format("15:04:05"), c.name, p, i+1, b.runs)
				r, err := b.measure(p, c)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", p, c.name, err)
				}
				rows = append(rows, r)
				if b.json {
					if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
						return err
					}
				}
			}
		}
	}
	if !b.json {
		report(cases, b.peers, rows)
	}
	return nil
}

// report prints medians and the ratios that matter.
func report(cases []load, peers []string, rows []row) {
	fmt.Printf("%-10s %-8s %10s %12s %14s %8s %8s %16s %14s\n", "case", "peer", "msg/s", "accepted/s", "CPU ms/msg", "RSS MB", "start s", "rate vs postfix", "CPU vs postfix")
	for _, c := range cases {
		base := median(rows, "postfix", c.name)
		direct := median(rows, "direct", c.name)
		for _, p := range peers {
			m := median(rows, p, c.name)
			fmt.Printf("%-10s %-8s %10.0f %12.0f %14.3f %8.0f %8.2f %16s %14s", c.name, p, m.PerSec, m.Accept, m.CPU, m.RSS, m.Start, ratio(m.PerSec, base.PerSec), ratio(m.CPU, base.CPU))
			if p != "direct" && direct.PerSec > 0 {
				fmt.Printf("   %.0f%% of direct", 100*m.PerSec/direct.PerSec)
			}
			fmt.Println()
		}
	}
}

func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func median(rows []row, peer, name string) row {
	var some []row
	for _, r := range rows {
		if r.Peer == peer && r.Case == name {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return row{}
	}
	mid := func(f func(row) float64) float64 {
		v := make([]float64, len(some))
		for i, r := range some {
			v[i] = f(r)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return row{Peer: peer, Case: name, PerSec: mid(func(r row) float64 { return r.PerSec }), CPU: mid(func(r row) float64 { return r.CPU }),
		RSS: mid(func(r row) float64 { return r.RSS }), Accept: mid(func(r row) float64 { return r.Accept }), Start: mid(func(r row) float64 { return r.Start })}
}
