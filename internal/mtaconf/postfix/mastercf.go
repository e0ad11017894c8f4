package postfix

import (
	"strings"

	"ukai/internal/i18n"
)

// service is a line of master.cf (master(5)).
type service struct {
	entry
	name, kind string // "smtp", "unix"
	private    string // the columns as written
	unpriv     string
	chroot     string
	process    string            // maxproc
	command    string            // the program: "smtp"
	args       string            // what stands behind it, as written
	options    map[string]string // "-o name=value"
}

// masterCF is a master.cf.
type masterCF struct {
	*text
	path string
	all  []service
}

// readMaster reads a master.cf. The error is for the operator.
func readMaster(file string, b []byte) (*masterCF, error) {
	m := &masterCF{text: parse(b), path: file}
	all, ok := m.entries()
	if !ok {
		return nil, i18n.Errorf("postfix.refuse.syntax", "file", file, "line", firstText(m.text), "text", "")
	}
	for _, e := range all {
		s, ok := readService(e)
		if !ok {
			return nil, i18n.Errorf("postfix.refuse.syntax", "file", file, "line", e.first+1, "text", strings.TrimSpace(e.text))
		}
		m.all = append(m.all, s)
	}
	return m, nil
}

// readService reads "name type private unpriv chroot wakeup maxproc command args".
func readService(e entry) (s service, ok bool) {
	var f []string
	rest := strings.Trim(e.text, space)
	for range 8 {
		var word string
		if word, rest, ok = nextWord(rest); !ok {
			return s, false
		}
		f = append(f, word)
	}
	s = service{entry: e, name: f[0], kind: f[1], private: f[2], unpriv: f[3], chroot: f[4], process: f[6], command: f[7], args: rest}
	switch s.kind {
	case "inet", "unix", "unix-dgram", "fifo", "pass":
	default:
		return s, false
	}
	s.options = options(rest)
	return s, true
}

// nextWord takes a word off the beginning: white space divides words, but not inside braces (master(5), Postfix 3.0).
func nextWord(s string) (word, rest string, ok bool) {
	s = strings.TrimLeft(s, space)
	if s == "" {
		return "", "", false
	}
	if s[0] == '{' {
		if inner, after, ok := enclosed(s); ok {
			return strings.Trim(inner, space), strings.TrimLeft(after, space), true
		}
	}
	n := strings.IndexAny(s, space)
	if n < 0 {
		return s, "", true
	}
	return s[:n], strings.TrimLeft(s[n:], space), true
}

// options reads "-o name=value", "-o { name = value }" and "-oname=value"; of an option that stands twice, the last counts.
func options(args string) map[string]string {
	all := make(map[string]string)
	for word, rest, ok := nextWord(args); ok; word, rest, ok = nextWord(rest) {
		var setting string
		switch {
		case word == "-o":
			if setting, rest, ok = nextWord(rest); !ok {
				return all
			}
		case strings.HasPrefix(word, "-o"):
			setting = word[2:]
		default:
			continue
		}
		if name, value, ok := nameValue(setting); ok {
			all[name] = value
		}
	}
	return all
}

// find returns a service of type unix by name.
func (m *masterCF) find(name string) *service {
	for i := range m.all {
		if m.all[i].name == name && m.all[i].kind == "unix" {
			return &m.all[i]
		}
	}
	return nil
}

// client returns a service that mail can be given to by name, and whether it is an smtp(8) that speaks SMTP.
func (m *masterCF) client(name string) (s *service, smtp bool) {
	if s = m.find(name); s == nil {
		return nil, false
	}
	smtp = s.smtp()
	return s, smtp
}

// smtp tells whether the service is an SMTP client whose parameters are smtp_*. (lmtp is the same program under another name,
// with parameters lmtp_*.)
func (s *service) smtp() bool { return s.kind == "unix" && s.command == "smtp" }

// admits tells whether the service is one that greets whoever connects.
func (s *service) admits() bool {
	if s.kind != "inet" || s.options["smtpd_tls_wrappermode"] == "yes" {
		return false
	}
	return s.command == "smtpd" || s.command == "postscreen"
}
