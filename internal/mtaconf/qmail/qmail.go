// Package qmail plans how a qmail is connected to ukai: netqmail, notqmail, s/qmail, and the one of Plesk.
//
// # What there is to connect
//
// qmail has no configuration file but a directory of small ones, control/ (qmail-control(5)), read by each program when it starts.
// Nothing has to be reloaded: qmail-rspawn starts one qmail-remote for each remote delivery, and that reads control/smtproutes
// anew. All versions start bin/qmail-remote; notqmail starts what the environment variable QMAILREMOTE names, if it is set.
//
// # How ukai comes in
//
// A script takes the place of bin/qmail-remote, and qmail's own program gets a second name. The script starts
// `ukai qmail-remote` (package qmail of the floor above), which runs qmail's own program and takes a refusal for the reputation of
// the address to ukai. The script is there for the worst day: without ukai, or where ukai cannot start, it becomes qmail's own
// program, and whatever else goes wrong is exit code 111, which qmail takes for temporary. Every other code would be a bounce.
//
// Where bin/qmail-remote hands on to another program of that name, which is how mail is signed for DKIM on most qmails
// ("qmail-remote.orig") and how Plesk has its handlers called ("qmail-remote.moved"), the script goes below: what takes the detour
// is signed too.
//
// As a relay without password and TLS, one line of control/smtproutes will do, and no program is touched.
package qmail

import (
	"path"

	"ukai/internal/mtaconf"
)

type planner struct{}

// New returns the planner.
func New() mtaconf.Planner { return planner{} }

// MTA implements mtaconf.Planner.
func (planner) MTA() mtaconf.MTA { return mtaconf.Qmail }

// Modes implements mtaconf.Planner.
func (planner) Modes() []mtaconf.Mode {
	return []mtaconf.Mode{mtaconf.SafetyNet, mtaconf.Steer, mtaconf.Relay}
}

// homes are where qmail lives: where Bernstein's instructions put it, and where Debian's packages did.
var homes = []string{"/var/qmail", "/var/lib/qmail"}

// Find implements mtaconf.Planner. Plesk keeps mailboxes in /var/qmail even where Postfix is its mail server, so the programs
// have to be there too.
func (planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	var found []mtaconf.Instance
	seen := make(map[string]bool)
	for _, home := range homes {
		if !sys.Exists(path.Join(home, "control/me")) || !sys.Exists(path.Join(home, "bin/qmail-send")) || !sys.Exists(path.Join(home, "bin/qmail-remote")) {
			continue
		}
		place, err := sys.Real(path.Join(home, "control/me"))
		if err != nil {
			return nil, err
		}
		if !seen[place] {
			seen[place] = true
			found = append(found, mtaconf.Instance{MTA: mtaconf.Qmail, Dir: home})
		}
	}
	return found, nil
}

// Plan implements mtaconf.Planner.
func (planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	if w.Mode == "" {
		w.Mode = mtaconf.SafetyNet
	}
	d := &draft{sys: sys, home: inst.Dir, wish: w, plan: &mtaconf.Plan{Instance: inst, Mode: w.Mode}}
	if err := d.look(); err != nil {
		return nil, err
	}
	if w.Mode == mtaconf.Relay && d.plainRelay() {
		return d.plan, d.routeAll()
	}
	if err := d.wrap(); err != nil {
		return nil, err
	}
	return d.plan, nil
}
