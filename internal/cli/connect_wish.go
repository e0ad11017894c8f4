package cli

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ukai/internal/api"
	"ukai/internal/config"
	"ukai/internal/connect"
	"ukai/internal/dns"
	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
	"ukai/internal/soften"
)

// request puts together what is wished, with what is known of ukai. What a server is connected with already holds where nothing
// else is said, so that the same command without its options changes nothing.
func (c *connectCommand) request(ctx context.Context, t *connect.Target) (*connect.Request, error) {
	old, err := c.connected(t)
	if err != nil {
		return nil, err
	}
	w := mtaconf.Wish{Mode: mtaconf.Mode(c.mode), Server: c.server, Live: c.live, Program: c.program()}
	if old != nil && !c.modeGiven {
		w.Mode = old.Mode
	}
	if old != nil && !c.liveGiven {
		w.Live = old.Live
	}
	switch {
	case c.serverGiven:
	case old != nil:
		w.Server = old.Server
	case c.book != nil && c.book.Name() != "":
		w.Server = c.book.Name()
	default:
		w.Server = c.serverName(t)
	}
	if w.Peer, err = c.peer(ctx, w.Server, old); err != nil {
		return nil, err
	}
	rules, err := c.rules("")
	if err != nil {
		return nil, err
	}
	w.Reply, w.Status = soften.Reply(rules), soften.Status(rules)
	return &connect.Request{Wish: w, Smarthosts: c.smarthosts(), Alone: c.alone}, nil
}

// connected returns how a server is connected, nil where it is not.
func (c *connectCommand) connected(t *connect.Target) (*connect.Status, error) {
	all, err := c.engine.Servers()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Instance.MTA == t.Instance.MTA && all[i].Instance.Name == t.Instance.Name {
			return &all[i], nil
		}
	}
	return nil, nil //nolint:nilnil // not connected is no error
}

// peer finds where ukai takes mail: as said, as before, as the running ukai tells, as the settings say.
func (c *connectCommand) peer(ctx context.Context, server string, old *connect.Status) (mtaconf.Peer, error) {
	p := mtaconf.Peer{Username: c.username, TLS: c.tls}
	if c.passwordFile != "" {
		text, err := os.ReadFile(c.passwordFile)
		if err != nil {
			return p, i18n.Errorf("cli.connect.password", "file", c.passwordFile, "cause", err)
		}
		if p.Password = strings.TrimRight(string(text), "\r\n"); p.Password == "" {
			return p, i18n.Errorf("cli.connect.password_empty", "file", c.passwordFile)
		}
	}
	address := c.relay
	if address == "" && old != nil {
		address, p.TLS = old.Peer, p.TLS || old.TLS
	}
	gate, err := c.gate(ctx, server)
	switch {
	case address != "":
		err = setAddress(&p, address)
		return p, err
	case err != nil:
		return p, err
	case gate != nil:
		p.Host, p.Port, p.TLS = gate.Host, gate.Port, p.TLS || gate.TLS
		return p, nil
	}
	err = setAddress(&p, c.listener())
	return p, err
}

// gate asks ukai where it takes the server's mail. Where none runs on this machine there is no answer and nobody to register
// with; that keeps nothing from being connected.
func (c *connectCommand) gate(ctx context.Context, server string) (*mtaconf.Peer, error) {
	if c.alone {
		return nil, nil //nolint:nilnil // nobody is asked
	}
	p, err := c.book.Peer(ctx, server)
	if err == nil {
		return &p, nil
	}
	var problem *api.Problem
	if c.join != "" || errors.As(err, &problem) {
		return nil, err
	}
	c.alone = true
	return nil, nil //nolint:nilnil // it is not running
}

// setAddress reads "host:port"; the port may be left out.
func setAddress(p *mtaconf.Peer, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "25"
	}
	n, err := strconv.Atoi(port)
	host, ok := relayHost(host)
	if err != nil || n < 1 || n > 65535 || !ok {
		return usage("cli.connect.relay", "value", address)
	}
	p.Host, p.Port = host, n
	return nil
}

// relayHost returns a host as it can stand in any mail server's configuration: an address, or a name of letters, digits, dots
// and hyphens. A name in other letters becomes its A-labels (RFC 5890), for no mail server looks it up otherwise.
func relayHost(s string) (host string, ok bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.String(), addr.Zone() == ""
	}
	host, err := dns.ASCII(s)
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}
	return host, err == nil && host != "" && !strings.ContainsFunc(host, strange)
}

// listener is where the settings say that mail is taken, or where ukai takes it without any.
func (c *connectCommand) listener() string {
	conf, problems := c.load()
	if len(problems) > 0 || conf == nil {
		conf = config.Default()
	}
	for _, l := range conf.Listeners {
		if l.Submission || l.Reports || l.TLS == config.Implicit {
			continue
		}
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil {
			continue
		}
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "127.0.0.1"
		}
		return net.JoinHostPort(host, port)
	}
	return "127.0.0.1:2525"
}

// smarthosts are the relays that ukai hands mail to.
func (c *connectCommand) smarthosts() []string {
	conf, problems := c.load()
	if len(problems) > 0 || conf == nil {
		return nil
	}
	var all []string
	for i := range conf.Egresses {
		if e := &conf.Egresses[i]; e.Kind == config.Smarthost {
			all = append(all, net.JoinHostPort(e.Host, strconv.Itoa(e.Port)))
		}
	}
	return all
}

// serverName is the name by which ukai knows the server: the first part of the machine's own, and the instance's.
func (c *connectCommand) serverName(t *connect.Target) string {
	name := ""
	if c.root != "" {
		if text, err := (&mtaconf.System{Root: c.root}).ReadFile("/etc/hostname"); err == nil {
			name = strings.TrimSpace(string(text))
		}
	}
	if name == "" {
		name, _ = os.Hostname() // without a name it is the kind of server that counts
	}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	if name == "" {
		name = string(t.Instance.MTA)
	}
	if t.Instance.Name != "" {
		name += "-" + strings.ToLower(t.Instance.Name)
	}
	return name
}

// program is the path of ukai as the mail server sees it.
func (c *connectCommand) program() string {
	own, err := os.Executable()
	if err == nil {
		if target, err := filepath.EvalSymlinks(own); err == nil {
			own = target
		}
	}
	if c.root == "" && err == nil {
		return own
	}
	sys := &mtaconf.System{Root: c.root}
	for _, name := range []string{"/usr/bin/ukai", "/usr/local/bin/ukai", "/usr/sbin/ukai", "/usr/local/sbin/ukai"} {
		if sys.Exists(name) {
			return name
		}
	}
	return "/usr/local/bin/ukai"
}
