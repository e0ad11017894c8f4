package opensmtpd

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// The names that ukai puts in.
const (
	secretsTable = ours + "secrets"
	blockedTable = ours + "blocked"
	detourAction = ours + "detour"
	label        = "ukai" // of the password in the table of secrets
)

// empty stands in the file of blocked domains when none is blocked: smtpd does not start with an empty table ("may not be used for
// 'for' lookups"). No mail is for such a domain (RFC 6761, section 6.4).
const empty = "nothing-is-blocked.invalid"

// beside returns the path of a file of ukai's beside smtpd.conf.
func (d *draft) beside(name string) string { return path.Join(path.Dir(d.file), "ukai-"+name) }

// login checks how smtpd would log in at ukai.
func (d *draft) login() error {
	p := d.wish.Peer
	if p.Host == "" || p.Port == 0 {
		return i18n.Errorf("mtaconf.opensmtpd.peer")
	}
	// smtpd.conf(5): a label is used with smtp+tls and smtps only.
	if p.Username != "" && !p.TLS {
		return i18n.Errorf("mtaconf.opensmtpd.password", "relay", p.Address())
	}
	if strings.ContainsAny(p.Username+p.Password, " \t\r\n:") {
		return i18n.Errorf("mtaconf.opensmtpd.signs")
	}
	return nil
}

// host returns the options of an action by which it sends to ukai.
func (d *draft) host() string {
	p := d.wish.Peer
	scheme, user, more := "smtp://", "", ""
	if p.TLS {
		scheme = "smtp+tls://"
	}
	if p.Username != "" {
		user, more = label+"@", " auth <"+secretsTable+">"
	}
	if p.TLS && loopback(p.Host) { // what never leaves the machine need not prove its name
		more += " tls no-verify"
	}
	return fmt.Sprintf(` host "%s%s%s"%s`, scheme, user, p.Address(), more)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// secrets returns the lines that name the table with the password, and plans its file.
func (d *draft) secrets() string {
	p := d.wish.Peer
	if p.Username == "" {
		return ""
	}
	file := d.beside("secrets")
	d.plan.Files = append(d.plan.Files, mtaconf.File{Path: file, Perm: 0o640, GID: d.group(), Secret: true,
		Text: fmt.Appendf(nil, "# ukai: the password for %s.\n%s %s:%s\n", p.Address(), label, p.Username, p.Password)})
	return fmt.Sprintf("table %s file:%s\n", secretsTable, file)
}

// group returns the group that reads tables: of the user that smtpd runs its lookups as.
func (d *draft) group() int {
	b, err := d.sys.ReadFile("/etc/group")
	if err != nil {
		return 0
	}
	for _, name := range []string{"opensmtpd", "_smtpd", "smtpd"} {
		for l := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSpace(l), ":")
			if gid, err := strconv.Atoi(f[min(2, len(f)-1)]); err == nil && f[0] == name {
				return gid
			}
		}
	}
	return 0
}

// action is an action that relays.
type action struct {
	statement
	name string
	host string // the smarthost it has; empty: it looks up the MX
}

// actions returns the actions that send mail out, and refuses those that ukai cannot stand before.
func (d *draft) actions() ([]action, error) {
	var all []action
	for _, s := range d.statements {
		if !s.word(0).is("action") || !s.word(2).is("relay") || s.index("backup", 3) >= 0 {
			continue
		}
		a := action{statement: s, name: s.word(1).text}
		for _, option := range []string{"host", "domain"} {
			i := s.index(option, 3)
			switch {
			case i < 0:
			case s.word(i + 1).is("<"):
				a.host = "<" + s.word(i+2).text + ">"
			default:
				a.host = s.word(i + 1).text
			}
		}
		all = append(all, a)
		note := mtaconf.N("mtaconf.opensmtpd.found.direct", "name", a.name, "line", a.line)
		if a.host != "" {
			note = mtaconf.N("mtaconf.opensmtpd.found.host", "name", a.name, "line", a.line, "host", a.host)
		}
		d.plan.Found = append(d.plan.Found, note)
	}
	if len(all) == 0 {
		return nil, i18n.Errorf("mtaconf.opensmtpd.no_relay", "file", d.file)
	}
	return all, nil
}

// relay has every action that sends mail out send it to ukai.
func (d *draft) relay() error {
	all, err := d.actions()
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := d.mayRelay(a); err != nil {
			return err
		}
		d.changes = append(d.changes, change{a.tokens[2].to, d.host()})
	}
	if lines := d.secrets(); lines != "" {
		d.changes = append(d.changes, change{d.lineOf(all[0].statement), "# ukai: the password for the relay.\n" + lines})
	}
	d.plan.Does = append(d.plan.Does, mtaconf.N("mtaconf.opensmtpd.does.relay", "relay", d.wish.Peer.Address()))
	d.plan.Gaps = append(d.plan.Gaps, mtaconf.N("mtaconf.opensmtpd.gap.relay"))
	return nil
}

// mayRelay refuses an action whose options would stand against a host.
func (d *draft) mayRelay(a action) error {
	where := []any{"file", d.file, "line", a.line, "name", a.name}
	switch {
	case a.host != "":
		return i18n.Errorf("mtaconf.opensmtpd.smarthost", append(where, "host", a.host)...)
	case a.tokens[2].ofMacro:
		return i18n.Errorf("mtaconf.opensmtpd.macro", where...)
	case a.index("src", 3) >= 0:
		return i18n.Errorf("mtaconf.opensmtpd.src", where...)
	case a.index("tls", 3) >= 0 && !d.wish.Peer.TLS:
		return i18n.Errorf("mtaconf.opensmtpd.tls", append(where, "relay", d.wish.Peer.Address())...)
	}
	return nil
}

// steer puts a rule for blocked domains before each rule that sends all other mail out directly.
func (d *draft) steer() error {
	if d.wish.Live != "" {
		return i18n.Errorf("mtaconf.opensmtpd.live")
	}
	all, err := d.actions()
	if err != nil {
		return err
	}
	direct := make(map[string]bool)
	for _, a := range all {
		direct[a.name] = a.host == ""
	}
	first := -1
	for i, s := range d.statements {
		at, ok := d.general(s, direct)
		if !ok {
			continue
		}
		if first < 0 {
			first = i
		}
		rule, err := d.ruleFor(s, at)
		if err != nil {
			return err
		}
		d.changes = append(d.changes, change{d.lineOf(s), rule})
	}
	if first < 0 {
		return i18n.Errorf("mtaconf.opensmtpd.no_rule", "file", d.file)
	}
	d.routes(d.lineOf(d.statements[first]))
	return nil
}

// general tells whether a statement is a rule that sends mail for anywhere out directly; at is the place of its "any".
func (d *draft) general(s statement, direct map[string]bool) (at int, ok bool) {
	act := s.index("action", 1)
	if !s.word(0).is("match") || act < 0 || !direct[s.word(act+1).text] {
		return 0, false
	}
	i := s.index("for", 1)
	return i + 1, i > 0 && s.word(i+1).is("any") && !s.word(i-1).is("!")
}

// ruleFor returns the rule for blocked domains that has the other conditions of a general rule.
func (d *draft) ruleFor(s statement, at int) (string, error) {
	act := s.index("action", 1)
	if s.tokens[at].ofMacro || s.tokens[act].ofMacro || s.tokens[act+1].ofMacro {
		return "", i18n.Errorf("mtaconf.opensmtpd.macro_rule", "file", d.file, "line", s.line)
	}
	from, to := s.tokens[0].from, s.end()
	a, b := s.tokens[at], s.tokens[act+1]
	text := d.text[from:a.from] + "domain <" + blockedTable + ">" + d.text[a.to:b.from] + `"` + detourAction + `"` + d.text[b.to:to]
	return text + "\n", nil
}

// routes plans the file of blocked domains, and what names it in smtpd.conf.
func (d *draft) routes(at int) {
	file := d.beside("blocked")
	lines := "# ukai: mail for the domains of this file takes the detour. ukai writes it while a provider refuses this server.\n" +
		fmt.Sprintf("table %s file:%s\n", blockedTable, file) + d.secrets() + fmt.Sprintf("action %q relay%s\n", detourAction, d.host())
	d.changes = append([]change{{at, lines}}, d.changes...)
	d.plan.Files = append(d.plan.Files, mtaconf.File{Path: file, Perm: 0o644, Moving: true,
		Text: fmt.Appendf(nil, "# smtpd does not start when this table is empty: the next line has to stay.\n%s\n%s\n%s\n", empty, mtaconf.BlockBegin, mtaconf.BlockEnd)})
	smtpctl := program(d.sys, "smtpctl")
	if smtpctl == "" {
		smtpctl = path.Join(path.Dir(programs[0]), "smtpctl")
	}
	d.plan.Routes = append(d.plan.Routes, mtaconf.RouteFile{Path: file, Format: mtaconf.DomainList, Block: true,
		Then: &mtaconf.Command{Args: []string{smtpctl, "update", "table", blockedTable}, Quiet: true}})
	d.plan.Does = append(d.plan.Does, mtaconf.N("mtaconf.opensmtpd.does.steer", "file", file, "relay", d.wish.Peer.Address()))
	d.plan.Gaps = append(d.plan.Gaps, mtaconf.N("mtaconf.opensmtpd.gap.first"), mtaconf.N("mtaconf.opensmtpd.gap.down"), mtaconf.N("mtaconf.opensmtpd.gap.queue"))
}
