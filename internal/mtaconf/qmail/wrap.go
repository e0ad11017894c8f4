package qmail

import (
	"fmt"
	"net/netip"
	"path"
	"strings"

	"ukai/internal/i18n"
	"ukai/internal/mtaconf"
)

// originalSuffix is what the name of qmail's own program gets.
const originalSuffix = ".ukai-original"

// plainRelay tells whether control/smtproutes can say it all: it knows neither passwords nor TLS, and takes what stands behind
// the first colon for a port.
func (d *draft) plainRelay() bool {
	p := d.wish.Peer
	return p.Username == "" && !p.TLS && !strings.Contains(p.Host, ":")
}

// routeAll makes ukai the relay for all hosts that have no route of their own.
func (d *draft) routeAll() error {
	file := d.control("smtproutes")
	if relay := defaultRoute(d.routes); relay != "" {
		return i18n.Errorf("mtaconf.qmail.smarthost", "file", file, "relay", relay)
	}
	text := string(d.routes)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	text += fmt.Sprintf(":%s:%d\n", d.wish.Peer.Host, d.wish.Peer.Port)
	d.plan.Files = []mtaconf.File{{Path: file, Text: []byte(text), Perm: 0o644, GID: d.gid}}
	d.does("mtaconf.qmail.does.relay", "relay", d.wish.Peer.Address())
	d.gap("mtaconf.qmail.gap.relay")
	return nil
}

// wrap puts the script in the place of qmail-remote.
func (d *draft) wrap() error {
	original := d.program + originalSuffix
	if d.sys.Exists(original) {
		return i18n.Errorf("mtaconf.qmail.left", "file", original)
	}
	if d.wish.Mode == mtaconf.Relay {
		if relay := defaultRoute(d.routes); relay != "" {
			return i18n.Errorf("mtaconf.qmail.smarthost", "file", d.control("smtproutes"), "relay", relay)
		}
	}
	d.plan.Files = append(d.plan.Files, mtaconf.File{Path: original, Text: d.text, Perm: 0o711, GID: d.gid})
	settings := d.control("ukai")
	if d.wish.Mode == mtaconf.Steer && d.wish.Live != "" {
		d.plan.Answer = "ukai" // the wrapper only wants to know whether there is one
	}
	if d.wish.Mode == mtaconf.Steer && d.wish.Live == "" {
		routes := d.control("ukai-routes")
		d.plan.Files = append(d.plan.Files, mtaconf.File{Path: routes, Text: []byte("# Domains whose mail goes to ukai first. Written by ukai.\n"), Perm: 0o644, Moving: true})
		d.plan.Routes = append(d.plan.Routes, mtaconf.RouteFile{Path: routes, Format: mtaconf.DomainList})
	}
	text, err := d.settings(original)
	if err != nil {
		return err
	}
	secret := d.wish.Peer.Password != "" || d.wish.Secret != ""
	perm := mtaconf.File{Path: settings, Text: []byte(text), Perm: 0o640, GID: d.gid, Secret: secret}
	if !d.known {
		if secret {
			return i18n.Errorf("mtaconf.qmail.user", "file", settings)
		}
		perm.Perm = 0o644
	}
	d.plan.Files = append(d.plan.Files, perm,
		mtaconf.File{Path: d.program, Text: []byte(d.script(settings, original)), Perm: 0o755, GID: d.gid, Whole: true})
	d.plan.Check = []mtaconf.Command{{Args: []string{d.program}, Quiet: true}}
	d.tell()
	return nil
}

// tell says what the wrapper does and what it does not.
func (d *draft) tell() {
	to := d.wish.Peer.Address()
	switch d.wish.Mode {
	case mtaconf.Relay:
		d.does("mtaconf.qmail.does.relay", "relay", to)
		d.gap("mtaconf.qmail.gap.relay")
	case mtaconf.Steer:
		d.does("mtaconf.qmail.does.net", "relay", to)
		d.does("mtaconf.qmail.does.steer", "relay", to)
	default:
		d.does("mtaconf.qmail.does.net", "relay", to)
	}
	d.does("mtaconf.qmail.does.open")
	if d.wish.Live == "" && d.wish.Mode != mtaconf.Relay {
		d.gap("mtaconf.qmail.gap.blind")
	}
	d.gap("mtaconf.qmail.gap.update", "file", d.program)
	d.gap("mtaconf.qmail.gap.start")
}

// settings is the text of control/ukai (package qmail of the floor above reads it).
func (d *draft) settings(original string) (string, error) {
	var b strings.Builder
	b.WriteString("# Written by ukai connect, for ukai qmail-remote.\n")
	p := d.wish.Peer
	routes := ""
	if len(d.plan.Routes) > 0 {
		routes = d.plan.Routes[0].Path
	}
	for _, kv := range [][2]string{
		{"to", p.Address()}, {"tls", tlsOf(p)}, {"username", p.Username}, {"password", p.Password}, {"mode", string(d.wish.Mode)},
		{"routes", routes}, {"live", d.wish.Live}, {"server", d.wish.Server}, {"secret", d.wish.Secret}, {"original", original},
	} {
		if kv[1] == "" {
			continue
		}
		if strings.ContainsAny(kv[1], "\r\n\x00") {
			return "", i18n.Errorf("mtaconf.qmail.newline", "key", kv[0])
		}
		fmt.Fprintf(&b, "%s=%s\n", kv[0], kv[1])
	}
	return b.String(), nil
}

// tlsOf is how the wrapper uses TLS: as the operator insists, not at all on this machine, else where it is offered.
func tlsOf(p mtaconf.Peer) string {
	if p.TLS {
		return "required"
	}
	if ip, err := netip.ParseAddr(p.Host); err == nil && ip.IsLoopback() || p.Host == "localhost" {
		return "none"
	}
	return "opportunistic"
}

// script is what takes the place of qmail-remote. Exit codes: see the package comment; 126 and 127 are the shell's word for a
// program that cannot be started. Limits are inherited from whoever started qmail-send (softlimit).
func (d *draft) script(settings, original string) string {
	program := d.wish.Program
	if program == "" {
		program = "/usr/bin/ukai"
	}
	return `#!/bin/sh
# Written by ukai connect. qmail's own program is ` + path.Base(original) + `: it delivers, and what it is
# refused for the reputation of this server's address goes out over ukai. Trouble never bounces mail: 111 is "try again".
ukai=` + quoted(program) + `
original=` + quoted(original) + `
[ -x "$ukai" ] || exec "$original" "$@"
# A program of Go does not start with less address space or data than a gigabyte: seven digits, or "unlimited".
case $(ulimit -v 2>/dev/null) in ???????*) ;; *) exec "$original" "$@" ;; esac
case $(ulimit -d 2>/dev/null) in ???????*) ;; *) exec "$original" "$@" ;; esac
"$ukai" qmail-remote --settings ` + quoted(settings) + ` --original "$original" -- "$@" 2>/dev/null
case $? in
0) exit 0 ;;
126 | 127) exec "$original" "$@" ;;
*) exit 111 ;;
esac
`
}

// quoted writes a path as one word of the shell.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
