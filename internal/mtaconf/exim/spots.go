package exim

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// inFile is the spot before a line of a file that was read.
func inFile(p position) spot { return spot{path: p.src.path, line: p.line} }

// routerSpot is where the router before another one goes.
func (d *draft) routerSpot(r *driver) spot {
	switch d.layout.kind {
	case splitConf:
		if s, ok := d.partBefore(r); ok {
			return s
		}
	case cpanel:
		return d.local("POSTMAILCOUNT")
	case directAdmin:
		if s, ok := d.included("routers", "routers.pre"); ok {
			return s
		}
	}
	return inFile(r.above())
}

// transportSpot is where the copy of a transport goes.
func (d *draft) transportSpot(t *driver) spot {
	switch d.layout.kind {
	case splitConf:
		return spot{path: path.Join(d.layout.path, "transport/30_ukai")}
	case cpanel:
		return d.local("TRANSPORTSTART")
	case directAdmin:
		if s, ok := d.included("transports", "transports.pre"); ok {
			return s
		}
	}
	return inFile(t.above())
}

// retrySpot is where the rule for ukai goes: before all others.
func (d *draft) retrySpot() spot {
	switch d.layout.kind {
	case splitConf:
		return spot{path: path.Join(d.layout.path, "retry/10_ukai")}
	case cpanel:
		return d.local("RETRYSTART")
	}
	return d.sectionSpot("retry")
}

// loginSpot is where the authenticator goes.
func (d *draft) loginSpot() spot {
	switch d.layout.kind {
	case splitConf:
		return spot{path: path.Join(d.layout.path, "auth/10_ukai")}
	case cpanel:
		return d.local("AUTH")
	case directAdmin:
		if s, ok := d.included("authenticators", "authenticators."); ok {
			return s
		}
	}
	return d.sectionSpot("authenticators")
}

// sectionSpot is the beginning of a section; of one that is not there, the end of the file.
func (d *draft) sectionSpot(section string) spot {
	if at, ok := d.conf.begins[section]; ok {
		return inFile(at)
	}
	src := d.conf.sources[0]
	return spot{path: src.path, line: len(src.lines) + len(section), head: "\nbegin " + section + "\n\n"}
}

// included is the end of a file that a section reads (DirectAdmin has such files for what administrators add).
func (d *draft) included(section, name string) (spot, bool) {
	for _, i := range d.conf.includes {
		if i.section == section && strings.Contains(path.Base(i.path), name) {
			s := spot{path: i.path}
			if src := d.conf.source(i.path); src != nil {
				s.line = len(src.lines)
			}
			return s, true
		}
	}
	return spot{}, false
}

// local is a section of cPanel's exim.conf.local: a line "@NAME@", and all up to the next such line.
func (d *draft) local(section string) spot {
	mark := "@" + section + "@"
	src, err := open(d.sys, cpanelLocal)
	if err != nil {
		src = &source{path: cpanelLocal}
	}
	for i, line := range src.lines {
		if strings.TrimSpace(line) == mark {
			return spot{path: cpanelLocal, line: i + 1}
		}
	}
	// Sections that are missing come at the end, each at a place of its own.
	place := map[string]int{"AUTH": 1, "POSTMAILCOUNT": 2, "RETRYSTART": 3, "TRANSPORTSTART": 4}[section]
	return spot{path: cpanelLocal, line: len(src.lines) + place, head: "\n" + mark + "\n"}
}

// partBefore is a file of Debian's conf.d of our own, read directly before the one that a router is in: a file of the package is
// left alone, because the next update of the package would ask what to do with the change. It is not possible where a router of
// another kind stands before it in that file, or where its lines need a macro that is defined there.
func (d *draft) partBefore(r *driver) (spot, bool) {
	src := r.at.src
	for _, o := range d.conf.drivers {
		if o.section == "routers" && o.at.src == src && o.at.from < r.at.from && o.options["driver"] != "dnslookup" {
			return spot{}, false
		}
	}
	text := strings.Join(r.body(func(key string) bool { return !slices.Contains(notOurs, bare(key)) }), "")
	for _, name := range d.conf.defined[src] {
		if strings.Contains(text, name) {
			return spot{}, false
		}
	}
	base := path.Base(src.path)
	digits := base[:len(base)-len(strings.TrimLeft(base, "0123456789"))]
	n, err := strconv.Atoi(digits)
	if err != nil || n == 0 {
		return spot{}, false
	}
	name := fmt.Sprintf("%0*d_ukai", len(digits), n-1)
	if names, err := d.sys.ReadDir(path.Dir(src.path)); err != nil || between(names, name, base) {
		return spot{}, false
	}
	s := spot{path: path.Join(path.Dir(src.path), name)}
	for _, c := range r.conds {
		if c.other {
			return spot{}, false
		}
		s.head += withEnd(c.head.raw)
		s.foot += ".endif\n"
	}
	return s, true
}

// between tells whether a name lies between two others, or is one of the first kind already: parts are read by their names.
func between(names []string, from, to string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n >= from && n < to })
}
