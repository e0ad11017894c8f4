package soften

import (
	"regexp"
	"strings"

	"ukai/internal/classify"
)

// links finds URLs in an example.
var links = regexp.MustCompile(`https?://[^\s"'<>]+`)

// literalIP finds the address of an example within its URL.
var literalIP = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+`)

// tails writes the last lines of refusals whose reason stands in a line before.
func (t *table) tails() {
	all := t.rules.All()
	for i := range all {
		d := &all[i]
		if !t.softens(d) {
			continue
		}
		head, url := tail(d.Rule.Example)
		if url == "" || t.others(all, url) {
			continue
		}
		t.out.WriteString("# the last line of " + d.Name + "\n")
		t.open("^" + quote(head) + " *" + address4(url))
		t.answer(true)
		t.close()
	}
}

// tail returns the last line of an example that has several lines, joined by blanks ("550-5.7.1 Our system ... 550 5.7.1
// https://..."): its URL and what stands before it.
func tail(example string) (head, url string) {
	if len(example) < 4 || example[0] != '5' || example[3] != '-' {
		return "", ""
	}
	code := " " + example[:3] + " "
	i := strings.LastIndex(example, code)
	if i < 0 {
		return "", ""
	}
	line := example[i+1:]
	at := links.FindStringIndex(line)
	if at == nil {
		return "", ""
	}
	return line[:at[0]], strings.TrimRight(line[at[0]:at[1]], ".,;:)")
}

// others tells whether the example of a rule that is no reason for a detour has the URL, too.
func (t *table) others(all []classify.Described, url string) bool {
	for i := range all {
		if !t.softens(&all[i]) && strings.Contains(all[i].Rule.Example, url) {
			return true
		}
	}
	return false
}

// address4 quotes a URL in which any address may stand in the place of the example's.
func address4(url string) string {
	var b strings.Builder
	for {
		at := literalIP.FindStringIndex(url)
		if at == nil {
			return b.String() + quote(url)
		}
		b.WriteString(quote(url[:at[0]]))
		b.WriteString(address)
		url = url[at[1]:]
	}
}
