package provider

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// checker looks for what the TOML decoder cannot know: names that are given twice, references that lead nowhere.
type checker struct {
	name  string
	lines [][]byte
	heads []int      // index of the line in which each row begins
	cat   *Catalogue // what the file is added to, with the file's sources and requirements in it
	errs  []error
}

func newChecker(name string, text []byte, c *Catalogue) *checker {
	k := &checker{name: name, lines: bytes.Split(text, []byte("\n")), cat: c}
	for n, l := range k.lines {
		if bytes.HasPrefix(bytes.TrimSpace(l), []byte("[[provider]]")) {
			k.heads = append(k.heads, n)
		}
	}
	return k
}

func (k *checker) rows(rows []*Row) {
	ids, names := map[string]int{}, map[string]int{}
	for i, r := range rows {
		if j, twice := ids[r.ID]; twice {
			k.fail(i, "id", r.ID, "the id %q stands in line %d already", r.ID, k.line(j, "id", r.ID))
		}
		ids[r.ID] = i
		k.row(i, r)
		for key, list := range map[string][]string{"mx": r.MX, "placeholder": r.Placeholder, "domains": r.Domains} {
			for _, s := range list {
				k.suffix(i, key, s)
				unique := key + " " + s
				if key == "placeholder" {
					unique = "mx " + s // the two share one table
				}
				if j, twice := names[unique]; twice {
					k.fail(i, key, s, "%q stands in the row of line %d already", s, k.line(j, "id", ""))
				}
				names[unique] = i
			}
		}
	}
}

var (
	types       = []Type{Mailbox, ISP, Telco, Hosting, Gateway, OutboundGateway, ReputationService}
	confidences = []string{"high", "medium", "low"}
)

func (k *checker) row(i int, r *Row) {
	if !isID(r.ID) {
		k.fail(i, "id", r.ID, "an id is made of a-z, 0-9 and -, not %q", r.ID)
	}
	if r.Provider != "" && !isID(r.Provider) {
		k.fail(i, "provider", r.Provider, "an id is made of a-z, 0-9 and -, not %q", r.Provider)
	}
	if r.Name == "" {
		k.fail(i, "name", "", "a name is missing")
	}
	if !slices.Contains(types, r.Type) {
		k.fail(i, "type", "", "%q is not a type: one of %v is", r.Type, types)
	}
	if !slices.Contains(confidences, r.Confidence) {
		k.fail(i, "confidence", "", "%q is not a confidence: one of %v is", r.Confidence, confidences)
	}
	for _, s := range r.Sources {
		if _, ok := k.cat.Sources[s]; !ok {
			k.fail(i, "sources", s, "no source has the key %q", s)
		}
	}
	for _, s := range r.Requirements {
		if key, ok := strings.CutPrefix(s, "@"); ok && k.cat.requirements[key] == "" {
			k.fail(i, "requirements", s, "no requirement has the key %q", key)
		}
	}
	if r.Limits.MaxConns < 0 || r.Limits.MaxMsgsPerConn < 0 || r.Limits.PerSecond < 0 {
		k.fail(i, "connections", "", "a limit is below 0")
	}
}

// suffix checks a name of the index: a lower-case host name, because that is what it is compared with.
func (k *checker) suffix(i int, key, s string) {
	name := s
	if key == "domains" {
		name = strings.TrimPrefix(s, "*.")
	}
	if name == "" || name != clean(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "..") || strings.ContainsAny(name, " */@[]:") {
		k.fail(i, key, s, "%q is not a host name in lower case without dots around it", s)
	}
}

func isID(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

func (k *checker) fail(row int, key, value, format string, args ...any) {
	k.errs = append(k.errs, fmt.Errorf("%s:%d: %s", k.name, k.line(row, key, value), fmt.Sprintf(format, args...)))
}

// line returns the number of the line in which a row gives a value to a key; where that cannot be found, the line of the
// key, or the first one of the row.
func (k *checker) line(row int, key, value string) int {
	from, to := k.heads[row], len(k.lines)
	if row+1 < len(k.heads) {
		to = k.heads[row+1]
	}
	for n := from; n < to; n++ {
		rest, ok := bytes.CutPrefix(bytes.TrimSpace(k.lines[n]), []byte(key))
		if !ok || !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("=")) {
			continue
		}
		for m := n; m < to && value != ""; m++ {
			if bytes.Contains(k.lines[m], []byte(strconv.Quote(value))) {
				return m + 1
			}
		}
		return n + 1
	}
	return from + 1
}
