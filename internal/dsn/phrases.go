package dsn

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/outcome"
)

//go:embed forms.toml
var formsFile []byte

// forms is the file forms.toml: everything that is known of the words of reports. The file says what each list is for.
type forms struct {
	Form      []form      `toml:"form"`
	Phase     []phaseMark `toml:"phase"`
	Subject   subjects    `toml:"subject"`
	Senders   []string    `toml:"senders"`
	Ends      []string    `toml:"ends"`
	Noise     []string    `toml:"noise"`
	Says      []string    `toml:"says"`
	Labels    []string    `toml:"labels"`
	Trailing  []string    `toml:"trailing"`
	Hosts     []string    `toml:"hosts"`
	Delays    []string    `toml:"delays"`
	Replies   []string    `toml:"replies"`
	Complains []string    `toml:"complains"`
}

// form is one kind of report that is no RFC 3464.
type form struct {
	Name   string   `toml:"name"`
	Weight int      `toml:"weight"`
	Opens  []string `toml:"opens"`
	Hints  []string `toml:"hints"`
}

type phaseMark struct {
	Phase string   `toml:"phase"`
	Any   []string `toml:"any"`
}

type subjects struct {
	Report []string `toml:"report"`
	Auto   []string `toml:"auto"`
	Tells  []string `toml:"tells"`
}

// role is what a phrase does where it stands in a text.
type role uint8

const (
	roleOpens         role = iota // the text is a report, of form n
	roleHints                     // the text may be a report of form n
	roleEnds                      // the original begins, if nothing but marks stands before it in its line
	roleNoise                     // it says nothing about the reason
	roleSays                      // a server's own words follow
	roleLabel                     // the recipient follows
	roleTrailing                  // the recipient stands before it
	roleHost                      // the name of a server follows
	roleDelay                     // it is still being tried
	roleReply                     // the text is an automatic answer
	roleComplains                 // the text is a complaint
	rolePhase                     // a reply came in phase n
	roleSubjectReport             // in a subject
	roleSubjectAuto               // in a subject
	roleSubjectTells              // in a subject: a reason follows
	roleSender                    // in a From field
)

// phrase is one phrase with its role.
type phrase struct {
	role role
	n    int // of form or phase
	size int // in octets
}

// words are the phrases with the automaton that finds them.
type vocabulary struct {
	forms   []form
	phrases []phrase
	find    *finder
}

// known is the vocabulary, made when it is first needed. The file is part of the program: that it can be read is the business
// of a test.
var known = sync.OnceValue(func() *vocabulary {
	v, err := newVocabulary(formsFile)
	if err != nil {
		panic("bug: forms.toml: " + err.Error())
	}
	return v
})

func newVocabulary(file []byte) (*vocabulary, error) {
	var f forms
	if err := toml.Unmarshal(file, &f); err != nil {
		return nil, fmt.Errorf("read forms: %w", err)
	}
	v := &vocabulary{}
	var texts []string
	add := func(r role, n int, all []string) {
		for _, s := range all {
			texts = append(texts, s)
			v.phrases = append(v.phrases, phrase{role: r, n: n, size: len(s)})
		}
	}
	for i, x := range f.Form {
		if x.Weight == 0 {
			x.Weight = sure
		}
		v.forms = append(v.forms, x)
		add(roleOpens, i, x.Opens)
		add(roleHints, i, x.Hints)
	}
	for _, x := range f.Phase {
		add(rolePhase, int(outcome.ParsePhase(x.Phase)), x.Any)
	}
	add(roleSubjectReport, 0, f.Subject.Report)
	add(roleSubjectAuto, 0, f.Subject.Auto)
	add(roleSubjectTells, 0, f.Subject.Tells)
	add(roleSender, 0, f.Senders)
	add(roleEnds, 0, f.Ends)
	add(roleNoise, 0, f.Noise)
	add(roleSays, 0, f.Says)
	add(roleLabel, 0, f.Labels)
	add(roleTrailing, 0, f.Trailing)
	add(roleHost, 0, f.Hosts)
	add(roleDelay, 0, f.Delays)
	add(roleReply, 0, f.Replies)
	add(roleComplains, 0, f.Complains)
	v.find = newFinder(texts)
	return v, nil
}

// finder finds many phrases in one pass (Aho and Corasick, 1975). ASCII letters match in either case, a line end matches a
// blank.
type finder struct {
	class [256]uint8 // octets that stand in no phrase share class 0
	width int
	next  []uint16 // state*width + class
	found []int32  // by state: the first of the phrases that end there in ends; -1 for none
	ends  []ending
}

type ending struct {
	id   int32
	next int32 // another phrase that ends there too; -1 for none
}

func newFinder(texts []string) *finder {
	f := &finder{width: 1}
	for _, s := range texts {
		for i := range len(s) {
			if f.class[s[i]] == 0 {
				f.class[s[i]] = uint8(f.width)
				f.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		f.class[c] = f.class[c+'a'-'A']
	}
	f.class['\n'], f.class['\t'] = f.class[' '], f.class[' ']
	f.grow()
	for id, s := range texts {
		f.insert(s, int32(id))
	}
	f.link()
	return f
}

func (f *finder) grow() uint16 {
	f.next = append(f.next, make([]uint16, f.width)...)
	f.found = append(f.found, -1)
	return uint16(len(f.found) - 1)
}

func (f *finder) insert(s string, id int32) {
	at := uint16(0)
	for i := range len(s) {
		k := int(at)*f.width + int(f.class[s[i]])
		if f.next[k] == 0 {
			n := f.grow()
			f.next[k] = n
		}
		at = f.next[k]
	}
	f.ends = append(f.ends, ending{id: id, next: f.found[at]})
	f.found[at] = int32(len(f.ends) - 1)
}

// link turns the tree into an automaton that never goes back.
func (f *finder) link() {
	fail := make([]uint16, len(f.found))
	var queue []uint16
	for c := range f.width {
		if n := f.next[c]; n != 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		f.inherit(s, fail[s])
		for c := range f.width {
			k := int(s)*f.width + c
			other := f.next[int(fail[s])*f.width+c]
			if n := f.next[k]; n != 0 {
				fail[n] = other
				queue = append(queue, n)
			} else {
				f.next[k] = other
			}
		}
	}
}

// inherit adds to state s the phrases that end in state t, whose text ends that of s.
func (f *finder) inherit(s, t uint16) {
	last := int32(-1)
	for e := f.found[s]; e >= 0; e = f.ends[e].next {
		last = e
	}
	if last < 0 {
		f.found[s] = f.found[t]
		return
	}
	f.ends[last].next = f.found[t]
}

// run calls met for each phrase that ends before text[end].
func (f *finder) run(text []byte, met func(id int32, end int)) {
	at := 0
	for i, c := range text {
		at = int(f.next[at*f.width+int(f.class[c])])
		for e := f.found[at]; e >= 0; e = f.ends[e].next {
			met(f.ends[e].id, i+1)
		}
	}
}
