package queue

// slab holds many values of one kind without a pointer to each: a million deliveries are a few hundred blocks to the garbage
// collector, and a reference to one costs four octets. Index 0 is nobody.
type slab[T any] struct {
	blocks []*[slabBlock]T
	used   uint32 // indexes handed out so far, 0 included
	free   []uint32
}

const slabBlock = 4096

// get returns the index of a zero value.
func (s *slab[T]) get() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.used = max(s.used, 1)
	if int(s.used) >= len(s.blocks)*slabBlock {
		s.blocks = append(s.blocks, new([slabBlock]T))
	}
	s.used++
	return s.used - 1
}

func (s *slab[T]) at(i uint32) *T { return &s.blocks[i/slabBlock][i%slabBlock] }

// put gives an index back and zeroes its value.
func (s *slab[T]) put(i uint32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
}
