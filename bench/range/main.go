// Command range measures what a list's data in memory costs and gives: a feed of a million prefixes is read and looked up, and
// a range is swept; a scan over all prefixes is the oracle for a few thousand addresses, and what the ratio is against.
//
//	go run ./bench/range [-prefixes 1000000] [-bits 17]
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"ukai/internal/dnsbl"
)

func main() {
	prefixes := flag.Int("prefixes", 1_000_000, "prefixes in the feed")
	bits := flag.Int("bits", 17, "length of the range that is swept")
	flag.Parse()
	if err := run(*prefixes, *bits); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// cpu returns the processor time of this process: on a machine that is shared it says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func run(prefixes, bits int) error {
	rng := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr {
		return netip.AddrFrom4([4]byte{byte(1 + rng.IntN(222)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
	}
	list := make([]netip.Prefix, prefixes)
	var text strings.Builder
	for i := range list {
		list[i] = netip.PrefixFrom(address(), 20+rng.IntN(13)).Masked()
		fmt.Fprintln(&text, list[i])
	}
	from, used := time.Now(), cpu()
	feed, err := dnsbl.ReadFeed("bench", text.String(), dnsbl.CIDR)
	if err != nil {
		return err
	}
	fmt.Printf("read %d prefixes: %.2f s, %.2f s of processor time\n", prefixes, time.Since(from).Seconds(), (cpu() - used).Seconds())

	const questions, checked = 5_000_000, 500
	ask := make([]netip.Addr, 1<<20)
	for i := range ask {
		ask[i] = address()
	}
	hits := 0
	from, used = time.Now(), cpu()
	for i := range questions {
		if feed.Holds(ask[i&(len(ask)-1)]) {
			hits++
		}
	}
	took, busy := time.Since(from), cpu()-used
	fmt.Printf("looked up: %.1f million/s, %.1f million per second of processor time (%d%% listed)\n", questions/took.Seconds()/1e6, questions/busy.Seconds()/1e6, hits*100/questions)

	wrong := 0
	used = cpu()
	for _, ip := range ask[:checked] {
		found := false
		for _, p := range list {
			if p.Contains(ip) {
				found = true
				break
			}
		}
		if found != feed.Holds(ip) {
			wrong++
		}
	}
	naive := (cpu() - used) / checked
	fmt.Printf("against a scan: %d wrong of %d; a scan takes %.0f times as long\n", wrong, checked, naive.Seconds()/(busy.Seconds()/questions))

	p := netip.PrefixFrom(address(), bits).Masked()
	n, listed := 0, 0
	from, used = time.Now(), cpu()
	for ip := p.Addr(); p.Contains(ip); ip = ip.Next() {
		n++
		if feed.Holds(ip) {
			listed++
		}
	}
	fmt.Printf("swept %s: %d addresses in %.1f ms (%.1f ms of processor time), %d listed; counted as prefixes: %d\n", p, n, time.Since(from).Seconds()*1e3, (cpu()-used).Seconds()*1e3, listed, feed.Count(p))
	return nil
}
