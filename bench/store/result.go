package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// result is what a run found.
type result struct {
	Plan     plan          `json:"plan"`
	Rate     float64       `json:"messages_per_s"`
	CPU      float64       `json:"cpu_us_per_message"` // of this process, with submitters and deliverers
	Group    float64       `json:"messages_per_sync"`
	Syncs    float64       `json:"syncs_per_s"`
	Ack50    time.Duration `json:"ack_p50_ns"`
	Ack99    time.Duration `json:"ack_p99_ns"`
	Resident int64         `json:"rss"`
	Limit    disk          `json:"limit"`

	Fill   float64       `json:"fill_per_s,omitempty"`
	Idle   int64         `json:"rss_of_backlog,omitempty"`
	Search time.Duration `json:"search_ns,omitempty"`
	Start  again         `json:"start,omitzero"`
}

// disk is what appending and syncing alone achieves.
type disk struct {
	Group int     `json:"group_octets"`
	Syncs float64 `json:"syncs_per_s"`
}

func (r *result) acks(all []time.Duration) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	r.Ack50, r.Ack99 = all[len(all)/2], all[len(all)*99/100]
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%-34s %10.0f\n", "messages/s", r.Rate)
	fmt.Fprintf(w, "%-34s %10.1f\n", "CPU per message, µs", r.CPU)
	fmt.Fprintf(w, "%-34s %10.1f\n", "messages per sync", r.Group)
	fmt.Fprintf(w, "%-34s %10.0f\n", "syncs/s", r.Syncs)
	fmt.Fprintf(w, "%-34s %10.0f (in groups of %d KB)\n", "syncs/s of the disk alone", r.Limit.Syncs, r.Limit.Group>>10)
	fmt.Fprintf(w, "%-34s %10.2f\n", "share of the disk's limit", r.Rate/(r.Limit.Syncs*max(r.Group, 1)))
	fmt.Fprintf(w, "%-34s %10.2f\n", "acknowledgement p50, ms", ms(r.Ack50))
	fmt.Fprintf(w, "%-34s %10.2f\n", "acknowledgement p99, ms", ms(r.Ack99))
	fmt.Fprintf(w, "%-34s %10d\n", "resident, MB", r.Resident>>20)
	if r.Plan.Backlog == 0 {
		return
	}
	fmt.Fprintf(w, "%-34s %10d\n", "backlog, messages", r.Plan.Backlog)
	fmt.Fprintf(w, "%-34s %10.0f\n", "filled at messages/s", r.Fill)
	fmt.Fprintf(w, "%-34s %10d\n", "resident after that, MB", r.Idle>>20)
	fmt.Fprintf(w, "%-34s %10.0f\n", "search by sender, ms", ms(r.Search))
	fmt.Fprintf(w, "%-34s %10.0f (%d messages)\n", "start after kill -9, ms", ms(r.Start.Took), r.Start.Messages)
	fmt.Fprintf(w, "%-34s %10.0f\n", "start to the first lease, ms", ms(r.Start.First))
	fmt.Fprintf(w, "%-34s %10d\n", "resident after the start, MB", r.Start.Resident>>20)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory of this process that is not the page cache's.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// limit appends groups to a file and syncs each, as fast as one goroutine can.
func limit(dir string, group int) (disk, error) {
	d := disk{Group: max(group, 4096)}
	name := filepath.Join(dir, "limit")
	f, err := os.Create(name)
	if err != nil {
		return d, err
	}
	defer os.Remove(name)
	defer f.Close()
	buf := make([]byte, d.Group)
	n, size := 0, 0
	began := time.Now()
	for time.Since(began) < 2*time.Second {
		if size > 64<<20 {
			if err := f.Truncate(0); err != nil {
				return d, err
			}
			size = 0
		}
		if _, err := f.WriteAt(buf, int64(size)); err != nil {
			return d, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return d, err
		}
		size += len(buf)
		n++
	}
	d.Syncs = float64(n) / time.Since(began).Seconds()
	return d, nil
}
