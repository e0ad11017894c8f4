package classify

// An automaton finds all of many words in a text in one pass, however many they are (Aho and Corasick, 1975): it is the tree
// of the words, and each node knows the node to fall back to when the text goes on otherwise: the longest beginning of a word
// that the text read so far ends with.
//
// Nearly all nodes have one child or two, and are kept as lists of children. The few near the root have many, and are where a
// text spends its time: each has a row with an entry for every octet, fallbacks worked in. So the whole stays small enough to lie
// in a processor's cache.
//
// A node is a number: below len(rows)/256 it has a row, above it a list. Where words end at the node that an entry leads to,
// the entry has the bit found.
type automaton struct {
	rows  []uint32
	lists []list
	keys  []byte // of the second child on: the octet, beside the child in kids
	kids  []uint32
	words []span // by node: the words that end there, in ends
	ends  []uint32
}

// list is a node with few children. The first one stands in it.
type list struct {
	kid  uint32
	fall uint32
	more uint32 // index in keys and kids
	n    uint8  // how many more
	key  byte
}

type span struct{ from, to uint32 }

const (
	found = 1 << 31
	// manyKids is from how many children on a node gets a row.
	manyKids = 4
)

// newAutomaton builds the automaton of words; a word is known by its index from then on. Empty words are never found.
func newAutomaton(words []string) *automaton {
	t := growTree(words)
	number := t.numbers()
	a := &automaton{words: make([]span, len(t.nodes))}
	for _, n := range t.order { // by depth: the node to fall back to is nearer to the root, and done before
		a.end(t, n, number)
	}
	for _, n := range t.rows {
		a.addRow(t, n, number)
	}
	for _, n := range t.lists {
		a.addList(t, n, number)
	}
	return a
}

// end takes in which words end at a node: its own, and those of the node to fall back to.
func (a *automaton) end(t *tree, n uint32, number []uint32) {
	from := uint32(len(a.ends))
	a.ends = append(a.ends, t.own[n]...)
	if n != 0 {
		back := a.words[number[t.nodes[n].fall]]
		a.ends = append(a.ends, a.ends[back.from:back.to]...)
	}
	a.words[number[n]] = span{from, uint32(len(a.ends))}
}

// entry is what leads to the node with a number.
func (a *automaton) entry(n uint32) uint32 {
	if w := a.words[n]; w.from != w.to {
		return n | found
	}
	return n
}

func (a *automaton) addRow(t *tree, n uint32, number []uint32) {
	var row [256]uint32
	if n != 0 {
		for c := range row {
			row[c] = a.entry(number[t.step(t.nodes[n].fall, byte(c))])
		}
	}
	for kid := t.nodes[n].first; kid != 0; kid = t.nodes[kid].next {
		row[t.nodes[kid].key] = a.entry(number[kid])
	}
	a.rows = append(a.rows, row[:]...)
}

func (a *automaton) addList(t *tree, n uint32, number []uint32) {
	x := list{fall: number[t.nodes[n].fall], more: uint32(len(a.keys))}
	first := t.nodes[n].first
	if first != 0 {
		x.key, x.kid = t.nodes[first].key, a.entry(number[first])
		first = t.nodes[first].next
	}
	for kid := first; kid != 0; kid = t.nodes[kid].next {
		a.keys, a.kids = append(a.keys, t.nodes[kid].key), append(a.kids, a.entry(number[kid]))
		x.n++
	}
	a.lists = append(a.lists, x)
}

// run calls hit for each word in the text with its number and the place behind it.
func (a *automaton) run(text []byte, hit func(word uint32, end int)) {
	n, rows := uint32(0), uint32(len(a.rows)/256)
	for i, c := range text {
		for n >= rows {
			x := &a.lists[n-rows]
			if x.key == c {
				n = x.kid
				goto there
			}
			for j := x.more; j < x.more+uint32(x.n); j++ {
				if a.keys[j] == c {
					n = a.kids[j]
					goto there
				}
			}
			n = x.fall
		}
		n = a.rows[n<<8|uint32(c)]
	there:
		if n&found == 0 {
			continue
		}
		n &^= found
		w := a.words[n]
		for _, word := range a.ends[w.from:w.to] {
			hit(word, i+1)
		}
	}
}
