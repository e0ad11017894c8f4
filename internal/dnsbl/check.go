package dnsbl

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"ukai/internal/dns"
	"ukai/internal/i18n"
)

// checker looks for what the TOML decoder cannot know.
type checker struct {
	name  string
	lines []string
	errs  []error
}

func (k *checker) catalogue(c *Catalogue) {
	if len(c.Lists) == 0 && !c.Extends {
		k.errs = append(k.errs, i18n.Errorf("dnsbl.file.empty", "file", k.name))
	}
	seen := make(map[string]bool)
	for i, l := range c.Lists {
		if seen[l.ID] {
			k.fail(i, "id", l.ID, "dnsbl.file.twice", "id", l.ID)
		}
		seen[l.ID] = true
		k.list(i, l)
		if l.Zone == "" && l.KeyedZone != "" && c.keyOf(l.ID) == "" {
			k.fail(i, "keyed_zone", "", "dnsbl.file.no_key", "id", l.ID)
		}
	}
	for name, key := range c.Keys {
		if !label(key) {
			table := k.find(0, len(k.lines), "[keys]", "")
			k.errs = append(k.errs, k.at(k.find(table, len(k.lines), name, "="), i18n.Errorf("dnsbl.file.key", "name", name)))
		}
	}
}

func (k *checker) list(i int, l *List) {
	if l.ID == "" {
		k.fail(i, "id", "", "dnsbl.file.id")
	}
	if l.Name == "" {
		l.Name = l.ID
	}
	k.zones(i, l)
	k.entries(i, l)
	k.use(i, l)
	k.test(i, l)
	k.feed(i, l)
}

func (k *checker) zones(i int, l *List) {
	if l.Zone == "" && l.KeyedZone == "" && !l.Dead() && l.Feed.Path == "" {
		k.fail(i, "zone", "", "dnsbl.file.no_zone", "id", l.ID)
	}
	if l.Zone != "" {
		zone, err := dns.ASCII(l.Zone)
		if err != nil {
			k.fail(i, "zone", l.Zone, "dnsbl.file.zone", "zone", l.Zone)
		}
		l.Zone = zone
	}
	if l.KeyedZone == "" {
		return
	}
	if _, err := dns.ASCII(strings.ReplaceAll(l.KeyedZone, "{key}", "key")); err != nil || !strings.Contains(l.KeyedZone, "{key}") {
		k.fail(i, "keyed_zone", l.KeyedZone, "dnsbl.file.keyed_zone", "zone", l.KeyedZone, "mark", "{key}")
	}
}

func (k *checker) entries(i int, l *List) {
	e := &l.Entries
	if len(e.Lists) == 0 && !l.Dead() {
		k.fail(i, "lists", "", "dnsbl.file.lists", "id", l.ID)
	}
	for _, kind := range e.Lists {
		k.oneOf(i, "lists", string(kind), "ip4", "ip6", "domain", "hash")
	}
	k.oneOf(i, "scope", string(e.Scope), "", "ip", "range", "asn", "domain")
	k.oneOf(i, "severity", string(e.Severity), "", "block", "policy", "info", "allow")
	k.oneOf(i, "names", e.Names, "", "host", "registrable")
	k.oneOf(i, "unknown", e.Unknown, "", "listed", "error")
	if e.Scope == "" {
		if e.Scope = ScopeIP; !l.Holds(IP4) && !l.Holds(IP6) {
			e.Scope = ScopeDomain
		}
	}
	if e.Severity == "" {
		e.Severity = Block
	}
	for _, c := range e.Codes {
		k.oneOf(i, "state", string(c.State), "", "refused", "resolver_unfit", "broken", "clean")
		k.oneOf(i, "scope", string(c.Scope), "", "ip", "range", "asn", "domain")
		k.oneOf(i, "severity", string(c.Severity), "", "block", "policy", "info", "allow")
	}
	table, bad, ok := newCodeTable(e.Codes)
	if !ok {
		k.fail(i, "code", e.Codes[bad].Code, "dnsbl.file.code", "code", e.Codes[bad].Code)
	}
	l.codes = table
}

func (k *checker) use(i int, l *List) {
	u := &l.Use
	k.oneOf(i, "profile", string(u.Profile), "", "core", "extended", "optin", "info", "off")
	if u.Profile == "" {
		u.Profile = Core // whoever writes a row wants it asked
	}
	if u.Weight < 0 || u.Weight > 10 {
		k.fail(i, "weight", "", "dnsbl.file.weight", "value", u.Weight)
	}
	if u.Rate < 0 || u.Daily < 0 {
		k.fail(i, "rate", "", "dnsbl.file.rate")
	}
}

func (k *checker) test(i int, l *List) {
	for key, v := range map[string]string{"listed": l.Test.Listed, "unlisted": l.Test.Unlisted} {
		if v == "" {
			continue
		}
		if _, err := netip.ParseAddr(v); err == nil {
			continue
		}
		if _, err := dns.ASCII(v); err != nil {
			k.fail(i, key, v, "dnsbl.file.test", "value", v)
		}
	}
}

func (k *checker) feed(i int, l *List) {
	if l.Feed.Path != "" && !slices.Contains(formats, l.Feed.Format) {
		k.fail(i, "feed", string(l.Feed.Format), "dnsbl.file.format", "value", string(l.Feed.Format))
	}
}

func (k *checker) oneOf(i int, key, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	shown := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	k.fail(i, key, value, "dnsbl.file.value", "key", key, "value", value, "allowed", strings.Join(shown, ", "))
}

// fail notes a mistake in the i-th list, at the line that has the key and the value.
func (k *checker) fail(i int, key, value, text string, args ...any) {
	from, to := k.block(i)
	k.errs = append(k.errs, k.at(k.find(from, to, key, value), i18n.Errorf(text, args...)))
}

func (k *checker) at(line int, what error) error {
	return i18n.Errorf("dnsbl.file.at", "file", k.name, "line", line+1, "what", what)
}

// block returns the lines of the i-th list.
func (k *checker) block(i int) (from, to int) {
	n := -1
	for at, line := range k.lines {
		if strings.HasPrefix(strings.TrimSpace(line), "[[") {
			if n == i {
				return from, at
			}
			if strings.HasPrefix(strings.TrimSpace(line), "[[list]]") {
				n++
				from = at
			}
		}
	}
	return from, len(k.lines)
}

// find returns the line that has both, or the first that has the key, or the first of all.
func (k *checker) find(from, to int, key, value string) int {
	best := -1
	for at := from; at < to; at++ {
		if !strings.Contains(k.lines[at], key) {
			continue
		}
		if strings.Contains(k.lines[at], value) {
			return at
		}
		if best < 0 {
			best = at
		}
	}
	return max(best, from)
}

// place puts file and line before the mistakes that the TOML decoder finds.
func place(name string, err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var errs []error
		for i := range missing.Errors {
			line, _ := missing.Errors[i].Position()
			key := strings.Join(missing.Errors[i].Key(), ".")
			errs = append(errs, i18n.Errorf("dnsbl.file.at", "file", name, "line", line, "what", i18n.Errorf("dnsbl.file.unknown_key", "key", key)))
		}
		return errors.Join(errs...)
	}
	line := 1
	var broken *toml.DecodeError
	if errors.As(err, &broken) {
		line, _ = broken.Position()
	}
	return i18n.Errorf("dnsbl.file.at", "file", name, "line", line, "what", i18n.Errorf("dnsbl.file.toml", "cause", err))
}

// label tells whether a key can stand in a name (RFC 1035, section 2.3.1, and underscores).
func label(key string) bool {
	if key == "" || len(key) > 63 {
		return false
	}
	for _, c := range []byte(key) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
