// Command store measures the queue: messages are taken in, synced, leased, read and settled by many at once.
//
//	go run ./bench/store                       # at once: what comes in goes out
//	go run ./bench/store -defer 20             # one in five is deferred three times
//	go run ./bench/store -backlog 1000000      # on top of a backlog, and how long a start takes after a kill
//
// Each run also measures the limit of the disk in the same minute: groups of the same size appended to a file and synced,
// by one goroutine that does nothing else. Read the ratio; the absolute numbers are the machine's.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"time"

	"ukai/internal/queue"
)

// plan is what a run does.
type plan struct {
	Dir        string        `json:"dir"`
	Size       int           `json:"size"`
	Submitters int           `json:"submitters"`
	Deliverers int           `json:"deliverers"`
	Defer      int           `json:"defer_percent"`
	Backlog    int           `json:"backlog"`
	Warm       time.Duration `json:"warm_ns"`
	Time       time.Duration `json:"time_ns"`
	Inside     int           `json:"inside"` // messages that are in the queue at most, besides the backlog
	keep       bool
}

func main() {
	var p plan
	flag.StringVar(&p.Dir, "dir", "bench/tmp/store", "directory for the queue; it is emptied")
	flag.IntVar(&p.Size, "size", 10_000, "octets of a message's content")
	flag.IntVar(&p.Submitters, "submitters", 64, "how many hand messages over at once")
	flag.IntVar(&p.Deliverers, "deliverers", 64, "how many deliver at once")
	flag.IntVar(&p.Defer, "defer", 0, "percent of messages that are deferred three times")
	flag.IntVar(&p.Backlog, "backlog", 0, "messages that wait for another day")
	flag.IntVar(&p.Inside, "inside", 2000, "messages in the queue at most, besides the backlog")
	flag.DurationVar(&p.Warm, "warm", time.Second, "time before measuring")
	flag.DurationVar(&p.Time, "time", 4*time.Second, "time of measuring")
	flag.BoolVar(&p.keep, "keep", false, "keep the directory")
	asJSON := flag.Bool("json", false, "print one object")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the measured time to this file")
	start := flag.String("start", "", "only open the queue in this directory and say how long it takes (used by -backlog)")
	victim := flag.String("victim", "", "load the queue in this directory until killed (used by -backlog)")
	flag.Parse()
	switch {
	case *start != "":
		exit(startOnly(*start))
	case *victim != "":
		exit(p.suffer(*victim))
	}
	r, err := p.measure(*profile)
	if err != nil {
		exit(err)
	}
	if *asJSON {
		exit(json.NewEncoder(os.Stdout).Encode(r))
	}
	r.print(os.Stdout)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (p *plan) measure(profile string) (*result, error) {
	if err := os.RemoveAll(p.Dir); err != nil {
		return nil, err
	}
	if !p.keep {
		defer os.RemoveAll(p.Dir)
	}
	r := &result{Plan: *p}
	dir := filepath.Join(p.Dir, "queue")
	s, err := queue.Open(dir, queue.Options{})
	if err != nil {
		return nil, err
	}
	l := newLoad(p, s)
	if p.Backlog > 0 {
		r.Fill, err = l.fill()
		if err != nil {
			return nil, err
		}
		r.Idle = resident()
	}
	if err := profiled(profile, func() error { return l.run(r) }); err != nil {
		return nil, err
	}
	if p.Backlog > 0 {
		if r.Search, err = l.search(); err != nil {
			return nil, err
		}
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	if p.Backlog > 0 {
		if r.Start, err = p.killAndStart(dir); err != nil {
			return nil, err
		}
	}
	r.Limit, err = limit(p.Dir, int(r.Group+0.5)*(p.Size+700))
	return r, err
}

// startOnly opens a queue and says how long that took and how large the process is then.
func startOnly(dir string) error {
	began := time.Now()
	s, err := queue.Open(dir, queue.Options{})
	if err != nil {
		return err
	}
	took := time.Since(began)
	ds, err := s.Lease(context.Background(), queue.LeaseQuery{Now: time.Now(), Max: 1})
	if err != nil {
		return err
	}
	st := s.Stats()
	return json.NewEncoder(os.Stdout).Encode(again{
		Took: took, First: time.Since(began), Messages: st.Messages, Leased: len(ds), Resident: resident(),
	})
}

// again is what a start of another process found.
type again struct {
	Took     time.Duration `json:"open_ns"`
	First    time.Duration `json:"first_lease_ns"`
	Messages int           `json:"messages"`
	Leased   int           `json:"leased"`
	Resident int64         `json:"rss"`
}

// profiled runs what is measured, with a CPU profile if it is given a file for one.
func profiled(name string, run func() error) error {
	if name == "" {
		return run()
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return run()
}

// suffer puts load on a queue for ever, and says when it does.
func (p *plan) suffer(dir string) error {
	s, err := queue.Open(dir, queue.Options{})
	if err != nil {
		return err
	}
	p.Warm, p.Time = time.Second, time.Hour
	l := newLoad(p, s)
	time.AfterFunc(p.Warm, func() { fmt.Println("loaded") })
	return l.run(&result{})
}

// killAndStart has another process load the queue, kills it, and has a third one open the queue.
func (p *plan) killAndStart(dir string) (again, error) {
	var a again
	self, err := os.Executable()
	if err != nil {
		return a, err
	}
	victim := exec.Command(self, "-victim", dir, "-size", strconv.Itoa(p.Size), "-defer", strconv.Itoa(p.Defer))
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		return a, err
	}
	if err := victim.Start(); err != nil {
		return a, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return a, fmt.Errorf("load before the kill: %w", err)
	}
	if err := victim.Process.Kill(); err != nil {
		return a, err
	}
	_ = victim.Wait() // it was killed
	cmd := exec.Command(self, "-start", dir)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return a, fmt.Errorf("start again: %w", err)
	}
	return a, json.Unmarshal(b, &a)
}
