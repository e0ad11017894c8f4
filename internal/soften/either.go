package soften

import "strings"

// branch is a place in a tree of atoms: phrases that begin alike share their beginning. A table has some thousand phrases, and
// what regcomp(3) makes of them stays in the memory of every process that delivers.
type branch struct {
	ends bool // a phrase ends here: whatever goes on from here fits as well
	next []step
}

type step struct {
	atom string
	to   *branch
}

// add puts a phrase into the tree.
func (b *branch) add(atoms []string) {
	for _, a := range atoms {
		b = b.step(a)
	}
	b.ends = true
}

func (b *branch) step(atom string) *branch {
	for _, s := range b.next {
		if s.atom == atom {
			return s.to
		}
	}
	to := &branch{}
	b.next = append(b.next, step{atom, to})
	return to
}

// expression returns what fits one of the phrases from here on.
func (b *branch) expression() string {
	if b.ends || len(b.next) == 0 {
		return ""
	}
	list := make([]string, len(b.next))
	for i, s := range b.next {
		list[i] = s.atom + s.to.expression()
	}
	if len(list) == 1 {
		return list[0]
	}
	return "(" + strings.Join(list, "|") + ")"
}

// either returns the expression for any of some phrases, each followed by what goes behind it.
func either(phrases []string, behind func(phrase string) string) string {
	var tree branch
	for _, p := range phrases {
		list := atoms(p)
		if more := behind(p); more != "" {
			list = append(list, more)
		}
		tree.add(list)
	}
	return tree.expression()
}

// nothing stands behind a phrase.
func nothing(string) string { return "" }
