package postfix

import (
	"path"
	"strings"

	"ukai/internal/i18n"
)

// mainCF is a main.cf.
type mainCF struct {
	*text
	path   string
	values map[string]string // as written; of a parameter that stands twice, the last
	at     map[string]entry
	work   int // how often expand was called for the parameter in hand
}

// readMain reads a main.cf. The error is for the operator.
func readMain(file string, b []byte) (*mainCF, error) {
	m := &mainCF{text: parse(b), path: file, values: make(map[string]string), at: make(map[string]entry)}
	all, ok := m.entries()
	if !ok {
		return nil, i18n.Errorf("postfix.refuse.syntax", "file", file, "line", firstText(m.text), "text", "")
	}
	for _, e := range all {
		name, value, ok := nameValue(e.text)
		if !ok {
			return nil, i18n.Errorf("postfix.refuse.syntax", "file", file, "line", e.first+1, "text", e.text)
		}
		m.values[name], m.at[name] = value, e
	}
	return m, nil
}

// firstText is the number of the first line that says something.
func firstText(t *text) int {
	for i, l := range t.lines {
		if bare := strings.Trim(l, space); bare != "" && bare[0] != '#' {
			return i + 1
		}
	}
	return 1
}

// nameValue splits "name = value" (split_nameval(3)).
func nameValue(s string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(s, "=")
	name = strings.Trim(name, space)
	return name, strings.Trim(value, space), ok && name != "" && !strings.ContainsAny(name, space)
}

// defaults are those of postconf(5) for parameters that are looked at here and are not empty by default.
var defaults = map[string]string{
	"command_directory":                    "/usr/sbin",
	"queue_directory":                      "/var/spool/postfix",
	"default_transport":                    "smtp",
	"relay_transport":                      "relay",
	"inet_interfaces":                      "all",
	"smtp_fallback_relay":                  "$fallback_relay",
	"smtp_delivery_status_filter":          "$default_delivery_status_filter",
	"smtp_mx_session_limit":                "2",
	"smtp_sasl_security_options":           "noplaintext, noanonymous",
	"smtp_sasl_tls_security_options":       "$smtp_sasl_security_options",
	"smtp_tls_security_level":              "",
	"process_id_directory":                 "pid",
	"multi_instance_enable":                "no",
	"soft_bounce":                          "no",
	"disable_dns_lookups":                  "no",
	"smtp_sasl_auth_enable":                "no",
	"smtp_sender_dependent_authentication": "no",
}

// raw returns a parameter as it is written, or its default.
func (m *mainCF) raw(name string) string {
	if v, ok := m.values[name]; ok {
		return v
	}
	if name == "config_directory" {
		return path.Dir(m.path)
	}
	return defaults[name]
}

// get returns a parameter with everything put in.
func (m *mainCF) get(name string) string {
	m.work = 0
	return m.expand(m.raw(name), 0)
}

// yes tells whether a parameter is switched on.
func (m *mainCF) yes(name string) bool { return strings.EqualFold(m.get(name), "yes") }

// list returns the elements of a list: divided by commas or white space, but not inside braces (postconf(5)).
func (m *mainCF) list(name string) []string { return fields(m.get(name)) }

func fields(s string) []string {
	var all []string
	depth, from := 0, -1
	for i := 0; i <= len(s); i++ {
		end := i == len(s) || depth == 0 && strings.IndexByte(", \t\r\n", s[i]) >= 0
		switch {
		case end && from >= 0:
			all, from = append(all, s[from:i]), -1
		case !end && from < 0:
			from = i
		}
		if i < len(s) && s[i] == '{' {
			depth++
		} else if i < len(s) && s[i] == '}' && depth > 0 {
			depth--
		}
	}
	return all
}

// set gives a parameter a value: in its place where the file has it, else at the end.
func (m *mainCF) set(name, value string) {
	line := name + " = " + value
	if e, ok := m.at[name]; ok {
		m.replace(e, line)
	} else {
		m.add(line)
	}
	m.values[name] = value
}

// put adds to a list: behind what is there, or as a parameter of its own.
func (m *mainCF) put(name, more string) {
	e, ok := m.at[name]
	switch {
	case ok && m.values[name] != "":
		m.extend(e, ", "+more)
	default:
		m.set(name, more)
	}
}
