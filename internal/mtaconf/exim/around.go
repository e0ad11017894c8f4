package exim

import (
	"net"
	"path"
	"strings"

	"ukai/internal/mtaconf"
)

// program returns the path of Exim.
func (d *draft) program() string {
	for _, p := range []string{"/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim", "/usr/exim/bin/exim"} {
		if d.sys.Exists(p) {
			return p
		}
	}
	return "exim"
}

// commands says how the changes are checked and taken up.
func (d *draft) commands(p *mtaconf.Plan) {
	switch d.layout.kind {
	case template, splitConf: // it keeps the former result where Exim does not like the new one
		p.Prepare = []mtaconf.Command{{Args: []string{"/usr/sbin/update-exim4.conf"}, Quiet: true}}
	case cpanel:
		p.Prepare = []mtaconf.Command{{Args: []string{"/usr/local/cpanel/scripts/buildeximconf"}, Quiet: true}}
	case plain, directAdmin:
	}
	// -bV reads the whole configuration and ends with 1 where it is wrong. With -C the file would be read as by a stranger: Exim
	// gives up root for a file that its maker did not allow (section 5.2).
	p.Check = []mtaconf.Command{{Args: []string{d.program(), "-bV"}, Quiet: true}}
	p.Reload = d.reload()
}

// reload tells the daemon. Deliveries see the change without it (see the package's text), so where no daemon is found there is
// nobody to tell.
func (d *draft) reload() []mtaconf.Command {
	if d.layout.kind == cpanel {
		return []mtaconf.Command{{Args: []string{"/usr/local/cpanel/scripts/restartsrv_exim"}, Quiet: true}}
	}
	if d.sys.Exists("/run/systemd/system") {
		for _, unit := range []string{"exim4", "exim"} {
			for _, file := range []string{"/etc/systemd/system/" + unit + ".service", "/usr/lib/systemd/system/" + unit + ".service",
				"/lib/systemd/system/" + unit + ".service", "/etc/init.d/" + unit} {
				if d.sys.Exists(file) {
					return []mtaconf.Command{{Args: []string{"systemctl", "reload-or-restart", unit}, Quiet: true}}
				}
			}
		}
	}
	for _, pid := range []string{d.conf.options["pid_file_path"], "/run/exim4/exim.pid", "/var/run/exim4/exim.pid", "/run/exim.pid", "/var/run/exim.pid"} {
		if pid != "" && plainWord(pid) && d.sys.Exists(pid) {
			return []mtaconf.Command{{Args: []string{"/bin/sh", "-c", `kill -HUP "$(cat ` + pid + `)"`}, Quiet: true}}
		}
	}
	return nil
}

// list splits a list of Exim: by colons, or by what follows a "<" (section 6.21).
func list(s string) []string {
	s = strings.TrimSpace(s)
	sep := ":"
	if len(s) > 1 && s[0] == '<' {
		sep, s = s[1:2], s[2:]
	}
	if sep == ":" {
		s = strings.ReplaceAll(s, "::", "\x00")
	}
	var out []string
	for f := range strings.SplitSeq(s, sep) {
		if f = strings.TrimSpace(strings.ReplaceAll(f, "\x00", ":")); f != "" {
			out = append(out, f)
		}
	}
	return out
}

// alive returns where the server greets; "" where it takes no mail from the network.
func (d *draft) alive() string {
	ports := list(d.conf.options["daemon_smtp_ports"] + d.conf.options["daemon_smtp_port"])
	port, best := "25", ""
	if len(ports) > 0 {
		port = ports[0]
		if port == "smtp" {
			port = "25"
		}
	}
	interfaces := list(d.conf.options["local_interfaces"])
	if len(interfaces) == 0 {
		return net.JoinHostPort("127.0.0.1", port)
	}
	for _, i := range interfaces {
		a, own := address(i)
		if !a.IsValid() {
			continue
		}
		if own == "" {
			own = port
		}
		host := a.String()
		if a.IsUnspecified() && a.Is4() {
			host = "127.0.0.1"
		}
		if a.IsUnspecified() && a.Is6() {
			host = "::1"
		}
		if to := net.JoinHostPort(host, own); best == "" || host == "127.0.0.1" {
			best = to
		}
	}
	return best
}

// logs returns where the fate of each message is written.
func (d *draft) logs() []string {
	set := false
	for _, p := range list(d.conf.options["log_file_path"]) {
		set = set || p != ""
		if path.IsAbs(p) {
			return []string{strings.ReplaceAll(p, "%s", "main")}
		}
	}
	known := []string{"/var/log/exim4/mainlog", "/var/log/exim/main.log", "/var/log/exim/mainlog", "/var/log/exim_mainlog"}
	if set { // syslog
		known = []string{"/var/log/mail.log", "/var/log/maillog"}
	}
	for _, p := range known {
		if d.sys.Exists(path.Dir(p)) && (d.sys.Exists(p) || path.Dir(p) == "/var/log/exim4") {
			return []string{p}
		}
	}
	switch {
	case set:
		return known[:1]
	case d.layout.kind == cpanel:
		return known[3:]
	case path.Dir(d.layout.path) == debianDir:
		return known[:1]
	case d.layout.kind == directAdmin:
		return known[2:3]
	}
	return known[1:2]
}

// tell says in words what was found, what is changed, and what is not covered.
func (d *draft) tell(p *mtaconf.Plan) {
	var routers, transports []string
	for _, w := range d.ways {
		routers = append(routers, w.router.name)
		for _, t := range w.transports {
			transports = append(transports, t.name)
		}
	}
	p.Found = []mtaconf.Note{
		d.found(),
		mtaconf.N("mtaconf.exim.found.ways", "routers", strings.Join(routers, ", "), "transports", strings.Join(unique(transports), ", ")),
	}
	peer := d.wish.Peer.Address()
	switch d.wish.Mode {
	case mtaconf.Relay:
		p.Does = []mtaconf.Note{mtaconf.N("mtaconf.exim.does.relay", "peer", peer)}
	case mtaconf.SafetyNet:
		p.Does = []mtaconf.Note{mtaconf.N("mtaconf.exim.does.steer", "peer", peer), mtaconf.N("mtaconf.exim.does.net", "minutes", putOff/60)}
	default:
		p.Does = []mtaconf.Note{mtaconf.N("mtaconf.exim.does.steer", "peer", peer)}
	}
	if d.wish.Mode != mtaconf.Relay {
		if d.wish.Live != "" {
			p.Does = append(p.Does, mtaconf.N("mtaconf.exim.does.live", "address", d.wish.Live))
		}
		p.Does = append(p.Does, mtaconf.N("mtaconf.exim.does.file", "path", d.hosts), mtaconf.N("mtaconf.exim.does.open", "seconds", greetWait, "minutes", holdFor/60))
		p.Gaps = append(p.Gaps, mtaconf.N("mtaconf.exim.gap.first"))
	} else {
		p.Gaps = append(p.Gaps, mtaconf.N("mtaconf.exim.gap.relay"))
	}
	p.Does = append(p.Does, mtaconf.N("mtaconf.exim.does.copy"))
	if d.colons() {
		p.Gaps = append(p.Gaps, mtaconf.N("mtaconf.exim.gap.ipv6", "peer", peer))
	}
	if d.wish.Peer.TLS {
		p.Gaps = append(p.Gaps, mtaconf.N("mtaconf.exim.gap.certificate", "peer", peer))
	}
	if d.layout.kind == cpanel || d.layout.kind == directAdmin {
		p.Gaps = append(p.Gaps, mtaconf.N("mtaconf.exim.gap.panel"))
	}
}

// found says what kind of configuration it is.
func (d *draft) found() mtaconf.Note {
	switch d.layout.kind {
	case template:
		return mtaconf.N("mtaconf.exim.found.template", "path", d.layout.path)
	case splitConf:
		return mtaconf.N("mtaconf.exim.found.split", "path", d.layout.path)
	case cpanel:
		return mtaconf.N("mtaconf.exim.found.cpanel", "path", d.layout.path)
	case directAdmin:
		return mtaconf.N("mtaconf.exim.found.directadmin", "path", d.layout.path)
	case plain:
	}
	return mtaconf.N("mtaconf.exim.found.plain", "path", d.layout.path)
}

func unique(all []string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
