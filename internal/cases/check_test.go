package cases

import (
	"net/netip"
	"testing"

	"ukai/internal/dns"
	"ukai/internal/incident"
)

var own = netip.MustParseAddr("192.0.2.7")

// goodDNS knows a server whose names are in order.
func goodDNS() *dns.Static {
	return &dns.Static{
		Names: map[netip.Addr][]string{own: {"mail.example.jp"}},
		Hosts: map[string][]netip.Addr{"mail.example.jp": {own}},
		Texts: map[string][]string{"example.jp": {"v=spf1 ip4:192.0.2.0/28 -all"}},
	}
}

func TestChecks(t *testing.T) {
	fixed := []Fix{{What: "closed the form"}}
	for name, c := range map[string]struct {
		change func(*dns.Static, *Checker, *Case)
		open   []incident.Incident
		want   map[CheckName]Result // those that are not OK
	}{
		"all is well": {want: map[CheckName]Result{}},
		"no reverse name": {
			change: func(d *dns.Static, _ *Checker, _ *Case) { d.Names = nil },
			want:   map[CheckName]Result{CheckPTR: Bad, CheckForward: Bad, CheckGeneric: Unknown},
		},
		"nobody answers for the reverse name": {
			change: func(d *dns.Static, _ *Checker, _ *Case) {
				d.Errors = map[string]*dns.Error{"ptr 192.0.2.7": dns.TemporaryError("ptr", "", "timeout")}
			},
			want: map[CheckName]Result{CheckPTR: Unknown, CheckForward: Unknown, CheckGeneric: Unknown},
		},
		"the reverse name leads elsewhere": {
			change: func(d *dns.Static, k *Checker, _ *Case) {
				d.Hosts["mail.example.jp"] = []netip.Addr{netip.MustParseAddr("192.0.2.8")}
			},
			want: map[CheckName]Result{CheckForward: Bad, CheckHELO: Bad},
		},
		"the name cannot be looked up": {
			change: func(d *dns.Static, _ *Checker, _ *Case) {
				d.Errors = map[string]*dns.Error{"addr mail.example.jp": dns.TemporaryError("addr", "", "timeout")}
			},
			want: map[CheckName]Result{CheckForward: Unknown, CheckHELO: Unknown},
		},
		"the name of a rented machine": {
			change: func(d *dns.Static, _ *Checker, _ *Case) {
				d.Names[own] = []string{"v192-0-2-7.host.example"}
				d.Hosts["v192-0-2-7.host.example"] = []netip.Addr{own}
			},
			want: map[CheckName]Result{CheckGeneric: Bad},
		},
		"no SPF": {
			change: func(d *dns.Static, _ *Checker, _ *Case) { d.Texts = nil },
			want:   map[CheckName]Result{CheckSPF: Bad},
		},
		"SPF by another name": {
			change: func(d *dns.Static, _ *Checker, _ *Case) {
				d.Texts["example.jp"] = []string{"v=spf1 include:_spf.example -all"}
			},
			want: map[CheckName]Result{CheckSPF: Unknown},
		},
		"somebody else greets": {
			change: func(_ *dns.Static, k *Checker, _ *Case) { k.Ways = func() []Way { return []Way{{Egress: "direct"}} } },
			want:   map[CheckName]Result{CheckHELO: Unknown},
		},
		"an egress that nobody knows": {
			change: func(_ *dns.Static, _ *Checker, c *Case) { c.About.Egresses = []string{"gone"} },
			want:   map[CheckName]Result{CheckHELO: Unknown},
		},
		"no address": {
			change: func(_ *dns.Static, k *Checker, c *Case) { c.About.Addresses = nil; k.Ways = nil },
			want:   map[CheckName]Result{CheckPTR: Unknown, CheckForward: Unknown, CheckGeneric: Unknown, CheckHELO: Unknown, CheckSPF: Unknown},
		},
		"the world may relay": {
			change: func(_ *dns.Static, k *Checker, _ *Case) {
				k.Relays = func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("::/0")} }
			},
			want: map[CheckName]Result{CheckRelay: Bad},
		},
		"nobody knows who may relay": {
			change: func(_ *dns.Static, k *Checker, _ *Case) { k.Relays = nil },
			want:   map[CheckName]Result{CheckRelay: Unknown},
		},
		"nobody said what the cause was": {
			change: func(_ *dns.Static, _ *Checker, c *Case) { c.Fixes = nil },
			want:   map[CheckName]Result{CheckCause: Unknown},
		},
		"spam goes on": {
			open: []incident.Incident{{Cause: incident.Cause{Kind: incident.Content, Place: "example.jp"}, State: incident.Open}},
			want: map[CheckName]Result{CheckCause: Bad},
		},
		"the spam of yesterday": {
			open: []incident.Incident{{Cause: incident.Cause{Kind: incident.Content, Place: "example.jp"}, State: incident.Closed}},
			want: map[CheckName]Result{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := goodDNS()
			k := &Checker{
				Resolver: d, Relays: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
				Ways: func() []Way { return []Way{{Egress: "direct", Addrs: []netip.Addr{own}, Helo: "mail.example.jp"}} },
			}
			about := &Case{Fixes: fixed, About: About{Addresses: []netip.Addr{own}, Egresses: []string{"direct"}, Senders: []string{"example.jp"}}}
			if c.change != nil {
				c.change(d, k, about)
			}
			seen := make(map[CheckName]bool)
			for _, got := range k.Check(t.Context(), about, c.open) {
				seen[got.Name] = true
				want := c.want[got.Name]
				if want == "" {
					want = OK
				}
				if got.Result != want {
					t.Errorf("%+v, want %s", got, want)
				}
			}
			if len(seen) != 7 {
				t.Errorf("%d checks", len(seen))
			}
		})
	}
}

func TestNamesThatLookGeneric(t *testing.T) {
	for name, want := range map[string]Result{
		"mail.example.jp":            OK,
		"mx1.example.jp":             OK,
		"v192-0-2-7.host.example":    Bad,
		"7.2.0.192.rev.example":      Bad,
		"ip-192.000.002.007.example": Bad,
		"c0000207.example":           Bad,
		"dynamic-1.isp.example":      Bad,
		"host.pool.isp.example":      Bad,
		"poolside-hotel.example":     OK,
		"mail2.192.example":          OK,
		"i192-0-2.example":           Bad,
	} {
		if got := generic([]netip.Addr{own}, name, OK); got.Result != want {
			t.Errorf("%s is %s, want %s", name, got.Result, want)
		}
	}
}

func TestWhatAnSPFRecordSaysAsItStands(t *testing.T) {
	for record, want := range map[string]Result{
		"v=spf1 ip4:192.0.2.7 -all":              OK,
		"v=spf1 mx ip4:192.0.2.0/24 ~all":        OK,
		"v=spf1 -ip4:192.0.2.7 +all":             Bad,
		"v=spf1 ip4:198.51.100.1 -all":           Bad,
		"v=spf1 a mx -all":                       Unknown,
		"v=spf1 redirect=_spf.example":           Unknown,
		"v=spf1 -all ip4:192.0.2.7":              Bad,
		"V=SPF1 IP4:192.0.2.7 -ALL":              OK,
		"v=spf1 ip6:2001:db8::/32 exp=x.ex -all": Bad,
		"v=spf1":                                 Bad,
	} {
		if got := named(record, own); got != want {
			t.Errorf("%s: %s, want %s", record, got, want)
		}
	}
	if got := named("v=spf1 ip6:2001:db8::/32 -all", netip.MustParseAddr("2001:db8::25")); got != OK {
		t.Errorf("an IPv6 address: %s", got)
	}
}
