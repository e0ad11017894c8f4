// Command steer measures what package steer promises: live lookups answered from memory, a name server that hangs, and files of
// routes for 100,000 domains.
//
//	go run ./bench/steer [-domains 1000000] [-seconds 3]
//
// The server is a process of its own on one processor (GOMAXPROCS=1, bound to one core), as is, in turn, a server that answers
// each netstring with the same one: what of the rate is the price of sockets, and what is the price of an answer. Rates are also
// given per second of the server's own processor time, which other programs on the machine do not change much.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	domains := flag.Int("domains", 1_000_000, "domains that are known")
	seconds := flag.Float64("seconds", 3, "how long each round takes")
	serve := flag.String("serve", "", "for itself: \"steer\" or \"echo\"")
	hang := flag.Bool("hang", false, "for itself: the name server hangs")
	flag.Parse()
	var err error
	if *serve != "" {
		err = server(*serve, *domains, *hang)
	} else {
		err = run(*domains, *seconds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(domains int, seconds float64) error {
	for _, r := range []struct {
		name        string
		conns, deep int
	}{
		{"1 connection, one question at a time", 1, 1},
		{"8 connections, one question at a time", 8, 1},
		{"100 connections, one question at a time", 100, 1},
		{"4 connections, 64 questions at a time", 4, 64},
	} {
		fmt.Println(r.name)
		var rates [2]float64
		for i, kind := range []string{"echo", "steer"} {
			m, err := measure(kind, domains, round{conns: r.conns, deep: r.deep, seconds: seconds})
			if err != nil {
				return err
			}
			rates[i] = m.perCPU
			fmt.Printf("  %-5s  %s\n", kind, m)
		}
		fmt.Printf("  steer / echo, per second of processor time: %.2f\n", rates[1]/rates[0])
	}
	m, err := measure("steer", domains, round{conns: 8, deep: 1, seconds: seconds, cold: true})
	if err != nil {
		return err
	}
	fmt.Printf("8 connections, every domain unknown, and the name server hangs\n  steer  %s\n", m)
	return files()
}

// process is a server. When its input ends, it says how long its answers took.
type process struct {
	*exec.Cmd
	in  io.Closer
	out io.Reader
}

// own returns how long the server says that 99 of 100 answers took, from when the question was read.
func (p *process) own() (took time.Duration) {
	p.in.Close()
	_, _ = fmt.Fscanln(p.out, &took) // a server that does not know it says nothing
	return took
}

// child starts this program as a server and returns its address.
func child(kind string, domains int, hang bool) (p *process, address string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	args := []string{"-c", "0", self, "-serve", kind, fmt.Sprintf("-domains=%d", domains), fmt.Sprintf("-hang=%t", hang)}
	cmd := exec.Command("taskset", args...) // of util-linux
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	if _, err := fmt.Fscanln(out, &address); err != nil {
		_ = cmd.Process.Kill()
		return nil, "", fmt.Errorf("the %s server does not start: %w", kind, err)
	}
	return &process{cmd, in, out}, address, nil
}
