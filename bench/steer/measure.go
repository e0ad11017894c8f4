package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// round is one way to ask.
type round struct {
	conns, deep int // connections, questions under way on each
	seconds     float64
	cold        bool // every domain is a new one
}

// result is what came of it.
type result struct {
	rate, perCPU  float64 // answers per second, and per second of the server's processor time
	p50, p99, top time.Duration
	own           time.Duration // what the server says that 99 of 100 answers took, rounded up to a power of two; 0: it does not
	resident      string
}

func (r result) String() string {
	return fmt.Sprintf("%7.0f/s, %7.0f per second of processor time, p50 %v, p99 %v (%v within the server), longest %v, %s", r.rate, r.perCPU,
		r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond), r.own, r.top.Round(time.Microsecond), r.resident)
}

func measure(kind string, domains int, r round) (result, error) {
	cmd, address, err := child(kind, domains, r.cold)
	if err != nil {
		return result{}, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	busy := processor(cmd.Process.Pid)
	began := time.Now()
	var all sync.WaitGroup
	var mu sync.Mutex // guards took and failed
	var took []time.Duration
	var failed error
	for i := range r.conns {
		all.Go(func() {
			mine, err := r.ask(address, uint64(i), domains, began.Add(time.Duration(r.seconds*float64(time.Second))))
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	if failed != nil {
		return result{}, failed
	}
	passed, busy := time.Since(began), processor(cmd.Process.Pid)-busy
	memory, own := resident(cmd.Process.Pid), time.Duration(0)
	if kind == "steer" {
		own = cmd.own()
	}
	slices.Sort(took)
	n := float64(len(took) * r.deep)
	return result{
		rate: n / passed.Seconds(), perCPU: n / busy.Seconds(), resident: memory, own: own,
		p50: took[len(took)/2], p99: took[len(took)*99/100], top: took[len(took)-1],
	}, nil
}

var coldest atomic.Int64

// ask asks over one connection until a time, and returns how long each batch took.
func (r *round) ask(address string, salt uint64, domains int, until time.Time) ([]time.Duration, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(until.Add(30 * time.Second))
	rng, in := rand.New(rand.NewPCG(1, salt)), bufio.NewReaderSize(c, 64<<10)
	var took []time.Duration
	var say []byte
	for {
		say = say[:0]
		for range r.deep {
			name := domain(rng.IntN(domains))
			if r.cold {
				name = "c" + strconv.FormatInt(coldest.Add(1), 10) + ".example"
			}
			q := "web1 user@" + name
			say = append(strconv.AppendInt(say, int64(len(q)), 10), ':')
			say = append(append(say, q...), ',')
		}
		began := time.Now()
		if began.After(until) {
			return took, nil
		}
		if _, err := c.Write(say); err != nil {
			return nil, err
		}
		for range r.deep {
			if err := skip(in); err != nil {
				return nil, err
			}
		}
		took = append(took, time.Since(began))
	}
}

// skip reads one netstring.
func skip(in *bufio.Reader) error {
	head, err := in.ReadSlice(':')
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(head[:len(head)-1]))
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, in, int64(n)+1)
	return err
}

// processor returns the processor time of a process (proc(5), /proc/PID/stat: utime and stime in hundredths of a second).
func processor(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident returns the resident memory of a process.
func resident(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return fmt.Sprintf("%d MB", kb>>10)
		}
	}
	return ""
}
