package sendmail

import (
	"path"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// checkRoutes refuses a server that does not deliver by itself: all its mail goes to a smarthost.
func (s *site) checkRoutes() error {
	if host := s.cf.macro('S'); host != "" {
		return i18n.Errorf("sendmail.error.smarthost", "file", s.cf.name, "host", host)
	}
	if s.mc != nil {
		if host := s.mc.smartHost(); host != "" {
			return i18n.Errorf("sendmail.error.smarthost", "file", s.mc.name, "host", host)
		}
	}
	entries, file := s.mailertable()
	for _, e := range entries {
		if e[0] == "." { // ruleset Mailertable asks for it last
			return i18n.Errorf("sendmail.error.smarthost", "file", file, "host", e[1])
		}
	}
	return nil
}

// mailertable returns the operator's own routes and the file they are in.
func (s *site) mailertable() (entries [][2]string, file string) {
	def := s.cf.definition("K", "mailertable")
	if def == "" {
		return nil, ""
	}
	words := strings.Fields(def)
	file = strings.TrimSuffix(words[len(words)-1], ".db")
	text, err := s.sys.ReadFile(file) // only the indexed one is there, or it is LDAP: what is in it is not known
	if err != nil {
		return nil, ""
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 2 && !strings.HasPrefix(f[0], "#") {
			entries = append(entries, [2]string{f[0], strings.Join(f[1:], " ")})
		}
	}
	return entries, file
}

// checkNames refuses where the names that ukai uses mean something already.
func (s *site) checkNames() error {
	for _, n := range [][2]string{{"M", "ukai"}, {"K", "ukai"}, {"K", "ukai_up"}, {"K", "ukai_note"}} {
		if s.cf.defined(n[0], n[1]) {
			return i18n.Errorf("sendmail.error.taken", "file", s.cf.name, "line", n[0]+n[1])
		}
	}
	return nil
}

// checkMode refuses what cannot fail open here.
func (s *site) checkMode() error {
	if !s.steers() {
		return nil
	}
	if s.wish.Program == "" {
		return i18n.Errorf("sendmail.error.program")
	}
	for _, word := range []string{s.wish.Program, s.wish.Live, s.wish.Server} { // a K line is split at blanks, nothing can be quoted
		if strings.ContainsAny(word, " \t\"") {
			return i18n.Errorf("sendmail.error.blank", "word", word)
		}
	}
	return nil
}

// checkAuth refuses where the password would have to go among the operator's own.
func (s *site) checkAuth() error {
	if s.wish.Peer.Username == "" {
		return nil
	}
	if user := s.cf.options("RunAsUser"); len(user) > 0 && user[len(user)-1] != "" {
		return i18n.Errorf("sendmail.error.runas", "file", s.cf.name, "user", user[len(user)-1])
	}
	if s.cf.defined("K", "authinfo") || s.mc != nil && s.mc.authinfo() {
		return i18n.Errorf("sendmail.error.authinfo", "file", s.cf.name)
	}
	if def := strings.Fields(s.cf.definition("K", "access")); len(def) > 0 {
		name := strings.TrimSuffix(def[len(def)-1], ".db")
		text, _ := s.sys.ReadFile(name) // a file that is not there has no such line
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.ToLower(line), "authinfo:") {
				return i18n.Errorf("sendmail.error.authinfo", "file", name)
			}
		}
	}
	if s.cf.auth[0] == 0 {
		return i18n.Errorf("sendmail.error.unknown", "file", s.cf.name)
	}
	if !s.speaksPlain() {
		return i18n.Errorf("sendmail.error.sasl")
	}
	return nil
}

// speaksPlain tells whether Cyrus SASL, which Sendmail logs in by, has the mechanism PLAIN. Without it Sendmail would hand its
// mail over without a password, and what ukai refuses then goes back to the senders.
func (s *site) speaksPlain() bool {
	dirs := []string{"/usr/lib/sasl2", "/usr/lib64/sasl2", "/usr/local/lib/sasl2"}
	under, _ := s.sys.ReadDir("/usr/lib") // where it cannot be read, nothing is found
	for _, triplet := range under {
		dirs = append(dirs, path.Join("/usr/lib", triplet, "sasl2"))
	}
	for _, dir := range dirs {
		if names, _ := s.sys.ReadDir(dir); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "libplain.so") }) {
			return true
		}
	}
	return false
}

// tell fills in what was found, what is done, and what is not.
func (s *site) tell() {
	p, w := s.plan, s.wish
	p.Found = append(p.Found, mtaconf.N("sendmail.found", "version", p.Instance.Version, "file", s.cf.name))
	if s.mc != nil {
		p.Found = append(p.Found, mtaconf.N("sendmail.found_source", "file", s.mc.name))
	} else {
		p.Found = append(p.Found, mtaconf.N("sendmail.found_no_source", "file", s.cf.name))
	}
	if entries, file := s.mailertable(); len(entries) > 0 {
		p.Found = append(p.Found, mtaconf.N("sendmail.found_mailertable", "file", file, "n", len(entries)))
	}
	switch {
	case !s.steers():
		p.Does = append(p.Does, mtaconf.N("sendmail.does_relay", "peer", w.Peer.Literal()))
		p.Gaps = append(p.Gaps, mtaconf.N("sendmail.gap_relay"))
	case w.Live != "":
		p.Does = append(p.Does, mtaconf.N("sendmail.does_live", "peer", w.Peer.Literal(), "live", w.Live), mtaconf.N("sendmail.does_open"))
	default:
		p.Does = append(p.Does, mtaconf.N("sendmail.does_steer", "peer", w.Peer.Literal(), "file", domainsFile), mtaconf.N("sendmail.does_open"))
	}
	if s.steers() {
		p.Gaps = append(p.Gaps, mtaconf.N("sendmail.gap_first"), mtaconf.N("sendmail.gap_race"))
	}
	if w.Peer.TLS {
		p.Gaps = append(p.Gaps, mtaconf.N("sendmail.gap_tls"))
	}
}
