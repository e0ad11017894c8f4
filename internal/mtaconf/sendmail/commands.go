package sendmail

import (
	"net"
	"strings"

	"ukai/internal/mtaconf"
)

// The places of the program, of the file with the number of its process, and of its log: the first that is there is taken.
var (
	programs = []string{"/usr/libexec/sendmail/sendmail", "/usr/lib/sm.bin/sendmail", "/usr/sbin/sendmail.sendmail", "/usr/lib/sendmail", "/usr/sbin/sendmail"}
	pidFiles = []string{"/var/run/sendmail/mta/sendmail.pid", "/run/sendmail/mta/sendmail.pid", "/var/run/sendmail.pid", "/run/sendmail.pid", "/etc/mail/sendmail.pid"}
	logFiles = []string{"/var/log/maillog", "/var/log/mail.log"}
)

// first returns the first that is there, or the last.
func (s *site) first(names []string) string {
	for _, name := range names {
		if s.sys.Exists(name) {
			return name
		}
	}
	return names[len(names)-1]
}

// commands fills in how Sendmail checks what was written, and takes it up.
//
// In test mode (-bt) it reads the whole file and ends with 70 (EX_SOFTWARE) when a line makes no sense. At a SIGHUP it starts
// itself anew with the file as it is then; the first line of its file is the number of its process. Where it does not run
// there is nothing to take up.
func (s *site) commands() {
	pid := ""
	if set := s.cf.options("PidFile"); len(set) > 0 {
		pid = set[len(set)-1]
	}
	if pid == "" {
		pid = s.first(pidFiles)
	}
	s.plan.Check = []mtaconf.Command{{Args: []string{s.first(programs), "-C" + s.cf.name, "-bt", "-d0.1"}, Quiet: true}}
	s.plan.Reload = []mtaconf.Command{{Args: []string{"/bin/sh", "-c", `if [ -s "$0" ]; then read -r pid <"$0" && kill -HUP "$pid"; fi`, pid}, Quiet: true}}
	s.plan.Alive = alive(s.cf.options("DaemonPortOptions"))
	s.plan.Logs = []string{s.first(logFiles)}
	s.plan.Alarms = []string{s.cf.name + ": line ", "unknown mailer", "Infinite loop in ruleset", "rewrite: map "}
}

// alive returns an address that the server takes mail at, from the values of DaemonPortOptions: "Name=MTA-v4, Family=inet,
// Addr=127.0.0.1, Port=smtp". Without any it is port 25 (op.me). One that wants TLS or AUTH first (modifiers s and a) or
// that is a local socket does not greet just so.
func alive(values []string) string {
	if len(values) == 0 {
		return "127.0.0.1:25"
	}
	for _, v := range values {
		set := map[string]string{"p": "25"}
		for part := range strings.SplitSeq(v, ",") {
			if key, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && key != "" {
				set[strings.ToLower(key[:1])] = strings.TrimSpace(value)
			}
		}
		if f := strings.ToLower(set["f"]); f != "" && !strings.HasPrefix(f, "inet") || strings.Contains(set["m"], "s") {
			continue
		}
		host, port := strings.Trim(strings.TrimPrefix(set["a"], "IPv6:"), "[]"), set["p"]
		switch {
		case (host == "" || host == "::") && set["f"] == "inet6":
			host = "::1"
		case host == "" || host == "0.0.0.0":
			host = "127.0.0.1"
		}
		switch strings.ToLower(port) {
		case "smtp":
			port = "25"
		case "submission":
			port = "587"
		}
		return net.JoinHostPort(host, port)
	}
	return ""
}
