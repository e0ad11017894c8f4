package apitest

import (
	"net/netip"
	"testing"

	"ukai/internal/cases"
	"ukai/internal/dns"
	"ukai/internal/dnsbl"
	"ukai/internal/health"
	"ukai/internal/provider"
	"ukai/internal/store"
)

// openCases gives the inside a book of cases whose checks see a server that is half in order.
func openCases(t testing.TB, x *Inside, db *store.DB) {
	t.Helper()
	lists, err := dnsbl.Load()
	if err != nil {
		t.Fatal(err)
	}
	providers, err := provider.Load()
	if err != nil {
		t.Fatal(err)
	}
	own := netip.MustParseAddr("192.0.2.7")
	checker := &cases.Checker{
		Resolver: &dns.Static{
			Names: map[netip.Addr][]string{own: {"mail.example.jp"}},
			Hosts: map[string][]netip.Addr{"mail.example.jp": {own}},
			Texts: map[string][]string{"example.jp": {"v=spf1 ip4:192.0.2.7 -all"}},
		},
		Ways: func() []cases.Way {
			return []cases.Way{{Egress: "direct", Addrs: []netip.Addr{own}, Helo: "mail.example.jp"}}
		},
		Relays: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
	}
	x.Cases = cases.New(cases.Options{
		Catalogues: cases.Catalogues{Lists: lists, Providers: providers}, Incidents: x.Incidents.List, Check: checker.Check, Now: x.Clock,
	})
	if err := x.Cases.Load(t.Context(), db, Start); err != nil {
		t.Fatal(err)
	}
}

// List puts an address of the inside onto a blocklist, or takes it off, and lets the cases see it.
func (x *Inside) List(t testing.TB, list, net string, on bool) {
	t.Helper()
	x.Incidents.Listed("direct", &health.Standing{At: x.Clock(), Listing: list, Net: netip.MustParsePrefix(net), On: on})
	x.Look(t)
}

// Look brings the cases up to date, with their checks.
func (x *Inside) Look(t testing.TB) {
	t.Helper()
	x.Cases.Tick(x.Clock())
	for x.Cases.Check(t.Context(), x.Clock()) {
	}
}
