// Package plesk plans how a server with Plesk is connected to ukai: it finds out which mail server Plesk runs, and has the planner
// for that one plan.
//
// # What Plesk does to a mail server
//
// Plesk for Linux has Postfix or qmail, one at a time (Plesk's administration guide, "Mail Service"; the other one's package is
// taken off by its installer). Its product directory is named in /etc/psa/psa.conf: /usr/local/psa where packages are RPM,
// /opt/psa where they are DEB. Its Postfix keeps tables below /var/spool/postfix/plesk and names them in main.cf; master.cf has
// one smtp(8) for each outgoing address, named plesk-..., with "-o smtp_bind_address=...", and
// sender_dependent_default_transport_maps chooses among them by the sender's domain. That is the mode "send from domain IP
// addresses" of Tools & Settings > Mail Server Settings (outgoing_email_mode domain-ip and domain-name of its XML interface).
// Its qmail has handlers in front of qmail-remote ("Implementation Notes" of its guide for extensions).
//
// # What is respected
//
// Tables and services that Plesk writes are left as they are. The safety net of Postfix is made of parameters in main.cf, which
// all of Plesk's smtp(8) services share: each domain keeps its outgoing address, and only what a provider refuses to that
// address goes out over ukai. Below a handler of Plesk's qmail goes what the planner for qmail puts there.
//
// Plesk writes main.cf and master.cf anew when it is told to (`plesk repair mail`, a change of the mail server): the lines of
// ukai are gone then, mail goes out as before, and `ukai connect plesk --status` tells.
//
// # Sources
//
// All of this is from Plesk's public documentation and from configurations that people have shown in forums; it was tried with
// a Postfix laid out that way, not with Plesk.
package plesk

import (
	"bufio"
	"bytes"
	"path"
	"slices"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/mtaconf/postfix"
	"ukai/internal/mtaconf/qmail"
)

type planner struct{ postfix, qmail mtaconf.Planner }

// New returns the planner.
func New() mtaconf.Planner { return planner{postfix.New(), qmail.New()} }

// MTA implements mtaconf.Planner.
func (planner) MTA() mtaconf.MTA { return mtaconf.Plesk }

// Modes implements mtaconf.Planner: both servers have the same.
func (p planner) Modes() []mtaconf.Mode { return p.postfix.Modes() }

// products are where Plesk lives if /etc/psa/psa.conf does not say.
var products = []string{"/usr/local/psa", "/opt/psa"}

// product returns Plesk's directory and version; found is false where there is no Plesk.
func product(sys *mtaconf.System) (dir, version string, found bool) {
	dirs := products
	if conf, err := sys.ReadFile("/etc/psa/psa.conf"); err == nil {
		if d := setting(conf, "PRODUCT_ROOT_D"); d != "" {
			dirs = append([]string{d}, dirs...)
		}
	}
	for _, d := range dirs {
		if b, err := sys.ReadFile(path.Join(d, "version")); err == nil {
			if words := strings.Fields(string(b)); len(words) > 0 { // "18.0.61 Debian 12.0 1800240501.16"
				version = words[0]
			}
			return d, version, true
		}
	}
	return "", "", false
}

// setting reads "NAME value" of psa.conf.
func setting(conf []byte, name string) string {
	for l := range strings.Lines(string(conf)) {
		if f := strings.Fields(l); len(f) == 2 && f[0] == name {
			return f[1]
		}
	}
	return ""
}

// Find implements mtaconf.Planner. A Plesk without a mail server is found too: Plan says what is the matter.
func (p planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	dir, version, found := product(sys)
	if !found {
		return nil, nil
	}
	inst := mtaconf.Instance{MTA: mtaconf.Plesk, Dir: dir, Version: version}
	_, server, err := p.server(sys)
	if err == nil && server != nil {
		inst.Dir = server.Dir
	}
	return []mtaconf.Instance{inst}, err
}

// server returns the mail server that Plesk runs, with its planner; nil where there is none. Configuration files outlive the
// programs, so the programs count. Of several instances of Postfix, Plesk's is the one without a name.
func (p planner) server(sys *mtaconf.System) (mtaconf.Planner, *mtaconf.Instance, error) {
	if sys.Exists("/usr/sbin/postfix") {
		all, err := p.postfix.Find(sys)
		if err != nil {
			return nil, nil, err
		}
		if i := slices.IndexFunc(all, func(i mtaconf.Instance) bool { return i.Dir == "/etc/postfix" }); i >= 0 {
			return p.postfix, &all[i], nil
		}
	}
	all, err := p.qmail.Find(sys)
	if err != nil || len(all) == 0 {
		return nil, nil, err
	}
	return p.qmail, &all[0], nil
}

// Plan implements mtaconf.Planner.
func (p planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	below, server, err := p.server(sys)
	if err != nil {
		return nil, err
	}
	if server == nil {
		return nil, i18n.Errorf("mtaconf.plesk.none", "dir", inst.Dir)
	}
	plan, err := below.Plan(sys, *server, w)
	if err != nil {
		return nil, err
	}
	plan.Instance = inst
	found := []mtaconf.Note{mtaconf.N("mtaconf.plesk.found", "version", inst.Version, "server", string(below.MTA()), "dir", server.Dir)}
	if addresses := outgoing(sys); below.MTA() == mtaconf.Postfix && len(addresses) > 0 {
		found = append(found, mtaconf.N("mtaconf.plesk.found.addresses", "count", len(addresses), "addresses", strings.Join(addresses, ", ")))
		if w.Mode != mtaconf.Relay {
			plan.Does = append(plan.Does, mtaconf.N("mtaconf.plesk.does.addresses"))
		}
		if w.Mode == mtaconf.Steer {
			plan.Gaps = append(plan.Gaps, mtaconf.N("mtaconf.plesk.gap.one"))
		}
	}
	plan.Found = append(found, plan.Found...)
	plan.Gaps = append(plan.Gaps, mtaconf.N("mtaconf.plesk.gap.repair"))
	return plan, nil
}

// outgoing returns the addresses that Plesk's services in master.cf send from, sorted.
func outgoing(sys *mtaconf.System) []string {
	b, err := sys.ReadFile("/etc/postfix/master.cf")
	if err != nil {
		return nil
	}
	var all []string
	ours := false // in the lines of a service of Plesk's: those that begin with a blank go on with it (master(5))
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		l := lines.Text()
		if strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "" {
			continue
		}
		if l[0] != ' ' && l[0] != '\t' {
			ours = strings.HasPrefix(l, "plesk-")
		}
		if !ours {
			continue
		}
		for _, word := range strings.Fields(l) {
			for _, option := range []string{"smtp_bind_address=", "smtp_bind_address6="} {
				if a, ok := strings.CutPrefix(word, option); ok && a != "" && !slices.Contains(all, a) {
					all = append(all, a)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
