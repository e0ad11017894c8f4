package postfix

import (
	"bytes"
	"path"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// Planner plans for Postfix. The zero value is ready.
type Planner struct{}

// New returns a Planner.
func New() mtaconf.Planner { return Planner{} }

// MTA returns mtaconf.Postfix.
func (Planner) MTA() mtaconf.MTA { return mtaconf.Postfix }

// Modes returns the modes, the safety net first.
func (Planner) Modes() []mtaconf.Mode {
	return []mtaconf.Mode{mtaconf.SafetyNet, mtaconf.Steer, mtaconf.Relay}
}

// plan is a plan in the making.
type plan struct {
	*server
	*mtaconf.Plan
	wish mtaconf.Wish
	next mtaconf.Peer // where Postfix finds ukai: see door
}

// Plan returns what would be changed.
func (p Planner) Plan(sys *mtaconf.System, inst mtaconf.Instance, w mtaconf.Wish) (*mtaconf.Plan, error) {
	if w.Mode == "" {
		w.Mode = mtaconf.SafetyNet
	}
	s, err := read(sys, inst.Dir)
	if err != nil {
		return nil, err
	}
	inst.MTA, inst.Version = mtaconf.Postfix, s.version.String()
	x := &plan{s, &mtaconf.Plan{Instance: inst, Mode: w.Mode, Alive: s.alive(), Logs: s.logs(), Alarms: alarms}, w, w.Peer}
	x.found()
	switch w.Mode {
	case mtaconf.SafetyNet:
		err = x.net()
	case mtaconf.Steer:
		if err = x.net(); err == nil {
			err = x.steer()
		}
	case mtaconf.Relay:
		err = x.relay()
	default:
		err = i18n.Errorf("postfix.refuse.mode", "mode", string(w.Mode))
	}
	if err == nil {
		err = x.secure()
	}
	if err != nil {
		return nil, err
	}
	x.finish()
	return x.Plan, nil
}

// found says what stands in the configuration.
func (x *plan) found() {
	x.note("postfix.found.server", "dir", x.dir)
	if x.version != 0 {
		x.note("postfix.found.version", "version", x.version.String())
	}
	if x.Instance.Name != "" {
		x.note("postfix.found.instance", "name", x.Instance.Name)
	}
	for _, name := range []string{"relayhost", "transport_maps", "sender_dependent_default_transport_maps", "sender_dependent_relayhost_maps", "content_filter", "default_transport"} {
		if v, ok := x.main.values[name]; ok && v != "" && v != defaults[name] {
			x.note("postfix.found.set", "name", name, "value", v)
		}
	}
	if x.main.yes("disable_dns_lookups") || x.main.get("smtp_dns_support_level") == "disabled" {
		x.note("postfix.found.no_dns")
	}
	if len(x.Logs) == 0 {
		x.gap("postfix.gap.journal")
	}
}

func (x *plan) note(key string, args ...any) { x.Found = append(x.Found, mtaconf.N(key, args...)) }
func (x *plan) does(key string, args ...any) { x.Does = append(x.Does, mtaconf.N(key, args...)) }
func (x *plan) gap(key string, args ...any)  { x.Gaps = append(x.Gaps, mtaconf.N(key, args...)) }

// file adds a file of ours beside main.cf. One of that name that is there already is somebody else's.
func (x *plan) file(f mtaconf.File) error {
	if x.sys.Exists(f.Path) {
		return i18n.Errorf("postfix.refuse.file", "file", f.Path)
	}
	x.Files = append(x.Files, f)
	return nil
}

// beside is the path of a file of ours.
func (x *plan) beside(name string) string { return path.Join(x.dir, name) }

// secure gives the relay the name, the password and the TLS that it asks for. They stand by the next hop as Postfix knows it: what
// is said behind a door is passed through.
func (x *plan) secure() error {
	peer := x.wish.Peer
	if peer.Username != "" {
		if err := x.login(); err != nil {
			return err
		}
	}
	level := ""
	switch x.main.get("smtp_tls_security_level") {
	case "encrypt", "dane-only", "fingerprint", "verify", "secure":
		if level = "none"; peer.TLS {
			level = "encrypt"
		}
	default:
		if peer.TLS {
			level = "encrypt"
		}
	}
	if level == "" {
		return nil
	}
	f := mtaconf.File{Path: x.beside("ukai_tls"), Perm: 0o644, Text: []byte("# ukai: TLS to the relay (smtp_tls_policy_maps).\n" + x.next.Literal() + " " + level + "\n")}
	if err := x.file(f); err != nil {
		return err
	}
	x.main.put("smtp_tls_policy_maps", "texthash:"+f.Path)
	if peer.TLS {
		x.does("postfix.does.tls", "peer", peer.Literal())
	}
	return nil
}

// login makes Postfix prove who it is, to the relay only: there is no entry for any other host. A next hop is looked up as it is
// written in smtp_fallback_relay, relayhost or the transport (SASL_README).
func (x *plan) login() error {
	peer := x.wish.Peer
	if strings.ContainsAny(peer.Username, ": \t\r\n") || strings.ContainsAny(peer.Password, " \t\r\n") {
		return i18n.Errorf("postfix.refuse.login")
	}
	f := mtaconf.File{Path: x.beside("ukai_password"), Perm: 0o600, Secret: true,
		Text: []byte("# ukai: the login at the relay (smtp_sasl_password_maps).\n" + x.next.Literal() + " " + peer.Username + ":" + peer.Password + "\n")}
	if err := x.file(f); err != nil {
		return err
	}
	if !x.main.yes("smtp_sasl_auth_enable") {
		if len(x.main.list("smtp_sasl_password_maps")) > 0 {
			return i18n.Errorf("postfix.refuse.sasl_off", "value", x.main.raw("smtp_sasl_password_maps"))
		}
		x.main.set("smtp_sasl_auth_enable", "yes")
	}
	x.main.put("smtp_sasl_password_maps", "texthash:"+f.Path)
	name := "smtp_sasl_tls_security_options" // PLAIN is not for lines that anybody reads
	if !peer.TLS {
		name = "smtp_sasl_security_options"
	}
	if strings.Contains(x.main.get(name), "noplaintext") {
		if _, own := x.main.values[name]; own {
			return i18n.Errorf("postfix.refuse.noplaintext", "name", name, "value", x.main.raw(name))
		}
		x.main.set(name, "noanonymous")
	}
	x.does("postfix.does.login", "user", peer.Username, "peer", peer.Literal())
	x.plugins()
	return nil
}

// finish puts the configuration files behind those they name, and says how the changes are taken up.
func (x *plan) finish() {
	for _, f := range []struct {
		path string
		t    *text
	}{{x.master.path, x.master.text}, {x.main.path, x.main.text}} {
		text := f.t.bytes()
		if was, err := x.sys.ReadFile(f.path); err != nil || !bytes.Equal(was, text) {
			x.Files = append(x.Files, mtaconf.File{Path: f.path, Text: text, Perm: 0o644})
		}
	}
	quiet := func(c mtaconf.Command) mtaconf.Command {
		c.Quiet = true
		return c
	}
	x.Check = []mtaconf.Command{quiet(x.command("postconf", "-n")), quiet(x.command("postconf", "-M")), x.command("postfix", "check")}
	x.Reload = []mtaconf.Command{quiet(x.command("postfix", "reload"))}
}

// relay makes ukai the relayhost.
func (x *plan) relay() error {
	if v := x.main.get("relayhost"); v != "" {
		return i18n.Errorf("postfix.refuse.relayhost_relay", "value", v, "file", x.main.path)
	}
	if err := x.speaksSMTP(); err != nil {
		return err
	}
	x.main.add("", "# ukai: all remote mail goes out over ukai.")
	x.main.set("relayhost", x.wish.Peer.Literal())
	x.does("postfix.does.relay", "peer", x.wish.Peer.Literal())
	x.gap("postfix.gap.relay_down")
	if v := x.main.get("smtp_bind_address"); v != "" {
		x.gap("postfix.gap.bind", "value", v)
	}
	for _, name := range []string{"transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"} {
		if x.main.get(name) != "" {
			x.gap("postfix.gap.goes_first", "name", name)
		}
	}
	return nil
}
