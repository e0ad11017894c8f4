package steer

import (
	"bytes"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// header stands in a file that is all ukai's and has no comment of its own yet.
const header = "# Written by ukai: the mail that takes the detour. What is changed here is written over.\n"

// fileText returns a file of routes with other routes in it, and how many there are. old is the file as it is; same tells that
// its routes are these already.
func fileText(f *mtaconf.RouteFile, d *Detours, old []byte) (text []byte, routes int, same bool, err error) {
	before, block, after, err := split(f, old)
	if err != nil {
		return nil, 0, false, err
	}
	var taken map[string]bool
	if f.Block {
		taken = keys(f.Format, before, after)
	}
	var b bytes.Buffer
	routes = writeRoutes(&b, f, d, taken)
	if bytes.Equal(b.Bytes(), bare(block)) {
		return old, routes, true, nil
	}
	if !f.Block {
		return slices.Concat(comments(block), b.Bytes()), routes, false, nil
	}
	return slices.Concat(before, []byte(mtaconf.BlockBegin+"\n"), b.Bytes(), []byte(mtaconf.BlockEnd+"\n"), after), routes, false, nil
}

// writeRoutes writes one line for each route. Domains that the operator has lines of his own for are left out.
func writeRoutes(b *bytes.Buffer, f *mtaconf.RouteFile, d *Detours, taken map[string]bool) (routes int) {
	list := d.Domains
	if f.Format == mtaconf.EximHosts {
		list = d.Hosts
	}
	head, tail, varies := strings.Cut(f.Value, "{domain}")
	between := ""
	switch f.Format {
	case mtaconf.PostfixTransport:
		between = " "
	case mtaconf.Mailertable:
		between = "\t"
	case mtaconf.SMTPRoutes:
		between = ":"
	}
	for _, domain := range list {
		if taken[domain] {
			continue
		}
		routes++
		b.WriteString(domain)
		if between != "" {
			b.WriteString(between)
			b.WriteString(head)
			if varies {
				b.WriteString(domain)
				b.WriteString(strings.ReplaceAll(tail, "{domain}", domain))
			}
		}
		b.WriteByte('\n')
	}
	return routes
}

// split takes a file apart: what is before and after the lines that are ukai's. A file with a beginning and no end is refused:
// nobody knows whose the lines below it are.
func split(f *mtaconf.RouteFile, old []byte) (before, block, after []byte, err error) {
	if !f.Block {
		return nil, old, nil, nil
	}
	from, body := line(old, mtaconf.BlockBegin, 0)
	end, rest := line(old, mtaconf.BlockEnd, max(body, 0))
	switch {
	case from < 0 && end < 0:
		if len(old) > 0 && old[len(old)-1] != '\n' {
			old = append(slices.Clip(old), '\n')
		}
		return old, nil, nil, nil
	case from < 0 || end < 0:
		return nil, nil, nil, i18n.Errorf("steer.file_block", "file", f.Path, "begin", mtaconf.BlockBegin, "end", mtaconf.BlockEnd)
	}
	return old[:from], old[body:end], old[rest:], nil
}

// line finds a line: where it begins, and where the next one does; -1 where it is not there.
func line(text []byte, want string, from int) (at, next int) {
	for at = from; at < len(text); at = next {
		next = len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if string(bytes.TrimRight(text[at:next], "\r\n \t")) == want {
			return at, next
		}
	}
	return -1, -1
}

// bare returns the lines that are no comments.
func bare(text []byte) []byte {
	if bytes.IndexByte(text, '#') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for l := range bytes.Lines(text) {
		if l[0] != '#' {
			out = append(out, l...)
		}
	}
	return out
}

// comments returns the comment that a file begins with.
func comments(text []byte) []byte {
	n := 0
	for l := range bytes.Lines(text) {
		if l[0] != '#' {
			break
		}
		n += len(l)
	}
	if n == 0 || text[n-1] != '\n' {
		return []byte(header)
	}
	return slices.Clip(text[:n])
}

// keys returns the domains that the operator's lines are about, in lower case.
func keys(format mtaconf.Format, texts ...[]byte) map[string]bool {
	ends := " \t\r\n"
	if format == mtaconf.SMTPRoutes {
		ends += ":"
	}
	found := make(map[string]bool)
	for _, text := range texts {
		for l := range bytes.Lines(text) {
			if i := bytes.IndexAny(l, ends); i > 0 && l[0] != '#' {
				found[strings.ToLower(string(l[:i]))] = true
			}
		}
	}
	return found
}
