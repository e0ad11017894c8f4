package dnsbl

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// naive looks at every prefix: what the tree must agree with.
type naive []struct {
	p     netip.Prefix
	value uint32
}

func (n naive) find(ip netip.Addr) uint32 {
	best, value := -1, uint32(0)
	for _, e := range n {
		if e.p.Contains(ip) && e.p.Bits() >= best {
			best, value = e.p.Bits(), e.value
		}
	}
	return value
}

func TestTheTreeAgreesWithLookingAtEveryPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list naive
		var b Planter
		six := rapid.Bool().Draw(rt, "six")
		addr := func() netip.Addr {
			if six { // few addresses, so that prefixes nest
				a := [16]byte{0x20, 1}
				a[7], a[8], a[15] = byte(rapid.IntRange(0, 3).Draw(rt, "a")), byte(rapid.IntRange(0, 255).Draw(rt, "b")), byte(rapid.IntRange(0, 255).Draw(rt, "c"))
				if rapid.IntRange(0, 9).Draw(rt, "end") == 0 {
					for i := range a {
						a[i] = 0xff
					}
				}
				return netip.AddrFrom16(a)
			}
			return netip.AddrFrom4([4]byte{byte(rapid.SampledFrom([]int{0, 10, 255}).Draw(rt, "a")), byte(rapid.SampledFrom([]int{0, 1, 255}).Draw(rt, "b")), byte(rapid.IntRange(0, 255).Draw(rt, "c")), byte(rapid.IntRange(0, 255).Draw(rt, "d"))})
		}
		for range rapid.IntRange(0, 40).Draw(rt, "n") {
			ip := addr()
			p := netip.PrefixFrom(ip, rapid.IntRange(0, ip.BitLen()).Draw(rt, "bits")).Masked()
			v := uint32(rapid.IntRange(0, 5).Draw(rt, "v"))
			list = append(list, struct {
				p     netip.Prefix
				value uint32
			}{p, v})
			b.Add(p, v)
		}
		tree := b.Tree()
		ask := []netip.Addr{addr(), addr()}
		for _, e := range list {
			first, last := e.p.Addr(), lastOf(e.p)
			ask = append(ask, first, last, first.Prev(), last.Next())
		}
		for _, ip := range ask {
			if !ip.IsValid() {
				continue
			}
			if got, want := tree.Find(ip), list.find(ip); got != want {
				rt.Fatalf("%s: %d, want %d, of %v", ip, got, want, list)
			}
		}
	})
}

func TestCountIsWhatCountingSingleAddressesGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var b Planter
	for range 200 {
		b.Add(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(rng.IntN(256)), byte(rng.IntN(256))}), 20+rng.IntN(13)), uint32(rng.IntN(3)))
	}
	tree := b.Tree()
	for _, s := range []string{"10.1.0.0/16", "10.1.7.0/24", "10.1.7.64/27", "10.1.200.3/32", "10.2.0.0/24", "0.0.0.0/16"} {
		p := netip.MustParsePrefix(s)
		want := 0
		for ip := p.Addr(); p.Contains(ip); ip = ip.Next() {
			if tree.Find(ip) != 0 {
				want++
			}
		}
		if got := tree.Count(p); got != want {
			t.Errorf("%s: %d, want %d", p, got, want)
		}
	}
}

func TestARangeBecomesExactlyItsAddresses(t *testing.T) {
	var b Planter
	first, last := netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.3.17")
	b.AddRange(first, last, 7)
	b.AddRange(netip.MustParseAddr("255.255.255.250"), netip.MustParseAddr("255.255.255.255"), 8)
	tree := b.Tree()
	for ip := netip.MustParseAddr("192.0.1.250"); ip != netip.MustParseAddr("192.0.4.9"); ip = ip.Next() {
		want := uint32(0)
		if ip.Compare(first) >= 0 && ip.Compare(last) <= 0 {
			want = 7
		}
		if got := tree.Find(ip); got != want {
			t.Fatalf("%s: %d, want %d", ip, got, want)
		}
	}
	if tree.Find(netip.MustParseAddr("255.255.255.255")) != 8 || tree.Find(netip.MustParseAddr("255.255.255.249")) != 0 {
		t.Error("the end of the address space is not what was put there")
	}
}
