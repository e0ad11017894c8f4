package exim

import (
	"regexp"
	"strings"

	"ukai/internal/i18n"
)

// way is a router that finds the servers of other people by their MX records, with the transports that its mail can go by.
type way struct {
	router     *driver
	transports []*driver
}

// own is what the names of our routers, transports and authenticators begin with. A file that is made from another one by the
// panel (cPanel) has them in it.
const own = "ukai_"

// waysOut returns the ways by which mail leaves for elsewhere, or why ours cannot be put before them.
func (c *conf) waysOut() ([]way, error) {
	var ways []way
	var smarthost *driver
	for _, d := range c.drivers {
		if d.section != "routers" || strings.HasPrefix(d.name, own) {
			continue
		}
		switch d.options["driver"] {
		case "manualroute":
			if smarthost == nil && catchesAll(d) {
				smarthost = d
			}
		case "dnslookup":
			if smarthost != nil || isOn(d.options["verify_only"]) {
				continue // it is never reached by mail
			}
			w, err := c.wayBy(d)
			if err != nil {
				return nil, err
			}
			ways = append(ways, w)
		}
	}
	if len(ways) > 0 {
		return ways, c.names()
	}
	if smarthost != nil {
		to := smarthost.options["route_list"] + smarthost.options["route_data"]
		return nil, i18n.Errorf("mtaconf.exim.error.smarthost", "router", smarthost.name, "path", smarthost.at.src.path,
			"line", smarthost.at.from+1, "route", to)
	}
	return nil, i18n.Errorf("mtaconf.exim.error.no_router", "path", c.sources[0].path)
}

// names returns an error where one of ours would meet another of its name in a file that people write.
func (c *conf) names() error {
	if c.generated {
		return nil
	}
	for _, d := range c.drivers {
		if strings.HasPrefix(d.name, own) {
			return i18n.Errorf("mtaconf.exim.error.taken", "path", d.at.src.path, "line", d.at.from+1, "name", d.name)
		}
	}
	return nil
}

// sideEffect is an expansion that does something, as panels use for counting mail.
var sideEffect = regexp.MustCompile(`\$\{(perl|run|acl|readsocket|dlfunc)\b`)

// countsTwice returns a router whose condition does something each time it is looked at. With a file our router looks at it only
// when it takes the mail; the live lookup comes after it, for every message.
func countsTwice(ways []way) *stmt {
	for _, w := range ways {
		for i, st := range w.router.stmts {
			if key, value := keyValue(st.text); st.kind == option && key == "condition" && sideEffect.MatchString(value) {
				return &w.router.stmts[i]
			}
		}
	}
	return nil
}

// wayBy looks the transports of a router up.
func (c *conf) wayBy(d *driver) (way, error) {
	if isOn(d.options["unseen"]) {
		return way{}, i18n.Errorf("mtaconf.exim.error.unseen", "router", d.name, "path", d.at.src.path, "line", d.at.from+1)
	}
	w := way{router: d}
	value := d.options["transport"]
	for _, t := range c.drivers {
		if t.section != "transports" || strings.HasPrefix(t.name, own) {
			continue
		}
		if t.name == value || strings.Contains(value, "$") && hasWord(value, t.name) {
			w.transports = append(w.transports, t)
		}
	}
	for _, t := range w.transports {
		if p, set := t.options["protocol"]; t.options["driver"] != "smtp" || set && p != "smtp" {
			return way{}, i18n.Errorf("mtaconf.exim.error.transport", "router", d.name, "transport", t.name, "path", t.at.src.path,
				"line", t.at.from+1)
		}
	}
	if len(w.transports) == 0 {
		return way{}, i18n.Errorf("mtaconf.exim.error.no_transport", "router", d.name, "path", d.at.src.path, "line", d.at.from+1,
			"transport", value)
	}
	return w, nil
}

var word = regexp.MustCompile(`[A-Za-z0-9_]+`)

func hasWord(text, name string) bool {
	for _, w := range word.FindAllString(text, -1) {
		if w == name {
			return true
		}
	}
	return false
}

// catchesAll tells whether a manualroute router takes all mail for elsewhere: the server has a smarthost already.
func catchesAll(d *driver) bool {
	for _, key := range []string{"condition", "senders", "require_files", "local_parts", "check_local_user", "verify_only"} {
		if _, set := d.options[key]; set {
			return false
		}
	}
	if domains := strings.TrimSpace(d.options["domains"]); domains != "" && !strings.HasPrefix(domains, "!") && domains != "*" {
		return false
	}
	if list := d.options["route_list"]; list != "" {
		return strings.HasPrefix(list, "*") && !strings.HasPrefix(list, "*.") || strings.HasPrefix(list, "!")
	}
	data := d.options["route_data"]
	return data != "" && !strings.Contains(data, "$")
}

// above returns the line before which a text stands that belongs to a driver: above the comments that belong to it.
func (d *driver) above() position {
	i := d.at.from
	for i > 0 && strings.HasPrefix(strings.TrimSpace(d.at.src.lines[i-1]), "#") {
		i--
	}
	return position{d.at.src, i}
}

// body returns the lines of a driver that keep wants, as they stand, with the .ifdef around them.
func (d *driver) body(keep func(key string) bool) []string {
	var out []string
	var open []int // where in out a .ifdef stands that is not closed
	for _, st := range d.stmts {
		switch {
		case st.kind == directive:
			word, _, _ := strings.Cut(st.text, " ")
			switch {
			case strings.HasPrefix(word, ".include"):
				continue
			case strings.HasPrefix(word, ".if"):
				open = append(open, len(out))
			case len(open) == 0: // the end of one that began before the driver
				return out
			case word == ".endif":
				at := open[len(open)-1]
				open = open[:len(open)-1]
				if at == len(out)-1 { // nothing is left between
					out = out[:at]
					continue
				}
			}
			out = append(out, withEnd(st.raw))
		case (st.kind == option || st.kind == off) && strings.TrimSpace(st.raw) != "" && !strings.HasPrefix(strings.TrimSpace(st.raw), "#"):
			if key, _ := keyValue(strings.TrimSpace(st.raw)); keep(key) {
				out = append(out, withEnd(st.raw))
			}
		}
	}
	if len(open) > 0 { // of one that ends behind the driver
		out = out[:open[0]]
	}
	return out
}

// withEnd returns lines with the plain line end, also behind the last one.
func withEnd(raw string) string {
	return strings.TrimRight(strings.ReplaceAll(raw, "\r\n", "\n"), "\n") + "\n"
}

// raw returns the value of an option as it is written, with its continuation lines; "" where it is not set.
func (d *driver) raw(key string) string {
	for _, st := range d.stmts {
		if k, _ := keyValue(st.text); st.kind != option || k != key {
			continue
		}
		_, value, ok := strings.Cut(st.raw, "=")
		if !ok {
			return ""
		}
		return strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n"))
	}
	return ""
}
