package dnsbl

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
)

// step is the unit in which neighbours are counted: an address, or the /64 that one customer has (lists enter IPv6 by /64).
const step6 = 64

// neighbours returns the n addresses nearest to ip, alternately above and below, within the /24 (of IPv6: the /56, a step of /64
// each), without ip. People who look for the culprit by hand look there first.
func neighbours(ip netip.Addr, n int) []netip.Addr {
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	around := netip.PrefixFrom(ip, bits).Masked()
	var list []netip.Addr
	for d := 1; len(list) < n && d < 256; d++ {
		for _, delta := range []int{d, -d} {
			if next, ok := shift(ip, delta); ok && around.Contains(next) && len(list) < n {
				list = append(list, next)
			}
		}
	}
	return list
}

// shift moves an address by steps.
func shift(ip netip.Addr, steps int) (netip.Addr, bool) {
	if ip.Is4() {
		a := ip.As4()
		n := int64(binary.BigEndian.Uint32(a[:])) + int64(steps)
		if n < 0 || n > 1<<32-1 {
			return ip, false
		}
		binary.BigEndian.PutUint32(a[:], uint32(n))
		return netip.AddrFrom4(a), true
	}
	a := ip.As16()
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])+uint64(int64(steps)))
	return netip.AddrFrom16(a), true
}

// spread returns farAll addresses of a range, one from each of as many equal parts, none of them in except. The same seed and range give
// the same addresses. What an entry for the whole range covers shows in every one of them; of what covers a part, in its part.
func spread(p, except netip.Prefix, seed uint64) []netip.Addr {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.String()))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	free := p.Addr().BitLen() - p.Bits()
	if p.Addr().Is6() {
		free = max(0, step6-p.Bits())
	}
	size := uint64(1) << min(free, 32)
	n := int(min(farAll, size))
	var list []netip.Addr
	for i := range n {
		from, to := size*uint64(i)/uint64(n), size*uint64(i+1)/uint64(n)
		ip, ok := shift(p.Addr(), int(from+rng.Uint64N(to-from)))
		if ok && (!except.IsValid() || !except.Contains(ip)) {
			list = append(list, ip)
		}
	}
	return list
}

// announced is the range that an address is taken to belong to when nobody says: what providers are given and lists enter at a
// time is seldom larger than a /16, and seldom smaller than a /24.
func announced(ip netip.Addr) netip.Prefix {
	bits := 17
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.PrefixFrom(ip, ip.BitLen())
	}
	return p
}
