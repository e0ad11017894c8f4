// Command maillog measures package maillog on logs of a busy Postfix, beside pflogsumm from Debian.
//
//	go run ./bench/maillog                              # 1 and 10 million lines
//	go run ./bench/maillog -lines 1000000,50000000
//	go run ./bench/maillog -install                     # apt-get install pflogsumm first, where it is missing (root does so anyway)
//
// The logs are made up, the same in each run. Each reader is a process of its own on one core; the time is what it used of the
// processor, so that others on the machine do not count, and the memory the most that it had resident. pflogsumm keeps what it
// has read, so it gets the first size only, unless -all is given. Read the ratios; the absolute numbers are the machine's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"ukai/internal/maillog"
)

func main() {
	dir := flag.String("dir", "bench/tmp/maillog", "directory for the logs; they are removed at the end")
	sizes := flag.String("lines", "1000000,10000000", "how many lines, one size after the other")
	install := flag.Bool("install", false, "install pflogsumm where it is missing")
	all := flag.Bool("all", false, "give pflogsumm all sizes")
	keep := flag.Bool("keep", false, "keep the logs")
	read := flag.String("read", "", "only read this log (used by the measurement itself)")
	flag.Parse()
	if *read != "" {
		exit(readLog(*read))
	}
	exit(run(*dir, *sizes, *install, *all, *keep))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "maillog:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// readLog is the measured process.
func readLog(path string) error {
	runtime.GOMAXPROCS(1)
	s, err := maillog.Open([]string{path}, maillog.Options{Now: time.Now(), Location: time.UTC})
	if err != nil {
		return err
	}
	kinds := make(map[maillog.Kind]int)
	st, err := s.Read(context.Background(), func(e *maillog.Event) error {
		kinds[e.Kind]++
		return nil
	})
	fmt.Println(st.Lines, st.Events, st.Unknown, st.Foreign, kinds)
	return err
}

// result is one measurement.
type result struct {
	name  string
	lines int64
	size  int64
	cpu   time.Duration
	rss   int64 // octets
	said  string
}

func (r *result) rate() float64 { return float64(r.lines) / r.cpu.Seconds() }

func run(dir, sizes string, install, all, keep bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	peer, err := pflogsumm(install)
	if err != nil {
		fmt.Println("without pflogsumm:", err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "reader\tlines\tMB\tcpu s\tlines/s\tMB/s\tmax RSS MB\tratio")
	for i, text := range strings.Split(sizes, ",") {
		lines, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, text+".log")
		size, err := generate(path, lines)
		if err != nil {
			return err
		}
		ours, err := measure("ukai", lines, size, self, "-read", path)
		if err != nil {
			return err
		}
		ours.print(w, "")
		if peer != "" && (i == 0 || all) {
			theirs, err := measure("pflogsumm", lines, size, peer, path)
			if err != nil {
				return err
			}
			theirs.print(w, fmt.Sprintf("1/%.1f of the speed, %.1f times the memory", ours.rate()/theirs.rate(), float64(theirs.rss)/float64(ours.rss)))
		}
		w.Flush()
		if !keep {
			os.Remove(path)
		}
	}
	return nil
}

func (r *result) print(w io.Writer, ratio string) {
	fmt.Fprintf(w, "%s\t%d\t%.0f\t%.2f\t%.0f\t%.0f\t%.1f\t%s\n", r.name, r.lines, float64(r.size)/1e6, r.cpu.Seconds(),
		r.rate(), float64(r.size)/1e6/r.cpu.Seconds(), float64(r.rss)/1e6, ratio)
}

// measure runs a reader on one processor and takes what it used.
func measure(name string, lines, size int64, command string, args ...string) (*result, error) {
	if taskset, err := exec.LookPath("taskset"); err == nil {
		args = append([]string{"-c", "0", command}, args...)
		command = taskset
	}
	cmd := exec.Command(command, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, fmt.Errorf("%s: no resource usage", name)
	}
	return &result{
		name: name, lines: lines, size: size, rss: used.Maxrss << 10, said: string(out),
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}, nil
}

// pflogsumm finds the program, and installs it where that is allowed.
func pflogsumm(install bool) (string, error) {
	if path, err := exec.LookPath("pflogsumm"); err == nil {
		return path, nil
	}
	if !install && os.Getuid() != 0 {
		return "", fmt.Errorf("it is not installed; -install would do so")
	}
	cmd := exec.Command("apt-get", "install", "-y", "-qq", "--no-install-recommends", "pflogsumm")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get install pflogsumm: %w\n%s", err, out)
	}
	return exec.LookPath("pflogsumm")
}
