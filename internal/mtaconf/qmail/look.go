package qmail

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// draft is a plan in the making.
type draft struct {
	sys  *mtaconf.System
	home string
	wish mtaconf.Wish
	plan *mtaconf.Plan

	program string // what the script takes the place of
	text    []byte // its content
	routes  []byte // control/smtproutes; nil: there is none
	gid     int    // the group that qmail-remote runs as
	known   bool   // whether gid was found
}

func (d *draft) found(key string, args ...any) {
	d.plan.Found = append(d.plan.Found, mtaconf.N(key, args...))
}
func (d *draft) does(key string, args ...any) {
	d.plan.Does = append(d.plan.Does, mtaconf.N(key, args...))
}
func (d *draft) gap(key string, args ...any) {
	d.plan.Gaps = append(d.plan.Gaps, mtaconf.N(key, args...))
}

func (d *draft) control(name string) string { return path.Join(d.home, "control", name) }

// optional reads a file that need not be there.
func (d *draft) optional(name string) ([]byte, error) {
	b, err := d.sys.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// look reads what there is.
func (d *draft) look() error {
	me, err := d.sys.ReadFile(d.control("me"))
	if err != nil {
		return i18n.Errorf("mtaconf.qmail.unread", "file", d.control("me"), "cause", err)
	}
	if err := d.findProgram(); err != nil {
		return err
	}
	if err := d.startedAs(); err != nil {
		return err
	}
	if d.routes, err = d.optional(d.control("smtproutes")); err != nil {
		return i18n.Errorf("mtaconf.qmail.unread", "file", d.control("smtproutes"), "cause", err)
	}
	d.found("mtaconf.qmail.found.kind", "kind", d.kind(), "dir", d.home, "name", firstLine(me))
	if d.program != path.Join(d.home, "bin/qmail-remote") {
		d.found("mtaconf.qmail.found.inner", "outer", path.Join(d.home, "bin/qmail-remote"), "inner", d.program)
	}
	if relay := defaultRoute(d.routes); relay != "" {
		d.found("mtaconf.qmail.found.smarthost", "relay", relay, "file", d.control("smtproutes"))
	}
	d.found("mtaconf.qmail.found.concurrency", "count", d.concurrency())
	d.findGroup()
	for _, log := range logs {
		if d.sys.Exists(log) {
			d.plan.Logs = append(d.plan.Logs, log)
		}
	}
	d.plan.Alarms = []string{"Unable_to_run_qmail-remote", "qmail-remote_crashed", "qmail-remote_produced_no_output"}
	return nil
}

// logs are where qmail-send's words go: by multilog (Life with qmail; notqmail's examples), or by splogger to syslog. The last is
// Plesk's.
var logs = []string{
	"/var/log/qmail/current", "/var/log/qmail/qmail-send/current", "/var/log/qmail/send/current", "/var/log/mail.log", "/var/log/maillog",
	"/usr/local/psa/var/log/maillog",
}

// concurrency is how many deliveries run at once (qmail-send(8): 20 unless control/concurrencyremote says otherwise).
func (d *draft) concurrency() int {
	b, err := d.sys.ReadFile(d.control("concurrencyremote"))
	if n, bad := strconv.Atoi(firstLine(b)); err == nil && bad == nil && n >= 0 {
		return n
	}
	return 20
}

// kind tells by files which qmail it is. It changes nothing but what people read.
func (d *draft) kind() string {
	for _, f := range []string{"/usr/local/psa/version", "/opt/psa/version"} {
		if d.sys.Exists(f) {
			return "Plesk qmail"
		}
	}
	spawn, err := d.sys.ReadFile(path.Join(d.home, "bin/qmail-rspawn"))
	switch {
	case d.sys.Exists(path.Join(d.home, "bin/qmail-smtpam")): // delivers by MX in s/qmail only
		return "s/qmail"
	case err == nil && bytes.Contains(spawn, []byte("QMAILREMOTE")):
		return "notqmail"
	case d.sys.Exists(path.Join(d.home, "bin/qmail-send")) && d.sys.Exists(path.Join(d.home, "doc")):
		return "netqmail"
	}
	return "qmail"
}

// longestChain is how many programs may stand before qmail's own.
const longestChain = 4

// findProgram finds the program that really delivers. What stands before it, a script or a program, names it by a name that
// begins with its own: qmail-remote.orig, qmail-remote.moved.
func (d *draft) findProgram() error {
	bin := path.Join(d.home, "bin")
	names, err := d.sys.ReadDir(bin)
	if err != nil {
		return i18n.Errorf("mtaconf.qmail.unread", "file", bin, "cause", err)
	}
	d.program = path.Join(bin, "qmail-remote")
	for range longestChain {
		if d.text, err = d.sys.ReadFile(d.program); err != nil {
			return i18n.Errorf("mtaconf.qmail.unread", "file", d.program, "cause", err)
		}
		inner := d.named(names)
		switch {
		case len(inner) == 1:
			d.program = path.Join(bin, inner[0])
		case len(inner) > 1:
			return i18n.Errorf("mtaconf.qmail.several", "file", d.program, "names", strings.Join(inner, ", "))
		case bytes.HasPrefix(d.text, []byte("#!")):
			return i18n.Errorf("mtaconf.qmail.script", "file", d.program)
		default:
			return nil
		}
	}
	return i18n.Errorf("mtaconf.qmail.script", "file", d.program)
}

// named returns which of the programs beside it the text names. Of names that begin alike only the longest counts.
func (d *draft) named(names []string) []string {
	self := path.Base(d.program)
	var found []string
	for _, n := range names {
		if n != self && strings.HasPrefix(n, "qmail-remote") && mentions(d.text, n) && !strings.HasSuffix(n, originalSuffix) {
			found = append(found, n)
		}
	}
	return found
}

// mentions tells whether a text has a name as a whole: no longer name with it at its beginning or end.
func mentions(text []byte, name string) bool {
	for rest := text; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return false
		}
		end := i + len(name)
		if (i == 0 || !inName(rest[i-1])) && (end == len(rest) || !inName(rest[end])) {
			return true
		}
		rest = rest[end:]
	}
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// starters are the files that start qmail-send, from whose environment QMAILREMOTE would come.
var starters = []string{
	"/var/qmail/rc", "/var/qmail/supervise/qmail-send/run", "/service/qmail-send/run", "/service/qmail/run", "/etc/service/qmail-send/run",
	"/var/service/qmail-send/run", "/etc/init.d/qmail", "/etc/rc.d/qmail", "/usr/local/etc/rc.d/qmail", "/etc/default/qmail",
}

// startedAs refuses an installation whose qmail-rspawn is told to start something else.
func (d *draft) startedAs() error {
	for _, file := range starters {
		b, err := d.sys.ReadFile(file)
		if err != nil {
			continue // most are not there
		}
		for l := range strings.Lines(string(b)) {
			l = strings.TrimSpace(l)
			if strings.HasPrefix(l, "#") {
				continue
			}
			if _, value, ok := strings.Cut(l, "QMAILREMOTE="); ok && !strings.Contains(value, path.Join(d.home, "bin/qmail-remote")) {
				return i18n.Errorf("mtaconf.qmail.started", "file", file, "line", l, "program", path.Join(d.home, "bin/qmail-remote"))
			}
			if strings.Contains(l, "softlimit") {
				d.found("mtaconf.qmail.found.softlimit", "file", file)
			}
		}
	}
	return nil
}

// findGroup finds the group of the user who runs qmail-remote (qmail-users(5) of the installation: qmailr).
func (d *draft) findGroup() {
	b, err := d.sys.ReadFile("/etc/passwd")
	if err != nil {
		return
	}
	for l := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(l), ":")
		if len(f) < 4 || f[0] != "qmailr" {
			continue
		}
		if gid, err := strconv.Atoi(f[3]); err == nil {
			d.gid, d.known = gid, true
		}
	}
}

func firstLine(b []byte) string {
	l, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(l)
}

// defaultRoute returns the relay that control/smtproutes names for all hosts (qmail-remote(8)).
func defaultRoute(routes []byte) string {
	for l := range strings.Lines(string(routes)) {
		if relay, ok := strings.CutPrefix(strings.TrimRight(l, " \t\r\n"), ":"); ok {
			return relay
		}
	}
	return ""
}
