package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ukai/internal/classify"
)

// labelled is a text with the class that a careful reader gives it.
type labelled struct {
	item
	Source   string   `json:"source"`
	Expected string   `json:"expected_class"`
	Also     []string `json:"also_acceptable"`
}

// score counts how many texts were understood.
type score struct{ n, exact, lenient int }

func (s *score) add(class string, i *labelled) {
	s.n++
	if class == i.Expected {
		s.exact++
	}
	if class == i.Expected || slices.Contains(i.Also, class) {
		s.lenient++
	}
}

func (s *score) String() string {
	if s.n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d texts, exact %.1f %%, lenient %.1f %%", s.n, 100*float64(s.exact)/float64(s.n), 100*float64(s.lenient)/float64(s.n))
}

// leaveOneSourceOut tells how well texts of a source are understood by rules that owe it nothing.
//
// Rules are written by people who have read texts, and a person cannot unread them. What can be done is this: a rule comes from
// a source if every text that it decides in the whole collection is of that source. For each source, the rules that come from it
// are switched off, and its texts are judged by the rest. Rules that decide no text of the collection at all stay: whatever
// they were written from, it was not these texts.
func leaveOneSourceOut(w io.Writer, rules *classify.Rules, dir string) error {
	items, err := readLabelled(filepath.Join(dir, "items.jsonl"))
	if err != nil {
		return err
	}
	decides := make(map[string]map[string]bool) // rule: the sources of the texts that it decides
	bySource := make(map[string][]*labelled)
	all := make(map[string]*score)
	for i := range items {
		x := &items[i]
		bySource[x.Source] = append(bySource[x.Source], x)
		v := rules.Text("", x.Text)
		count(all, "all rules", x, v.Class)
		if v.Rule == "" {
			continue
		}
		if decides[v.Rule] == nil {
			decides[v.Rule] = make(map[string]bool)
		}
		decides[v.Rule][x.Source] = true
	}
	switched, most := 0, 0
	for source, texts := range bySource {
		var off []string
		for rule, sources := range decides {
			if len(sources) == 1 && sources[source] {
				off = append(off, rule)
			}
		}
		rest, err := rules.Without(off...)
		if err != nil {
			return err
		}
		switched, most = switched+len(off), max(most, len(off))
		for _, x := range texts {
			count(all, "without the source's own", x, rest.Text("", x.Text).Class)
		}
	}
	fmt.Fprintf(w, "%d rules, %d of them decide a text here; %d sources; %d rules come from one source (at most %d from the same)\n", rules.Len(), len(decides), len(bySource), switched, most)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "%-45s %s\n", name, all[name])
	}
	return nil
}

// count adds a text to the score of its kind and to that of all kinds.
func count(all map[string]*score, how string, x *labelled, class string) {
	for _, name := range []string{how, how + ", " + x.Kind} {
		if all[name] == nil {
			all[name] = new(score)
		}
		all[name].add(class, x)
	}
}

// readLabelled reads the replies and lines of a collection; whole mails are the business of package dsn.
func readLabelled(path string) ([]labelled, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []labelled
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x labelled
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if x.Reply != "" {
			x.Text = x.Reply
		}
		if strings.TrimSpace(x.Text) != "" {
			all = append(all, x)
		}
	}
	return all, lines.Err()
}
