package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const ticksPerSecond = 100 // of /proc/PID/stat on Linux: USER_HZ

// cpu returns the CPU seconds of the process tree: those that live and those that ended and were waited for.
func (p *proc) cpu() float64 {
	if p == nil {
		return 0
	}
	var ticks float64
	for _, pid := range tree(p.pid) {
		f := statFields(pid)
		if len(f) < 15 {
			continue
		}
		for _, v := range f[11:15] { // utime, stime, cutime, cstime, counted from the field behind the command's name
			n, _ := strconv.ParseFloat(v, 64) // the kernel writes digits
			ticks += n
		}
	}
	return ticks / ticksPerSecond
}

// rss returns the resident memory of the process tree in megabytes; shared pages count once per process.
func (p *proc) rss() float64 {
	if p == nil {
		return 0
	}
	var pages float64
	for _, pid := range tree(p.pid) {
		if f := statFields(pid); len(f) > 21 {
			n, _ := strconv.ParseFloat(f[21], 64) // the kernel writes digits
			pages += n
		}
	}
	return pages * float64(os.Getpagesize()) / 1e6
}

// statFields returns /proc/PID/stat from the state on; nil when the process is gone.
func statFields(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	s := string(b)
	return strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
}

// tree returns a process and all that descend from it.
func tree(root int) []int {
	children := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d)) // digits by the pattern
		if f := statFields(pid); len(f) > 1 {
			parent, _ := strconv.Atoi(f[1]) // the kernel writes digits
			children[parent] = append(children[parent], pid)
		}
	}
	out := []int{root}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}
