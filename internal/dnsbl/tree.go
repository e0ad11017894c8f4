package dnsbl

import (
	"cmp"
	"encoding/binary"
	stdbits "math/bits"
	"net/netip"
	"slices"
	"sort"
)

// Tree finds the longest prefix that covers an address. It is made once, by a Planter, and read by any number of goroutines.
//
// A tree of prefixes is a set of brackets on the line of addresses: a prefix opens at its first address and closes behind its
// last, and the innermost bracket that is open is the longest match. Written down once from left to right, the tree becomes a
// sorted row of places where the match changes. That row is smaller than the tree (eight octets for a place), is searched
// without following pointers, and for IPv4 an index over the first bits leaves one or two places to look at.
type Tree struct {
	four struct {
		places []turn
		index  []uint32 // by the first bits: the first place at or behind
		shift  int      // 32 less the number of those bits
	}
	six struct {
		starts []wide
		values []uint32
	}
}

// turn is where the match changes, and to what; both in one look at the memory.
type turn struct{ start, value uint32 }

// wide is an IPv6 address as a number.
type wide struct{ high, low uint64 }

func (a wide) compare(b wide) int {
	if c := cmp.Compare(a.high, b.high); c != 0 {
		return c
	}
	return cmp.Compare(a.low, b.low)
}

func wideOf(ip netip.Addr) wide {
	a := ip.As16()
	return wide{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

// Planter collects prefixes for a Tree.
type Planter struct{ four, six []planted }

// planted is one bracket. Addresses of IPv4 are in low.
type planted struct {
	from, to wide // inclusive
	bits     int
	value    uint32
}

// Add adds a prefix with a value; 0 takes it out of what a shorter prefix lists. Of two equal prefixes the later one counts.
func (b *Planter) Add(p netip.Prefix, value uint32) {
	p = p.Masked()
	if ip := p.Addr(); ip.Is4() {
		a := ip.As4()
		from := uint64(binary.BigEndian.Uint32(a[:]))
		b.four = append(b.four, planted{wide{0, from}, wide{0, from | (1<<(32-p.Bits()) - 1)}, p.Bits(), value})
		return
	}
	from := wideOf(p.Addr())
	to := from
	if bits := p.Bits(); bits <= 64 {
		to.low = ^uint64(0)
		if bits < 64 {
			to.high |= 1<<(64-bits) - 1
		}
	} else {
		to.low |= 1<<(128-bits) - 1
	}
	b.six = append(b.six, planted{from, to, p.Bits(), value})
}

// AddRange adds the addresses from first to last, both included, as the few prefixes that cover exactly them.
func (b *Planter) AddRange(first, last netip.Addr, value uint32) {
	for first.IsValid() && first.Compare(last) <= 0 {
		bits := first.BitLen()
		for bits > 0 {
			p := netip.PrefixFrom(first, bits-1)
			if p.Masked().Addr() != first || lastOf(p).Compare(last) > 0 {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		b.Add(p, value)
		first = lastOf(p).Next()
	}
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		switch free := len(b)*8 - p.Bits() - (len(b)-1-i)*8; {
		case free >= 8:
			b[i] = 0xff
		case free > 0:
			b[i] |= 1<<free - 1
		}
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

// Tree makes the Tree. The Planter is used up.
func (b *Planter) Tree() *Tree {
	t := new(Tree)
	flatten(b.four, func(at wide, value uint32) {
		t.four.places = append(t.four.places, turn{uint32(at.low), value})
	}, wide{0, 1<<32 - 1})
	flatten(b.six, func(at wide, value uint32) {
		t.six.starts = append(t.six.starts, at)
		t.six.values = append(t.six.values, value)
	}, wide{^uint64(0), ^uint64(0)})
	b.four, b.six = nil, nil
	bits := min(max(stdbits.Len(uint(len(t.four.places))), 8), 20)
	t.four.shift = 32 - bits
	t.four.index = make([]uint32, 1<<bits+1)
	at := 0
	for top := range t.four.index {
		for at < len(t.four.places) && t.four.places[at].start>>t.four.shift < uint32(top) {
			at++
		}
		t.four.index[top] = uint32(at)
	}
	return t
}

// flatten writes brackets down from left to right: put is told each place where the innermost open bracket changes.
func flatten(list []planted, put func(at wide, value uint32), end wide) {
	slices.SortStableFunc(list, func(a, b planted) int {
		if c := a.from.compare(b.from); c != 0 {
			return c
		}
		return cmp.Compare(a.bits, b.bits)
	})
	var open []planted
	var last uint32
	tell := func(at wide, value uint32) {
		if value != last {
			put(at, value)
			last = value
		}
	}
	closeBefore := func(at wide, all bool) {
		for len(open) > 0 {
			top := open[len(open)-1]
			if !all && top.to.compare(at) >= 0 {
				return
			}
			open = open[:len(open)-1]
			if top.to == end {
				continue // nothing is behind the last address
			}
			// What is inside ends with what is around it more often than not: then the outermost has the word.
			for len(open) > 0 && open[len(open)-1].to == top.to {
				open = open[:len(open)-1]
			}
			behind := top.to
			if behind.low++; behind.low == 0 {
				behind.high++
			}
			if !all && behind == at {
				return // the next bracket begins at once
			}
			if len(open) > 0 {
				tell(behind, open[len(open)-1].value)
			} else {
				tell(behind, 0)
			}
		}
	}
	for i := range list {
		p := list[i]
		closeBefore(p.from, false)
		if n := len(open); n > 0 && open[n-1].from == p.from && open[n-1].to == p.to {
			open[n-1] = p
		} else {
			open = append(open, p)
		}
		if i+1 < len(list) && list[i+1].from == p.from {
			continue // a longer one begins at the same address
		}
		tell(p.from, p.value)
	}
	closeBefore(wide{}, true)
}

// Find returns the value of the longest prefix that covers ip, or 0.
func (t *Tree) Find(ip netip.Addr) uint32 {
	if ip.Is6() {
		if !ip.Is4In6() {
			return t.find6(wideOf(ip))
		}
		ip = ip.Unmap()
	}
	a := ip.As4()
	return t.find4(binary.BigEndian.Uint32(a[:]))
}

func (t *Tree) find4(ip uint32) uint32 {
	at := ip >> t.four.shift
	low, high := t.four.index[at], t.four.index[at+1]
	for low < high {
		mid := (low + high) / 2
		if t.four.places[mid].start <= ip {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0
	}
	return t.four.places[low-1].value
}

func (t *Tree) find6(ip wide) uint32 {
	i := sort.Search(len(t.six.starts), func(i int) bool { return t.six.starts[i].compare(ip) > 0 })
	if i == 0 {
		return 0
	}
	return t.six.values[i-1]
}

// Count returns how many IPv4 addresses of a prefix have a value. It takes as many steps as there are changes in it.
func (t *Tree) Count(p netip.Prefix) int {
	if !p.Addr().Is4() {
		return 0
	}
	a := p.Masked().Addr().As4()
	from := uint64(binary.BigEndian.Uint32(a[:]))
	end := from + 1<<(32-p.Bits())
	value := t.find4(uint32(from))
	i := sort.Search(len(t.four.places), func(i int) bool { return uint64(t.four.places[i].start) > from })
	n := uint64(0)
	for ; from < end; i++ {
		next := end
		if i < len(t.four.places) {
			next = min(end, uint64(t.four.places[i].start))
		}
		if value != 0 {
			n += next - from
		}
		if from = next; from < end {
			value = t.four.places[i].value
		}
	}
	return int(n)
}
