// Package sendmail plans how Sendmail is connected to ukai.
//
// # What Sendmail can do
//
// Sendmail decides where mail goes by rules (the R lines of sendmail.cf) and asks maps in them (K lines). What is local, virtual
// or in the mailertable is decided first; then come the rules of LOCAL_NET_CONFIG, where cf/README puts the exceptions from a
// smarthost; and last what is left goes to its MX. The rules of ukai stand in LOCAL_NET_CONFIG: whatever the operator has
// decided elsewhere, the mailertable above all, comes before them, and what they let go on goes the way it went before.
//
//	user@example.com ─▶ is example.com in the list of domains?      no ─▶ on as before
//	                 ─▶ does ukai greet?                            no ─▶ on as before
//	                 ─▶ mailer "ukai": [host of ukai], its port
//
// The list is a map of the class "text" (op.me, "K -- Key File Declaration"): the file is read at each lookup, by every process,
// without makemap and without a reload. So a list that is replaced in one step holds for the next recipient.
//
// # Why ukai is asked whether it is there
//
// A host of Sendmail may be a list, "[ukai]:example.com", whose second host is tried when the first gives no connection. But the
// port belongs to the mailer (A=TCP $h 2525), for all hosts of the list: a former route behind another port than 25 would
// be looked for at that port, too. And a ukai that hangs takes the connection and does not greet: that costs Timeout.initial,
// five minutes, which cannot be set for one mailer. So a map of the class "program" asks first, with a deadline, once for
// each message: the answer is kept in a macro of the envelope. Sendmail decides anew at each run of the queue; mail that
// was on its way to a ukai that died in that second waits for the next run.
//
// # Why there is no socket map
//
// A map of the class "socket" speaks to a server directly, but it waits without a limit for one that hangs, and after a broken
// connection its answer is a temporary failure, which the map flag -t does not always cover. Live lookups go
// through the program, too, which gives up in time.
//
// # Two files
//
// sendmail.cf is made from sendmail.mc by m4. The same lines are put into both by hand, at the places to which m4 would bring
// them, and m4 is not run: it may be missing, it stamps the time into the file, and it would take up what somebody wrote into
// sendmail.mc weeks ago and never dared to build. Whoever builds sendmail.cf anew gets the same lines from sendmail.mc. Where
// there is no sendmail.mc, sendmail.cf alone is changed.
package sendmail

import (
	"errors"
	"io/fs"
	"path"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// domainsFile is the list of domains that take the detour, authFile what Sendmail shows ukai when it is asked who it is.
const (
	domainsFile = "/etc/mail/ukai-domains"
	authFile    = "/etc/mail/ukai-authinfo"
)

// Planner plans for Sendmail. The zero value is ready.
type Planner struct{}

// New returns the planner.
func New() mtaconf.Planner { return Planner{} }

// MTA returns mtaconf.Sendmail.
func (Planner) MTA() mtaconf.MTA { return mtaconf.Sendmail }

// Modes returns what Sendmail can do. SafetyNet is Steer: Sendmail has no way to take a 5xx for temporary.
func (Planner) Modes() []mtaconf.Mode {
	return []mtaconf.Mode{mtaconf.Steer, mtaconf.SafetyNet, mtaconf.Relay}
}

// places are where sendmail.cf lies: since 8.10 the first, before that and on some systems the second.
var places = []string{"/etc/mail/sendmail.cf", "/etc/sendmail.cf"}

// Find returns the installation, if there is one.
func (Planner) Find(sys *mtaconf.System) ([]mtaconf.Instance, error) {
	for _, name := range places {
		text, err := sys.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, i18n.Errorf("sendmail.error.read", "file", name, "cause", err)
		}
		c := parseCF(name, text)
		return []mtaconf.Instance{{MTA: mtaconf.Sendmail, Dir: name, Version: c.macro('Z')}}, nil
	}
	return nil, nil
}

// site is what is known of an installation while a plan is made for it.
type site struct {
	sys  *mtaconf.System
	cf   *cf
	mc   *mc // nil: there is none
	wish mtaconf.Wish
	plan *mtaconf.Plan
}

// Plan returns what would be changed. Domain lists, not mailertables, are what package steer keeps: the route is in the rules.
func (Planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	if w.Mode == "" {
		w.Mode = mtaconf.Steer
	}
	s := &site{sys: sys, wish: w, plan: &mtaconf.Plan{Instance: inst, Mode: w.Mode}}
	if err := s.read(inst.Dir); err != nil {
		return nil, err
	}
	for _, check := range []func() error{s.checkRoutes, s.checkNames, s.checkMode, s.checkAuth} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	l, err := s.lines()
	if err != nil {
		return nil, err
	}
	if err := s.change(l); err != nil {
		return nil, err
	}
	s.tell()
	s.commands()
	return s.plan, nil
}

func (s *site) read(name string) error {
	text, err := s.sys.ReadFile(name)
	if err != nil {
		return i18n.Errorf("sendmail.error.read", "file", name, "cause", err)
	}
	s.cf = parseCF(name, text)
	if s.cf.rules < 0 || s.cf.smtp == nil {
		return i18n.Errorf("sendmail.error.unknown", "file", name)
	}
	source := path.Join(path.Dir(name), "sendmail.mc")
	text, err = s.sys.ReadFile(source)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return i18n.Errorf("sendmail.error.read", "file", source, "cause", err)
	}
	if m := parseMC(source, text); m.source() {
		s.mc = m
	}
	return nil
}

// change puts the files of the plan together. The list and the secret come first, sendmail.cf last: it names the others, and
// make(1) builds it anew when it is older than sendmail.mc.
func (s *site) change(l lines) error {
	p := s.plan
	if len(l.maps) > 0 && s.steers() && s.wish.Live == "" {
		p.Files = append(p.Files, mtaconf.File{Path: domainsFile, Perm: 0o644, Moving: true, Text: []byte(listHead)})
		p.Routes = []mtaconf.RouteFile{{Path: domainsFile, Format: mtaconf.DomainList}}
	}
	if s.steers() && s.wish.Live != "" {
		p.Answer = "ukai" // the route is in the rules: any answer means that it is taken
	}
	if s.wish.Peer.Username != "" {
		p.Files = append(p.Files, mtaconf.File{Path: authFile, Perm: 0o600, Secret: true, Text: authInfo(s.wish.Peer)})
	}
	if s.mc != nil {
		p.Files = append(p.Files, mtaconf.File{Path: s.mc.name, Text: s.mc.with(l)})
	}
	text, err := s.cf.with(l)
	if err != nil {
		return err
	}
	p.Files = append(p.Files, mtaconf.File{Path: s.cf.name, Text: text})
	return nil
}

func (s *site) steers() bool { return s.wish.Mode != mtaconf.Relay }
