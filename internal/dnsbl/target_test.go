package dnsbl

import (
	"net/netip"
	"strings"
	"testing"
)

func TestWhatIsATarget(t *testing.T) {
	tests := []struct{ in, want, wrong string }{
		{in: "192.0.2.1", want: "192.0.2.1"},
		{in: " 192.0.2.1 ", want: "192.0.2.1"},
		{in: "::ffff:192.0.2.1", want: "192.0.2.1"},
		{in: "[2001:db8::1]", want: "2001:db8::1"},
		{in: "2001:DB8:0::1", want: "2001:db8::1"},
		{in: "192.0.2.77/24", want: "192.0.2.0/24"},
		{in: "192.0.2.77/32", want: "192.0.2.77"},
		{in: "10.20.0.0/16", want: "10.20.0.0/16"},
		{in: "2001:db8::/32", want: "2001:db8::/32"},
		{in: "::ffff:192.0.2.0/120", want: "192.0.2.0/24"},
		{in: "Example.COM.", want: "example.com"},
		{in: "例え.jp", want: "xn--r8jz45g.jp"},
		{in: "mail.example.co.jp", want: "mail.example.co.jp"},
		{in: "10.0.0.0/8", wrong: "too wide"},
		{in: "2001:db8::/20", wrong: "too wide"},
		{in: "10.0.0.0/33", wrong: "not a range"},
		{in: "10.0.0/24", wrong: "not a range"},
		{in: "::ffff:10.0.0.0/90", wrong: "not a range"},
		{in: "192.0.2.300", wrong: "not an IP address"},
		{in: "192.0.2", wrong: "not an IP address"},
		{in: "2001:db8::zz", wrong: "not an IP address"},
		{in: "fe80::1%eth0", wrong: "zone of this machine"},
		{in: "localhost", wrong: "neither"},
		{in: "user@example.com", wrong: "neither"},
		{in: "", wrong: "neither"},
		{in: "exa mple.com", wrong: "neither"},
	}
	for _, tt := range tests {
		got, err := ParseTarget(tt.in)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%q: %v, want %q", tt.in, err, tt.wrong)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("%q: %s, %v", tt.in, got, err)
		}
	}
}

func TestTheNamesThatAreAsked(t *testing.T) {
	host, plain := &List{Zone: "bl.example", Entries: Entries{Names: "host"}}, &List{Zone: "bl.example"}
	tests := []struct {
		l            *List
		target, want string
	}{
		{plain, "192.0.2.99", "99.2.0.192.bl.example"},
		{plain, "2001:db8::1", "1." + strings.Repeat("0.", 23) + "8.b.d.0.1.0.0.2.bl.example"},
		{plain, "www.shop.example.co.jp", "example.co.jp.bl.example"},
		{host, "www.shop.example.co.jp", "www.shop.example.co.jp.bl.example"},
		{plain, "例え.jp", "xn--r8jz45g.jp.bl.example"},
	}
	for _, tt := range tests {
		target, err := ParseTarget(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.name(tt.l); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.target, got, tt.want)
		}
	}
}

func TestSamplesAreTheSameForTheSameSeedAndLieInTheirParts(t *testing.T) {
	for _, s := range []string{"153.122.0.0/17", "192.0.2.0/24", "192.0.2.0/30", "2001:db8::/48", "2001:db8::/64"} {
		p := netip.MustParsePrefix(s)
		a, b, c := spread(p, netip.Prefix{}, 1), spread(p, netip.Prefix{}, 1), spread(p, netip.Prefix{}, 2)
		seen := map[netip.Addr]bool{}
		same := true
		for i := range a {
			if !p.Contains(a[i]) || a[i] != b[i] || seen[a[i]] {
				t.Errorf("%s: %v %v", s, a, b)
			}
			seen[a[i]] = true
			same = same && a[i] == c[i]
		}
		if len(a) > 4 && same {
			t.Errorf("%s: the seed makes no difference", s)
		}
	}
	own := netip.MustParsePrefix("153.122.10.0/24")
	for _, ip := range spread(netip.MustParsePrefix("153.122.10.0/23"), own, 3) {
		if own.Contains(ip) {
			t.Errorf("%s lies in what was to be left out", ip)
		}
	}
}

func TestTheNearestNeighbours(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.5":      "192.0.2.6 192.0.2.4 192.0.2.7 192.0.2.3",
		"192.0.2.0":      "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4",
		"192.0.2.255":    "192.0.2.254 192.0.2.253 192.0.2.252 192.0.2.251",
		"2001:db8::5":    "2001:db8:0:1::5 2001:db8:0:2::5 2001:db8:0:3::5 2001:db8:0:4::5",
		"2001:db8:0:9::": "2001:db8:0:a:: 2001:db8:0:8:: 2001:db8:0:b:: 2001:db8:0:7::",
	} {
		var got []string
		for _, ip := range neighbours(netip.MustParseAddr(in), 4) {
			got = append(got, ip.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}
