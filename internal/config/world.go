package config

import (
	"net/netip"
	"slices"
)

// A network that covers a good part of the internet is nobody's own. What may relay without a password, or may say on whose
// behalf it speaks, is therefore held to less than that: no single network wider than an IPv4 /8 or an IPv6 /16, and no list
// that adds up to more public addresses than one of those. Private networks (RFC 1918, RFC 4193, loopback, link-local) and the
// shared ones of RFC 6598 may be as wide as they are.
const widest4, widest6 = 8, 16

var shared = netip.MustParsePrefix("100.64.0.0/10")

// private tells whether a whole network is one that the internet does not route.
func private(n netip.Prefix) bool {
	first, last := n.Masked().Addr(), lastAddr(n)
	for _, in := range []func(netip.Addr) bool{
		netip.Addr.IsPrivate, netip.Addr.IsLoopback, netip.Addr.IsLinkLocalUnicast, shared.Contains,
	} {
		// Each of these is a union of networks of which no two touch, so both ends in it mean all of it, unless n is as wide as
		// the internet itself.
		if in(first) && in(last) && n.Bits() >= 7 {
			return true
		}
	}
	return false
}

func lastAddr(n netip.Prefix) netip.Addr {
	b := n.Masked().Addr().AsSlice()
	for bit := n.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b) // of four or sixteen octets, as it was
	return a
}

// tooWide tells whether a network is wider than anybody's own.
func tooWide(n netip.Prefix) bool {
	if !n.IsValid() || private(n) {
		return false
	}
	if n.Addr().Is4() {
		return n.Bits() < widest4
	}
	return n.Bits() < widest6
}

// tooWideTogether returns the network that makes a list wider than anybody's own, or the zero Prefix. "0.0.0.0/1" and
// "128.0.0.0/1" are the world as much as "0.0.0.0/0" is.
func tooWideTogether(list []netip.Prefix) netip.Prefix {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() }) // what covers comes before what is covered
	var sum [2]float64                                                                      // as a share of the widest network of the family
	for i, n := range list {
		if !n.IsValid() || private(n) || coveredBefore(list[:i], n) {
			continue
		}
		family, widest := 1, widest6
		if n.Addr().Is4() {
			family, widest = 0, widest4
		}
		share := 1.0
		for bits := n.Bits(); bits > widest; bits-- {
			share /= 2
		}
		if sum[family] += share; sum[family] > 1 {
			return n
		}
	}
	return netip.Prefix{}
}

func coveredBefore(list []netip.Prefix, n netip.Prefix) bool {
	for _, other := range list {
		if other.IsValid() && other.Bits() <= n.Bits() && other.Contains(n.Addr()) {
			return true
		}
	}
	return false
}
