package app

import (
	"net/netip"
	"testing"

	"ukai/internal/config"
)

func TestAServerSharesTheOnlyEgressThatSendsFromWhereItDoes(t *testing.T) {
	addrs := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	system := config.Egress{Name: "direct", Kind: config.Direct}
	other := config.Egress{Name: "other", Kind: config.Direct, Source: addrs("203.0.113.9")}
	both := config.Egress{Name: "both", Kind: config.Direct, Source: addrs("203.0.113.7", "2001:db8::7")}
	relay := config.Egress{Name: "relay", Kind: config.Smarthost}
	rehearsed := config.Egress{Name: "rehearsed", Kind: config.Direct, Source: addrs("127.0.0.2")}
	here := addrs("203.0.113.7")
	for name, c := range map[string]struct {
		egresses []config.Egress
		chosen   []netip.Addr // by the system, for a server on this machine
		server   []netip.Addr // of one elsewhere
		want     string
	}{
		"the system's choice":                    {[]config.Egress{relay, system}, here, nil, "direct"},
		"beside one with an address of its own":  {[]config.Egress{system, other}, here, nil, "direct"},
		"none but one with another address":      {[]config.Egress{other, relay}, here, nil, ""},
		"two that leave it to the system":        {[]config.Egress{system, {Name: "d2", Kind: config.Direct}}, here, nil, ""},
		"on a rehearsal's loopback":              {[]config.Egress{rehearsed, relay}, here, nil, "rehearsed"},
		"no route to the world":                  {[]config.Egress{other}, nil, nil, "other"},
		"the address that the system chooses":    {[]config.Egress{other, both}, here, nil, "both"},
		"a relay only":                           {[]config.Egress{relay}, here, nil, ""},
		"a server elsewhere at the same address": {[]config.Egress{system, other, both}, nil, addrs("2001:db8::7"), "both"},
		"written as IPv6":                        {[]config.Egress{system, other}, nil, addrs("::ffff:203.0.113.9"), "other"},
		"a server elsewhere":                     {[]config.Egress{system, other}, nil, addrs("198.51.100.1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := egressHere(c.egresses, c.chosen)
			if c.server != nil {
				got = (&App{cfg: &config.Config{Egresses: c.egresses}}).ownEgress(c.server)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
