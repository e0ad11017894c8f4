package guard

import (
	"net/netip"
	"slices"

	"ukai/internal/i18n"
)

// An open relay, which takes mail from anybody to anybody, is found within hours and ruins its addresses for months. So networks
// that may relay are held to a size that can be one organisation's: no public prefix wider than an IPv4 /8 or an IPv6 /16, and not
// more public addresses in the whole list than one of those. Private networks may be as wide as they are.
const (
	widest4 = 8
	widest6 = 16
)

// private networks cannot reach us over the internet: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 and loopback.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128")

// everybody4 are IPv6 networks that hold all of IPv4: behind a translator or a tunnel they are the world.
var everybody4 = prefixes("64:ff9b::/96", "2002::/16", "2001::/32", "::ffff:0:0/96", "::ffff:0:0:0/96")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Relay is the policy who may relay without an account: clients of some networks. The zero value lets nobody.
type Relay struct {
	networks []netip.Prefix
}

// NewRelay makes the policy, or returns the error of Validate.
func NewRelay(networks []netip.Prefix) (Relay, error) {
	if err := Validate(networks); err != nil {
		return Relay{}, err
	}
	r := Relay{networks: make([]netip.Prefix, len(networks))}
	for i, n := range networks {
		r.networks[i] = normal(n)
	}
	return r, nil
}

// Allows tells whether a client may relay.
func (r Relay) Allows(client netip.Addr) bool {
	client = client.Unmap().WithZone("")
	for i := range r.networks {
		if r.networks[i].Contains(client) {
			return true
		}
	}
	return false
}

// Validate returns an error for a list of networks that would make an open relay, or nearly one.
func Validate(networks []netip.Prefix) error {
	list := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		plain := normal(n)
		if !plain.IsValid() {
			return i18n.Errorf("guard.error.relay_invalid", "network", n.String())
		}
		if isPrivate(plain) {
			continue
		}
		if plain.Bits() < widest(plain) || slices.ContainsFunc(everybody4, plain.Overlaps) {
			return i18n.Errorf("guard.error.relay_world", "network", n.String(), "widest4", widest4, "widest6", widest6)
		}
		list = append(list, plain)
	}
	if n, wide := together(list); wide {
		return i18n.Errorf("guard.error.relay_sum", "network", n.String(), "widest4", widest4, "widest6", widest6)
	}
	return nil
}

// normal writes an IPv4 network that is given in IPv6 form as what it is ("::ffff:0.0.0.0/96" is all of IPv4), and clears the
// bits behind the prefix.
func normal(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n.Masked()
}

func widest(n netip.Prefix) int {
	if n.Addr().Is4() {
		return widest4
	}
	return widest6
}

func isPrivate(n netip.Prefix) bool {
	return slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) })
}

// together tells whether public networks of one family add up to more than the widest one allowed, and at which of them. What lies
// in another of the list counts once.
func together(list []netip.Prefix) (netip.Prefix, bool) {
	slices.SortStableFunc(list, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var share [2]float64 // by family, of the widest network allowed
	for i, n := range list {
		if slices.ContainsFunc(list[:i], n.Overlaps) { // an earlier one is not narrower: it holds all of n
			continue
		}
		family := 0
		if n.Addr().Is6() {
			family = 1
		}
		one := 1.0
		for range n.Bits() - widest(n) {
			one /= 2
		}
		if share[family] += one; share[family] > 1 {
			return n, true
		}
	}
	return netip.Prefix{}, false
}
