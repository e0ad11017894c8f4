package classify

// tree is the tree of an automaton's words while it grows. The root is node 0; a 0 stands for no node everywhere else.
type tree struct {
	nodes []treeNode
	own   map[uint32][]uint32 // words that end at a node
	order []uint32            // nodes by depth
	rows  []uint32            // those that get a row, by depth
	lists []uint32            // the others
}

type treeNode struct {
	first uint32 // child
	next  uint32 // sibling
	fall  uint32
	kids  uint16
	key   byte // leads from the parent to the node
}

func growTree(words []string) *tree {
	t := &tree{nodes: make([]treeNode, 1, 1<<12), own: make(map[uint32][]uint32, len(words))}
	for n, w := range words {
		at := uint32(0)
		for i := 0; i < len(w); i++ {
			kid := t.child(at, w[i])
			if kid == 0 {
				kid = t.grow(at, w[i])
			}
			at = kid
		}
		if at != 0 {
			t.own[at] = append(t.own[at], uint32(n))
		}
	}
	t.link()
	return t
}

// child returns the child of a node that an octet leads to.
func (t *tree) child(n uint32, c byte) uint32 {
	kid := t.nodes[n].first
	for kid != 0 && t.nodes[kid].key != c {
		kid = t.nodes[kid].next
	}
	return kid
}

func (t *tree) grow(n uint32, c byte) uint32 {
	kid := uint32(len(t.nodes))
	t.nodes = append(t.nodes, treeNode{next: t.nodes[n].first, key: c})
	t.nodes[n].first = kid
	t.nodes[n].kids++
	return kid
}

// step returns the node that an octet leads to from a node, over as many fallbacks as it takes.
func (t *tree) step(n uint32, c byte) uint32 {
	for {
		if kid := t.child(n, c); kid != 0 || n == 0 {
			return kid
		}
		n = t.nodes[n].fall
	}
}

// link finds out for each node where to fall back to.
func (t *tree) link() {
	t.order = append(make([]uint32, 0, len(t.nodes)), 0)
	for i := 0; i < len(t.order); i++ {
		n := t.order[i]
		for kid := t.nodes[n].first; kid != 0; kid = t.nodes[kid].next {
			t.order = append(t.order, kid)
			if n != 0 {
				t.nodes[kid].fall = t.step(t.nodes[n].fall, t.nodes[kid].key)
			}
		}
	}
}

// numbers gives each node the number that it has in the automaton: first those with a row.
func (t *tree) numbers() []uint32 {
	for _, n := range t.order {
		if n == 0 || t.nodes[n].kids >= manyKids {
			t.rows = append(t.rows, n)
		} else {
			t.lists = append(t.lists, n)
		}
	}
	number := make([]uint32, len(t.nodes))
	for i, n := range t.rows {
		number[n] = uint32(i)
	}
	for i, n := range t.lists {
		number[n] = uint32(len(t.rows) + i)
	}
	return number
}
