package postfix

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/mtaconf"
)

// server is what a plan is made from.
type server struct {
	sys     *mtaconf.System
	dir     string
	main    *mainCF
	master  *masterCF
	version version
}

// read reads the configuration of an instance. The error is for the operator, or one of the file system.
func read(sys *mtaconf.System, dir string) (*server, error) {
	s := &server{sys: sys, dir: dir}
	var err error
	if s.main, err = s.readMain(); err != nil {
		return nil, err
	}
	file := path.Join(dir, "master.cf")
	b, err := sys.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if s.master, err = readMaster(file, b); err != nil {
		return nil, err
	}
	s.version = s.readVersion()
	return s, nil
}

func (s *server) readMain() (*mainCF, error) {
	file := path.Join(s.dir, "main.cf")
	b, err := s.sys.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return readMain(file, b)
}

// version is major*100+minor: 307 is 3.7. Zero is not known.
type version int

func (v version) String() string {
	if v == 0 {
		return ""
	}
	return strconv.Itoa(int(v)/100) + "." + strconv.Itoa(int(v)%100)
}

// before tells whether the version is known and older.
func (v version) before(other version) bool { return v != 0 && v < other }

// daemonDirs are where distributions put the programs of Postfix.
var daemonDirs = []string{"/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/usr/lib/postfix", "/usr/lib/postfix/bin", "/usr/local/libexec/postfix"}

// readVersion finds the version in a program: each has the text "mail_version=3.7.11" in it, put there so that it can be found
// (MAIL_VERSION_STAMP in mail_version.h). main.cf does not tell it.
func (s *server) readVersion() version {
	dirs := daemonDirs
	if d := s.main.get("daemon_directory"); d != "" {
		dirs = append([]string{d}, dirs...)
	}
	for _, d := range dirs {
		b, err := s.sys.ReadFile(path.Join(d, "master"))
		if err != nil {
			continue
		}
		if _, after, ok := bytes.Cut(b, []byte("mail_version=")); ok {
			if v := parseVersion(string(after[:min(len(after), 20)])); v != 0 {
				return v
			}
		}
	}
	return 0
}

// parseVersion reads "3.7.11" and "3.9-20240101".
func parseVersion(s string) version {
	major, rest, ok := strings.Cut(s, ".")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(rest[:n])
	if !ok || err1 != nil || err2 != nil || a < 1 || a > 99 || b > 99 {
		return 0
	}
	return version(a*100 + b)
}

// command is a program of Postfix, told which instance is meant.
func (s *server) command(name string, args ...string) mtaconf.Command {
	program := path.Join(s.main.get("command_directory"), name)
	return mtaconf.Command{Args: append([]string{program, "-c", s.dir}, args...)}
}

// logs returns the files that syslog or postlogd writes to; none where there is only a journal.
func (s *server) logs() []string {
	if f := s.main.get("maillog_file"); f != "" {
		if !strings.HasPrefix(f, "/") || strings.HasPrefix(f, "/dev/") {
			return nil
		}
		return []string{f}
	}
	for _, f := range []string{"/var/log/mail.log", "/var/log/maillog", "/var/log/mail", "/var/log/mail/mail.log", "/usr/local/psa/var/log/maillog"} {
		if st, err := s.sys.Stat(f); err == nil && st.Mode().IsRegular() {
			return []string{f}
		}
	}
	return nil
}

// alarms are words by which Postfix says that a process cannot work: fatal(3), master(8), dict_open(3), qmgr(8).
var alarms = []string{"fatal:", "panic:", "unsupported dictionary type", "bad command startup -- throttling", "address resolver failure", "mail system configuration error"}

// alive returns an address where smtpd(8) or postscreen(8) greets.
func (s *server) alive() string {
	for i := range s.master.all {
		if v := &s.master.all[i]; v.admits() {
			host, port := s.listens(v.name)
			if port > 0 {
				return joinPort(host, port)
			}
		}
	}
	return ""
}

func joinPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// ports are the names that master.cf uses for ports (services(5)).
var ports = map[string]int{"smtp": 25, "smtps": 465, "submission": 587, "submissions": 465}

// listens reads the name of an inet service: "smtp", "127.0.0.1:10025", "[::1]:25", "host:service" (master(5)). Without a host it
// is the first of inet_interfaces.
func (s *server) listens(name string) (host string, port int) {
	name = s.main.expand(name, 0)
	word := name
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		host, word = strings.Trim(name[:i], "[]"), name[i+1:]
	}
	port = ports[word]
	if n, err := strconv.Atoi(word); err == nil {
		port = n
	}
	if host != "" {
		return host, port
	}
	if all := s.main.list("inet_interfaces"); len(all) > 0 && all[0] != "all" && all[0] != "loopback-only" && all[0] != "localhost" {
		return strings.Trim(all[0], "[]"), port
	}
	return "127.0.0.1", port
}

// indexed are the types of table that postmap(1) makes, with the ending of the file it makes.
var indexed = map[string]string{"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}

// tableType chooses the type of a table that is taken up without a reload, as trivial-rewrite(8) looks every ten seconds
// whether such a file has changed (DATABASE_README). Which types this Postfix was built with stands in no file. So it is one that
// this installation uses already: default_database_type where main.cf sets it, or that of a map. texthash is always there, but
// is read once.
func (s *server) tableType() string {
	if t := s.main.get("default_database_type"); indexed[t] != "" {
		return t
	}
	for _, name := range []string{"alias_maps", "alias_database", "transport_maps", "virtual_alias_maps", "virtual_mailbox_maps", "smtp_sasl_password_maps", "relay_domains", "mynetworks"} {
		for _, m := range s.main.list(name) {
			if t, _, ok := strings.Cut(strings.TrimPrefix(m, "proxy:"), ":"); ok && indexed[t] != "" {
				return t
			}
		}
	}
	if s.sys.Exists("/var/lib/dpkg/info/postfix.list") {
		return "hash" // Debian's is built with it; postfix-lmdb and the like are packages of their own
	}
	return "texthash"
}

// nobody is a user that spawn(8) may run a program as: neither root nor the owner of the mail system.
func (s *server) nobody() string {
	b, err := s.sys.ReadFile("/etc/passwd")
	if err != nil {
		return "nobody"
	}
	for _, name := range []string{"ukai", "nobody", "daemon"} {
		if bytes.HasPrefix(b, []byte(name+":")) || bytes.Contains(b, []byte("\n"+name+":")) {
			return name
		}
	}
	return "nobody"
}

// senders are the services that are smtp(8), by name.
func (s *server) senders() []*service {
	var all []*service
	for i := range s.master.all {
		if s.master.all[i].smtp() {
			all = append(all, &s.master.all[i])
		}
	}
	slices.SortFunc(all, func(a, b *service) int { return strings.Compare(a.name, b.name) })
	return all
}
