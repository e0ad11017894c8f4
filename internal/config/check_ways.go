package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ukai/internal/guard"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// maxEgresses is what a route decision can keep apart: it marks the egresses that were tried in 64 bits.
const maxEgresses = 64

func (k *checker) listeners() {
	if len(k.c.Listeners) == 0 {
		k.add("listener", i18n.Errorf("config.check.no_listener"))
	}
	names, addresses := make(map[string]bool), make(map[string]bool)
	for i := range k.c.Listeners {
		l, path := &k.c.Listeners[i], fmt.Sprintf("listener[%d]", i)
		switch {
		case l.Address == "":
			k.add(path+".address", i18n.Errorf("config.check.address_missing"))
		case addresses[l.Address] && !strings.HasSuffix(l.Address, ":0"):
			k.add(path+".address", i18n.Errorf("config.check.twice", "name", l.Address))
		default:
			k.address(path+".address", l.Address)
		}
		addresses[l.Address] = true
		if l.Name != "" { // else the address is missing, and that was told
			k.name(path, l.Name, names)
		}
		k.listenerTLS(path, l)
		k.whoMaySend(path, l)
	}
}

func (k *checker) listenerTLS(path string, l *Listener) {
	if (l.Cert == "") != (l.Key == "") {
		k.add(path, i18n.Errorf("config.check.cert_and_key"))
		return
	}
	switch {
	case l.TLS != NoTLS && l.Cert == "":
		k.add(path+".tls", i18n.Errorf("config.check.tls_without_cert", "tls", l.TLS))
	case l.TLS == NoTLS && l.ClientCA != "":
		k.add(path+".client_ca", i18n.Errorf("config.check.ca_without_tls"))
	case l.TLS == NoTLS && l.Auth != AuthOff && !onLoopback(l.Address) && !k.failed(path+".address"):
		k.add(path+".auth", i18n.Errorf("config.check.auth_without_tls"))
	}
	k.certificate(path, l.Cert, l.Key)
	k.authorities(path+".client_ca", l.ClientCA)
}

func onLoopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}

// whoMaySend refuses a listener that nobody may use and one that the world may use. A load balancer is believed, so the
// world must not be able to play one either.
func (k *checker) whoMaySend(path string, l *Listener) {
	if l.Auth == AuthOff && len(l.Relay) == 0 && l.ClientCA == "" && !l.Reports {
		k.add(path, i18n.Errorf("config.check.nobody"))
	}
	if l.Auth == AuthRequired && len(l.Relay) > 0 {
		k.add(path+".auth", i18n.Errorf("config.check.auth_and_relay"))
	}
	if at, what := tooWide(path+".relay", l.Relay); what != nil {
		k.add(at, what)
	}
	if at, what := tooWide(path+".proxy_protocol", l.ProxyProtocol); what != nil {
		k.add(at, i18n.Errorf("config.check.open_proxy", "network", what.Args[1]))
	}
}

// tooWide returns what package guard says of networks that cover more than one organisation has, and at which of them.
func tooWide(path string, networks []netip.Prefix) (at string, what *i18n.Error) {
	valid := slices.DeleteFunc(slices.Clone(networks), func(n netip.Prefix) bool { return !n.IsValid() }) // told when they were read
	if !errors.As(guard.Validate(valid), &what) {
		return "", nil
	}
	i := slices.IndexFunc(networks, func(n netip.Prefix) bool { return n.String() == what.Args[1] })
	return fmt.Sprintf("%s[%d]", path, i), what
}

func (k *checker) egresses() {
	if len(k.c.Egresses) > maxEgresses {
		k.add(fmt.Sprintf("egress[%d]", maxEgresses), i18n.Errorf("config.check.egress_many", "most", maxEgresses))
	}
	names := make(map[string]bool)
	for i := range k.c.Egresses {
		e, path := &k.c.Egresses[i], fmt.Sprintf("egress[%d]", i)
		k.name(path, e.Name, names)
		if e.Helo != "" && !hostname(e.Helo) && !literal(e.Helo) {
			k.add(path+".helo", i18n.Errorf("config.check.hostname", "value", e.Helo))
		}
		k.far(path, e)
		k.password(path, e)
		k.source(path, e)
		k.providers(path+".providers", e.Providers)
		k.domains(path+".sender_domains", e.SenderDomains)
	}
}

// literal tells whether a name is an address literal (RFC 5321, section 4.1.3), which EHLO allows.
func literal(s string) bool {
	s, ok := strings.CutPrefix(s, "[")
	s, closed := strings.CutSuffix(s, "]")
	a, err := netip.ParseAddr(strings.TrimPrefix(s, "IPv6:"))
	return ok && closed && err == nil && a.Is4() != strings.HasPrefix(s, "IPv6:")
}

// far checks what belongs to an egress that has a host in between.
func (k *checker) far(path string, e *Egress) {
	if k.failed(path + ".kind") {
		return
	}
	if e.Kind == Direct {
		for _, key := range []string{"host", "username", "password", "password_file"} {
			if k.has(path + "." + key) {
				k.add(path+"."+key, i18n.Errorf("config.check.only_far", "key", key))
			}
		}
		return
	}
	if _, err := netip.ParseAddr(e.Host); err != nil && !hostname(e.Host) {
		k.add(path+".host", i18n.Errorf("config.check.host", "kind", e.Kind, "value", e.Host))
	}
}

// password takes the password from where the file says it is.
func (k *checker) password(path string, e *Egress) {
	k.secret(path, &e.Password, e.PasswordFile)
	switch {
	case e.Kind == Direct: // told by far
	case e.Username == "" && e.Password != "":
		k.add(path+".username", i18n.Errorf("config.check.username"))
	case e.Username != "" && e.Password == "" && !k.failed(path+".password") && !k.failed(path+".password_file"):
		k.add(path+".password", i18n.Errorf("config.check.password"))
	case e.Kind == Smarthost && e.Username != "" && (e.TLS == PlainText || e.TLS == Opportunistic) && !local(e.Host):
		k.add(path+".tls", i18n.Errorf("config.check.password_plain", "tls", e.TLS))
	}
}

// secret takes a password from the file or the environment variable that is named in its place.
func (k *checker) secret(path string, password *Secret, file string) {
	switch name, fromEnv := strings.CutPrefix(string(*password), "env:"); {
	case file != "" && *password != "":
		k.add(path+".password_file", i18n.Errorf("config.check.password_twice"))
	case file != "":
		*password = Secret(strings.TrimRight(string(k.readable(path+".password_file", file)), "\r\n"))
	case fromEnv:
		if *password = Secret(k.getenv(name)); *password == "" {
			k.add(path+".password", i18n.Errorf("config.check.password_env", "name", name))
		}
	}
}

// local tells whether a host is this machine.
func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// source checks the addresses to send from: one of each family.
func (k *checker) source(path string, e *Egress) {
	seen := make(map[bool]bool)
	for i, a := range e.Source {
		at := fmt.Sprintf("%s.source[%d]", path, i)
		switch {
		case !a.IsValid(): // told when it was read
		case a.IsMulticast() || a.IsUnspecified() || a.Zone() != "":
			k.add(at, i18n.Errorf("config.value.address", "value", a))
		case seen[a.Is4()]:
			k.add(at, i18n.Errorf("config.check.source_twice"))
		}
		seen[a.Is4()] = seen[a.Is4()] || a.IsValid()
	}
}

// providers checks names of providers. One with a dot is a domain of MX hosts and may well not be in the catalogue.
func (k *checker) providers(path string, ids []string) {
	if len(ids) == 0 {
		return
	}
	catalogue, err := provider.Load()
	if f := k.c.Provider.File; f != "" && err == nil {
		if own, errOwn := provider.LoadFile(f); errOwn == nil { // else told with the file
			catalogue = own
		}
	}
	if err != nil {
		panic("bug: " + err.Error())
	}
	var known []string
	seen := make(map[string]bool)
	for _, row := range catalogue.All() {
		if !seen[row.Provider] {
			known = append(known, row.Provider)
		}
		seen[row.Provider] = true
	}
	for i, id := range ids {
		if !seen[id] && !(strings.Contains(id, ".") && hostname(id)) {
			k.add(fmt.Sprintf("%s[%d]", path, i), i18n.Errorf("config.check.provider", "value", id, "hint", near(id, known)))
		}
	}
}
