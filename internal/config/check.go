package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"ukai/internal/classify"
	"ukai/internal/dkim"
	"ukai/internal/i18n"
	"ukai/internal/provider"
)

// checker looks at what no single value shows.
type checker struct {
	*problems
	c      *Config
	getenv func(string) string
}

func (k *checker) all() {
	k.general()
	k.listeners()
	k.egresses()
	k.pools()
	k.dkim()
	k.reports()
	k.watch()
	k.notify()
	k.lists()
	k.steer()
}

// has tells whether the file gives a setting.
func (k *checker) has(path string) bool { _, ok := k.at[path]; return ok }

// failed tells whether a mistake was found in a setting: what follows from it is not worth telling.
func (k *checker) failed(path string) bool {
	at, ok := k.at[path]
	return ok && slices.ContainsFunc(k.problems.all, func(p Problem) bool { return p.Line == at.line && p.Col == at.col })
}

func (k *checker) general() {
	if k.c.Hostname != "" && !hostname(k.c.Hostname) {
		k.add("hostname", i18n.Errorf("config.check.hostname", "value", k.c.Hostname))
	}
	if k.c.Data == "" {
		k.add("data", i18n.Errorf("config.check.empty"))
	}
	if k.c.HTTP.Listen != "" {
		k.address("http.listen", k.c.HTTP.Listen)
	}
	for i, s := range k.c.DNS.Servers {
		_, err := netip.ParseAddr(s)
		if _, errPort := netip.ParseAddrPort(s); err != nil && errPort != nil {
			k.add(fmt.Sprintf("dns.servers[%d]", i), i18n.Errorf("config.check.name_server", "value", s))
		}
	}
	if len(k.c.Queue.Retry) == 0 {
		k.add("queue.retry", i18n.Errorf("config.check.empty"))
	}
	if w := k.c.Queue.DelayWarning; w >= k.c.Queue.Lifetime {
		k.add("queue.delay_warning", i18n.Errorf("config.check.warning_late", "warning", w, "lifetime", k.c.Queue.Lifetime))
	}
	for _, err := range k.c.Health.Validate() {
		k.threshold(err)
	}
	if f := k.c.Provider.File; f != "" {
		_, err := provider.LoadFile(f)
		k.knowledge("provider.file", f, err)
	}
	if dir := k.c.Classify.Dir; dir != "" {
		_, err := classify.LoadDir(dir)
		k.knowledge("classify.dir", dir, err)
	}
}

// knowledge notes each mistake in a file of rules or rows.
func (k *checker) knowledge(path, file string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			k.knowledge(path, file, one)
		}
		return
	}
	var what *i18n.Error
	switch {
	case err == nil:
	case errors.As(err, &what):
		k.add(path, what)
	default:
		k.add(path, i18n.Errorf("config.check.rules", "file", file, "cause", cause(err)))
	}
}

// threshold places what package health says of its settings at the one that it names.
func (k *checker) threshold(err error) {
	var what *i18n.Error
	if !errors.As(err, &what) {
		panic("bug: a mistake in the thresholds is not in words: " + err.Error())
	}
	path := "health"
	for i := 0; i+1 < len(what.Args); i += 2 {
		if what.Args[i] == "name" {
			path = fmt.Sprintf("health.%v", what.Args[i+1])
		}
	}
	k.add(path, what)
}

// address checks an address to listen on.
func (k *checker) address(path, s string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		k.add(path, i18n.Errorf("config.check.listen", "value", s))
		return
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		k.add(path, i18n.Errorf("config.check.listen_name", "value", s, "host", host))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		k.add(path, i18n.Errorf("config.check.port", "value", port))
	}
}

// readable checks that a file is there and may be read.
func (k *checker) readable(path, file string) []byte {
	if file == "" || k.failed(path) {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		k.add(path, i18n.Errorf("config.check.file", "file", file, "cause", cause(err)))
	}
	return b
}

func (k *checker) certificate(path, cert, key string) {
	certPEM, keyPEM := k.readable(path+".cert", cert), k.readable(path+".key", key)
	if certPEM == nil || keyPEM == nil {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		k.add(path+".cert", i18n.Errorf("config.check.certificate", "cert", cert, "key", key, "cause", err))
	}
}

func (k *checker) authorities(path, file string) {
	if b := k.readable(path, file); b != nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
		k.add(path, i18n.Errorf("config.check.authorities", "file", file))
	}
}

func (k *checker) pools() {
	if !k.has("pool") { // the one by default holds all egresses
		return
	}
	names := make([]string, len(k.c.Egresses))
	for i, e := range k.c.Egresses {
		names[i] = e.Name
	}
	seen := make(map[string]bool)
	everybody := ""
	for i, p := range k.c.Pools {
		path := fmt.Sprintf("pool[%d]", i)
		k.name(path, p.Name, seen)
		if len(p.Egresses) == 0 {
			k.add(path+".egresses", i18n.Errorf("config.check.pool_empty", "allowed", list(names)))
		}
		k.members(path, p, names)
		k.domains(path+".senders", p.Senders)
		if len(p.Senders)+len(p.Accounts) > 0 {
			continue
		}
		if everybody != "" {
			k.add(path, i18n.Errorf("config.check.pool_everybody", "other", everybody))
		}
		everybody = p.Name
	}
	if everybody == "" {
		k.add("pool", i18n.Errorf("config.check.pool_nobody"))
	}
}

func (k *checker) members(path string, p Pool, names []string) {
	for j, name := range p.Egresses {
		at := fmt.Sprintf("%s.egresses[%d]", path, j)
		if !slices.Contains(names, name) {
			k.add(at, i18n.Errorf("config.check.no_egress", "name", name, "hint", near(name, names), "allowed", list(names)))
		} else if slices.Contains(p.Egresses[:j], name) {
			k.add(at, i18n.Errorf("config.check.twice", "name", name))
		}
	}
}

// name checks that a name is there, can be typed and was not used before.
func (k *checker) name(path, name string, seen map[string]bool) {
	switch {
	case name == "":
		k.add(path+".name", i18n.Errorf("config.check.name_missing"))
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '"' || r == ',' || r == '/' || r == 0x7f }) || len(name) > 64:
		k.add(path+".name", i18n.Errorf("config.check.name", "value", name))
	case seen[name]:
		k.add(path+".name", i18n.Errorf("config.check.twice", "name", name))
	}
	seen[name] = true
}

// domains checks a list of sender domains, where "*.example.org" covers subdomains.
func (k *checker) domains(path string, all []string) {
	for i, d := range all {
		if !hostname(strings.TrimPrefix(d, "*.")) {
			k.add(fmt.Sprintf("%s[%d]", path, i), i18n.Errorf("config.check.domain", "value", d))
		}
	}
}

func (k *checker) dkim() {
	seen := make(map[string]bool)
	for i, d := range k.c.DKIM {
		path := fmt.Sprintf("dkim[%d]", i)
		for _, s := range []struct{ key, value string }{{"domain", d.Domain}, {"selector", d.Selector}} {
			if !hostname(s.value) {
				k.add(path+"."+s.key, i18n.Errorf("config.check.domain", "value", s.value))
			}
		}
		if d.Key == "" {
			k.add(path+".key", i18n.Errorf("config.check.empty"))
		}
		name := d.Selector + "._domainkey." + d.Domain
		if seen[name] {
			k.add(path, i18n.Errorf("config.check.twice", "name", name))
		}
		seen[name] = true
		k.dkimKey(path+".key", d)
	}
}

func (k *checker) dkimKey(path string, d DKIM) {
	b := k.readable(path, d.Key)
	if b == nil {
		return
	}
	private, err := dkim.ParsePEM(b)
	if err == nil {
		_, err = dkim.NewSigner([]dkim.Key{{Domain: d.Domain, Selector: d.Selector, Private: private}})
	}
	if err != nil {
		k.add(path, i18n.Errorf("config.check.dkim_key", "file", d.Key, "cause", err))
	}
}

// hostname tells whether s is a domain name that can stand in SMTP: labels of letters (of any script), digits and hyphens.
func hostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		bad := func(r rune) bool {
			return r < 0x80 && r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
		}
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, bad) {
			return false
		}
	}
	return true
}

// list shows words to a person.
func list(words []string) string { return strings.Join(words, ", ") }

func sortedList(words []string) string { return list(slices.Sorted(slices.Values(words))) }
