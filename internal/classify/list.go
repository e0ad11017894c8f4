package classify

import (
	"bytes"
	"strings"
)

// nameList names the blocklist: the one that the rule knows, else the first of lists.toml that the text names, else the host
// name that stands where a list is named. A listing of a network makes the verdict one about the network.
func (l *look) nameList(v *Verdict, class *Class) {
	for i := range l.lists {
		x := l.lists[i].List
		if v.List != "" && v.List != x.Name || v.List == "" && l.named[i/64]>>(i%64)&1 == 0 {
			continue
		}
		v.List = x.Name
		if x.Range && v.Reputation {
			v.Blame, v.Scope = BlameRange, ScopeRange
		}
		return
	}
	if v.List == "" && class.Named {
		v.List = l.namedHost()
	}
}

// namedHost returns the host name behind one of the words that lists are named with in lists.toml, "" if there is none.
func (l *look) namedHost() string {
	for _, w := range l.Rules.named {
		i := bytes.Index(l.text.norm, w)
		if i < 0 {
			continue
		}
		word, _, _ := bytes.Cut(l.text.norm[i+len(w):], []byte(" "))
		host := strings.Trim(string(word), `.,;:'"()[]<>`)
		if isHost(host) {
			return host
		}
	}
	return ""
}

// isHost tells whether a word looks like the name of a zone: letters, digits and dashes between dots, and a top level of
// letters only.
func isHost(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot < 1 || len(s)-dot < 3 {
		return false
	}
	for i := 0; i < len(s); i++ {
		k := kinds[s[i]]
		if i > dot && k != isAlpha || k&(isAlpha|isDigit|isDot) == 0 && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}
