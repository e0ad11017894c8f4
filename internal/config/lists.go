package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ukai/internal/dnsbl"
	"ukai/internal/i18n"
)

// Lists says which of our addresses and domains are watched on which blocklists.
type Lists struct {
	// Enabled has them watched. Default true; without an address that the world can see, and without domains, nothing is asked.
	Enabled bool `toml:"enabled"`
	// Resolver is the recursive name server that lists are asked through, by address with or without port. Default: the first of
	// dns.servers. It must not be a public one. With dns.allow_loopback, which is for tests, lists are asked only through a
	// server that stands here.
	Resolver string `toml:"resolver"`
	// Catalogue is a file with lists of one's own, their keys and data: docs/listed.md. Default: the built-in catalogue.
	Catalogue string `toml:"catalogue"`
	// Keys are those of keyed zones (Spamhaus DQS).
	Keys []ListKey `toml:"key"`
	// Addresses are how the world sees us, where egress.source does not say it (behind NAT, or where the system chooses). They
	// count for every direct egress without a public source.
	Addresses []netip.Addr `toml:"addresses"`
	// Ranges are what the owner of our network announces: there, neighbours are looked for. Default: up to the /16, by sampling.
	Ranges []netip.Prefix `toml:"ranges"`
	// Domains are sender domains. Those that keys sign for, and those that send, are watched without being named.
	Domains []string `toml:"domains"`
	// Every is how often each target is asked about; one that is listed, or may be, is asked about more often. Default 15 min.
	Every time.Duration `toml:"every" range:"1m..1d"`
	// Budget is how many questions it may cost to find out whether a listing is about one address or its network. Default 64.
	Budget int `toml:"budget" range:"8..1000"`
}

// ListKey is the key of a list.
type ListKey struct {
	// List is the id of the list in the catalogue, or the beginning of some: "spamhaus".
	List string `toml:"list"`
	// Password is the key itself, or "env:NAME" for an environment variable; PasswordFile a file that holds it.
	Password     Secret `toml:"password"`
	PasswordFile string `toml:"password_file"`
}

func defaultLists() Lists { return Lists{Enabled: true, Every: 15 * time.Minute, Budget: 64} }

// ListsResolver returns the name server that lists are asked through, empty for that of the system, and whether they may be
// asked at all.
func (c *Config) ListsResolver() (server string, ok bool) {
	l := &c.Lists
	switch {
	case !l.Enabled || l.Resolver == "" && c.DNS.AllowLoopback:
		return "", false
	case l.Resolver == "" && len(c.DNS.Servers) > 0:
		return c.DNS.Servers[0], true
	}
	return l.Resolver, true
}

// LoadCatalogue returns the catalogue of lists, with the keys.
func (l *Lists) LoadCatalogue() (c *dnsbl.Catalogue, err error) {
	if l.Catalogue != "" {
		c, err = dnsbl.LoadFile(l.Catalogue)
	} else {
		c, err = dnsbl.Parse("lists", []byte("extends = true\n")) // rows of its own: they get keys
	}
	if err != nil {
		return nil, err
	}
	for _, k := range l.Keys {
		for _, row := range c.Lists {
			if row.ID == k.List || strings.HasPrefix(row.ID, k.List+"-") {
				row.SetKey(string(k.Password))
			}
		}
	}
	return c, nil
}

func (l *Lists) files() []*string {
	all := []*string{&l.Catalogue}
	for i := range l.Keys {
		all = append(all, &l.Keys[i].PasswordFile)
	}
	return all
}

func (k *checker) lists() {
	l := &k.c.Lists
	if s := l.Resolver; s != "" {
		_, err := netip.ParseAddr(s)
		if _, errPort := netip.ParseAddrPort(s); err != nil && errPort != nil {
			k.add("lists.resolver", i18n.Errorf("config.check.name_server", "value", s))
		}
	}
	for i, a := range l.Addresses {
		if a.IsValid() && (!a.IsGlobalUnicast() || a.IsPrivate()) {
			k.add(fmt.Sprintf("lists.addresses[%d]", i), i18n.Errorf("config.check.lists_address", "value", a))
		}
	}
	for i, d := range l.Domains {
		if t, err := dnsbl.ParseTarget(d); err != nil || t.Domain == "" {
			k.add(fmt.Sprintf("lists.domains[%d]", i), i18n.Errorf("config.check.domain", "value", d))
		}
	}
	for i, r := range l.Ranges {
		if r.IsValid() && r.Addr().Is4() && r.Bits() < 16 {
			k.add(fmt.Sprintf("lists.ranges[%d]", i), i18n.Errorf("config.check.lists_range", "value", r))
		}
	}
	if l.Catalogue != "" {
		_, err := dnsbl.LoadFile(l.Catalogue)
		k.knowledge("lists.catalogue", l.Catalogue, err)
	}
	for i := range l.Keys {
		k.listKey(fmt.Sprintf("lists.key[%d]", i), &l.Keys[i])
	}
}

func (k *checker) listKey(path string, key *ListKey) {
	k.secret(path, &key.Password, key.PasswordFile)
	if key.List == "" {
		k.add(path+".list", i18n.Errorf("config.check.empty"))
	}
	if key.Password == "" && !k.failed(path+".password") && !k.failed(path+".password_file") {
		k.add(path+".password", i18n.Errorf("config.check.empty"))
	}
}
