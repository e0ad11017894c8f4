package exim

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// debianLogins is where the authenticators of Debian's packages look for names and passwords.
const debianLogins = debianDir + "/passwd.client"

// login lets Exim prove to ukai who it is. Exim takes the first authenticator that ukai offers and whose conditions hold, and
// does not start with two clients for one mechanism (chapter 33). So ours is for a mechanism that nobody has yet, and says that
// it is for ukai alone: no other server gets to see the password.
func (d *draft) login() error {
	p := d.wish.Peer
	if p.Username == "" {
		return nil
	}
	if strings.ContainsAny(p.Username+p.Password, "\r\n;{}$\\\"") {
		return i18n.Errorf("mtaconf.exim.error.password")
	}
	taken, debian := d.conf.clients()
	switch {
	case !taken["PLAIN"]:
		d.put(d.loginSpot(), d.authenticator("PLAIN", "^"+caret(p.Username)+"^"+d.password()))
	case !taken["LOGIN"]:
		d.put(d.loginSpot(), d.authenticator("LOGIN", "; "+caret(p.Username)+" ; "+d.password()))
	case debian:
		return d.debianLogin()
	default:
		return i18n.Errorf("mtaconf.exim.error.authenticators", "path", d.layout.path)
	}
	return nil
}

// clients returns the mechanisms that there is a client for, and whether these are Debian's.
func (c *conf) clients() (taken map[string]bool, debian bool) {
	taken = make(map[string]bool)
	for _, a := range c.drivers {
		if a.section != "authenticators" || strings.HasPrefix(a.name, own) {
			continue
		}
		for key, value := range a.options {
			if strings.HasPrefix(key, "client_") && key != "client_condition" {
				taken[strings.ToUpper(a.options["public_name"])] = true
				debian = debian || strings.Contains(value, "passwd.client")
			}
		}
	}
	return taken, debian
}

// caret doubles what stands for a NUL in client_send (section 34.3).
func caret(s string) string { return strings.ReplaceAll(s, "^", "^^") }

// password is an expansion that gives the password. It lies in a file of its own, which only Exim reads: configurations are often
// readable for everybody.
func (d *draft) password() string {
	name := path.Join(d.layout.home(), "password")
	d.before = append(d.before, mtaconf.File{Path: name, Text: []byte(d.wish.Peer.Password + "\n"), Perm: 0o640, GID: d.group(), Secret: true})
	return fmt.Sprintf(`${sg{${readfile{%s}{}}}{\N\^\N}{^^}}`, name)
}

func (d *draft) authenticator(mechanism, send string) string {
	return fmt.Sprintf("# ukai: the account of this server at ukai. Nobody else is told the password.\n%slogin:\n  driver = plaintext\n"+
		"  public_name = %s\n  client_condition = ${if %s}\n  client_send = <;%s\n\n", own, mechanism, d.isPeer(), send)
}

// debianLogin enters the account where Debian's authenticators look. They give a password over TLS only, and look the host up by
// its name; a colon in it would end it.
func (d *draft) debianLogin() error {
	p := d.wish.Peer
	if !p.TLS || strings.Contains(p.Host, ":") || strings.Contains(p.Username, ":") {
		return i18n.Errorf("mtaconf.exim.error.debian_login", "path", debianLogins, "peer", p.Address())
	}
	src := &source{path: debianLogins}
	if d.sys.Exists(debianLogins) {
		var err error
		if src, err = open(d.sys, debianLogins); err != nil {
			return i18n.Errorf("mtaconf.exim.error.unread", "path", debianLogins, "cause", err)
		}
	}
	at := 0 // behind the comment at the top; patterns below would come first otherwise
	for at < len(src.lines) && strings.HasPrefix(src.lines[at], "#") {
		at++
	}
	text := src.insert(map[int]string{at: fmt.Sprintf("%s:%s:%s\n", p.Host, p.Username, p.Password)})
	d.before = append(d.before, mtaconf.File{Path: debianLogins, Text: text, Perm: 0o640, GID: d.group(), Secret: true})
	return nil
}

// group returns the number of the group that Exim runs as; 0 where it is not found.
func (d *draft) group() int {
	names := []string{d.conf.options["exim_group"], d.conf.options["exim_user"], "Debian-exim", "exim", "mailnull", "mail"}
	text, err := d.sys.ReadFile("/etc/group")
	if err != nil {
		return 0
	}
	for _, name := range names {
		for _, line := range split(string(text)) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if name == "" || len(f) < 3 || f[0] != name && f[2] != name {
				continue
			}
			if gid, err := strconv.Atoi(f[2]); err == nil {
				return gid
			}
		}
	}
	return 0
}

// address reads an IP address that may be followed by a dot and a port, as local_interfaces has it (section 13.3).
func address(s string) (addr netip.Addr, port string) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a, ""
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr(), strconv.Itoa(int(ap.Port()))
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 {
		if a, err := netip.ParseAddr(s[:i]); err == nil {
			return a, s[i+1:]
		}
	}
	return netip.Addr{}, ""
}
