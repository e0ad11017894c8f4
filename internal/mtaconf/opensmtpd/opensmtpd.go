// Package opensmtpd plans how an OpenSMTPD is connected to ukai.
//
// # What there is to connect
//
// OpenSMTPD has one file, smtpd.conf(5). An action says how mail is delivered, a match rule says which mail an action is for, and
// the first rule that fits when a message is received decides, for as long as the message is in the queue. An action with a host
// sends to that host; one without looks up the MX. There are no alternatives within an action: what is refused with 5xx bounces,
// and a host that is down is tried again later, by the same action.
//
// So there is no safety net here, and no way back from a detour that is down. As a relay, ukai stands before the refusal and loses
// nothing: smtpd keeps what ukai does not take. To steer, a rule before the general one sends mail for the domains of a file to
// ukai. Package steer writes the file while a provider is blocked; `smtpctl update table` has smtpd read it.
//
// # What is left alone
//
// Actions that relay as a backup MX: what they send is on its way in, not out. Rules that are for some domains only: they were
// written for a reason that ukai does not know.
package opensmtpd

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// configs are where the file is: Debian; OpenBSD and FreeBSD ports; Fedora; Alpine and Arch; FreeBSD.
var configs = []string{"/etc/smtpd.conf", "/etc/mail/smtpd.conf", "/etc/opensmtpd/smtpd.conf", "/etc/smtpd/smtpd.conf", "/usr/local/etc/mail/smtpd.conf"}

// programs are where smtpd is.
var programs = []string{"/usr/sbin/smtpd", "/usr/local/sbin/smtpd"}

// Planner plans for OpenSMTPD.
type Planner struct{}

// New returns the planner.
func New() mtaconf.Planner { return Planner{} }

// MTA returns the kind.
func (Planner) MTA() mtaconf.MTA { return mtaconf.OpenSMTPD }

// Modes returns what can be asked for, the default first.
func (Planner) Modes() []mtaconf.Mode { return []mtaconf.Mode{mtaconf.Relay, mtaconf.Steer} }

// Find returns the installations. Other programs are called smtpd too, so the program alone is none.
func (Planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	for _, c := range configs {
		if sys.Exists(c) && program(sys, "smtpd") != "" {
			return []mtaconf.Instance{{MTA: mtaconf.OpenSMTPD, Dir: c}}, nil
		}
	}
	return nil, nil
}

// program returns the path of smtpd, or of a program beside it; "" if it is not there.
func program(sys *mtaconf.System, name string) string {
	for _, p := range programs {
		if p = path.Join(path.Dir(p), name); sys.Exists(p) {
			return p
		}
	}
	return ""
}

// draft is a plan in the making.
type draft struct {
	sys        *mtaconf.System
	wish       mtaconf.Wish
	plan       *mtaconf.Plan
	file       string
	text       string
	statements []statement
	changes    []change
}

// change is a text that is put into the file.
type change struct {
	at   int
	text string
}

// Plan returns what would be changed.
func (p Planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	if w.Mode == "" {
		w.Mode = mtaconf.Relay
	}
	if !slices.Contains(p.Modes(), w.Mode) {
		return nil, i18n.Errorf("mtaconf.opensmtpd.mode", "mode", w.Mode)
	}
	d := &draft{sys: sys, wish: w, file: inst.Dir, plan: &mtaconf.Plan{Instance: inst, Mode: w.Mode}}
	if err := d.read(); err != nil {
		return nil, err
	}
	if err := d.login(); err != nil {
		return nil, err
	}
	steps := d.relay
	if w.Mode == mtaconf.Steer {
		steps = d.steer
	}
	if err := steps(); err != nil {
		return nil, err
	}
	d.plan.Files = append(d.plan.Files, mtaconf.File{Path: d.file, Text: []byte(d.changed()), Perm: 0o644})
	d.around()
	return d.plan, nil
}

// read reads the file and refuses what it cannot see to the end of.
func (d *draft) read() error {
	b, err := d.sys.ReadFile(d.file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return i18n.Errorf("mtaconf.opensmtpd.gone", "file", d.file)
		}
		return i18n.Errorf("mtaconf.opensmtpd.unread", "file", d.file, "cause", err)
	}
	d.text = string(b)
	if d.statements, err = parse(d.text); err != nil {
		return i18n.Errorf("mtaconf.opensmtpd.unread", "file", d.file, "cause", err)
	}
	for _, s := range d.statements {
		switch first := s.word(0); {
		case first.is("include"):
			return i18n.Errorf("mtaconf.opensmtpd.include", "file", d.file, "line", s.line, "included", s.word(1).text)
		case first.is("accept"), first.is("reject") && s.word(1).is("from"):
			return i18n.Errorf("mtaconf.opensmtpd.old", "file", d.file, "line", s.line)
		case (first.is("table") || first.is("action")) && strings.HasPrefix(s.word(1).text, ours):
			return i18n.Errorf("mtaconf.opensmtpd.taken", "file", d.file, "line", s.line, "name", s.word(1).text)
		}
	}
	return nil
}

// ours is how the names of tables and actions begin that ukai puts in.
const ours = "ukai_"

// changed returns the file with the changes in it.
func (d *draft) changed() string {
	slices.SortStableFunc(d.changes, func(a, b change) int { return a.at - b.at })
	var b strings.Builder
	at := 0
	for _, c := range d.changes {
		b.WriteString(d.text[at:c.at])
		b.WriteString(c.text)
		at = c.at
	}
	b.WriteString(d.text[at:])
	return b.String()
}

// lineOf returns where the line begins in which a statement begins.
func (d *draft) lineOf(s statement) int {
	return strings.LastIndexByte(d.text[:s.tokens[0].from], '\n') + 1
}

// around fills in what does not depend on the mode.
func (d *draft) around() {
	smtpd := program(d.sys, "smtpd")
	if smtpd == "" {
		smtpd = programs[0]
	}
	d.plan.Check = []mtaconf.Command{{Args: []string{smtpd, "-n", "-f", d.file}, Quiet: true}}
	d.plan.Reload = []mtaconf.Command{restart(d.sys)}
	d.plan.Alive = d.alive()
	for _, log := range []string{"/var/log/mail.log", "/var/log/maillog"} {
		if d.sys.Exists(log) {
			d.plan.Logs = append(d.plan.Logs, log)
		}
	}
	d.plan.Alarms = []string{"fatal: "}
	d.plan.Does = append(d.plan.Does, mtaconf.N("mtaconf.opensmtpd.does.restart"))
}

// restart returns the command that starts smtpd anew: it has no other way to take up a configuration (smtpctl(8) can only read
// tables again).
func restart(sys *mtaconf.System) mtaconf.Command {
	for _, name := range []string{"opensmtpd", "smtpd"} {
		for _, dir := range []string{"/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system"} {
			if sys.Exists("/run/systemd/system") && sys.Exists(path.Join(dir, name+".service")) {
				return mtaconf.Command{Args: []string{"systemctl", "restart", name + ".service"}}
			}
		}
		for _, dir := range []string{"/etc/init.d", "/usr/local/etc/rc.d"} {
			if script := path.Join(dir, name); sys.Exists(script) {
				return mtaconf.Command{Args: []string{script, "restart"}}
			}
		}
	}
	return mtaconf.Command{Args: []string{"rcctl", "restart", "smtpd"}} // OpenBSD
}

// alive returns an address that smtpd greets on. Names of interfaces say none, and a listener for implicit TLS does not greet.
func (d *draft) alive() string {
	for _, s := range d.statements {
		if !s.word(0).is("listen") || s.index("smtps", 3) >= 0 {
			continue
		}
		host := s.word(2).text
		if host == "localhost" || host == "all" {
			host = "127.0.0.1"
		}
		if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
			continue
		}
		if port, ok := port(s); ok {
			return mtaconf.Peer{Host: host, Port: port}.Address()
		}
	}
	return ""
}

// port returns the port of a listener; the names are those that are in use for mail (services(5)).
func port(s statement) (int, bool) {
	i := s.index("port", 3)
	if i < 0 {
		return 25, true
	}
	if n, ok := map[string]int{"smtp": 25, "submission": 587}[s.word(i+1).text]; ok {
		return n, true
	}
	n, err := strconv.Atoi(s.word(i + 1).text)
	return n, err == nil
}
