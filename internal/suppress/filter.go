package suppress

import "hash/maphash"

// filter answers "not kept" for nearly every address without asking the database: a Bloom filter of 2 MB, which takes one
// address in 400 for kept when a million are. What was removed stays in it until it is filled anew. The zero value holds nothing.
type filter struct{ bits []uint64 }

const filterBits = 1 << 24

var seed = maphash.MakeSeed()

func hash(addr string) uint64 { return maphash.String(seed, addr) }

// places returns the four bits of a hash: two halves, added up (Kirsch and Mitzenmacher, "Less hashing, same performance", 2006).
func places(h uint64) (p [4]uint32) {
	a, b := uint32(h), uint32(h>>32)|1
	for i := range p {
		p[i] = (a + uint32(i)*b) % filterBits
	}
	return p
}

func (f *filter) add(h uint64) {
	if f.bits == nil {
		f.bits = make([]uint64, filterBits/64)
	}
	for _, p := range places(h) {
		f.bits[p/64] |= 1 << (p % 64)
	}
}

func (f *filter) has(h uint64) bool {
	if f.bits == nil {
		return false
	}
	for _, p := range places(h) {
		if f.bits[p/64]&(1<<(p%64)) == 0 {
			return false
		}
	}
	return true
}
